import hashlib
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from var_spaces.errors import VarSpacesError
from var_spaces.zoo import cards
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.locate import weight_files
from var_spaces.zoo.writer import save_model

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_models, tmp_path, monkeypatch):
    """The folder of tiny-var, to damage."""
    shutil.copytree(tiny_models, tmp_path / "models")
    monkeypatch.setenv("VAR_SPACES_MODELS", str(tmp_path / "models"))
    return tmp_path / "models" / "tiny-var"


def load(folder):
    return load_module(cards.read_card(folder / "card.json"))


def state_of(folder):
    return load_file(folder / "model.safetensors")


def rewrite(folder, state, digest=""):
    """Store other weights; without a digest the card vouches for nothing."""
    save_file(state, folder / "model.safetensors")
    edit_card(folder, weights_sha256=digest)


def edit_card(folder, **keys):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **keys}))


def refusal(folder):
    with pytest.raises(VarSpacesError) as error:
        load(folder)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
    return str(error.value)


def test_halves_on_disk_become_float32_ready_for_inference(folder):
    module, stored = load(folder), state_of(folder)
    assert not module.training
    for key, tensor in module.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, stored[key].float())
    assert not any(p.requires_grad for p in module.parameters())
    assert not any(b.is_meta for b in module.buffers())


def test_shards_and_one_file_give_the_same_model(folder, tmp_path):
    whole = load(folder)
    card = json.loads((folder / "card.json").read_text())
    other = tmp_path / "more" / "tiny-var"
    save_model(other, card, whole.state_dict(), max_shard=40_000, dtype=None)
    assert len(weight_files(other)) > 2
    sharded = load(other)
    assert all(torch.equal(v, sharded.state_dict()[k]) for k, v in whole.state_dict().items())


def test_derived_buffers_of_published_files_are_ignored(folder):
    state = state_of(folder)
    state |= {"lvl_1L": torch.zeros(1, 21, dtype=torch.int64)}
    state |= {"attn_bias_for_masking": torch.zeros(1, 1, 21, 21)}
    state |= {f"blocks.{b}.attn.zero_k_bias": torch.zeros(32) for b in range(2)}
    rewrite(folder, state)
    load(folder)


def test_all_that_does_not_fit_is_named_in_one_line(folder):
    state = state_of(folder)
    del state["head.bias"]
    state["surprise"] = torch.zeros(1)
    state["pos_start"] = torch.zeros(1, 2, 32)
    state["word_embed.bias"] = torch.zeros(32, dtype=torch.int32)
    rewrite(folder, state)
    line = refusal(folder)
    for part in (
        "1 missing (head.bias)",
        "1 unexpected (surprise)",
        "1 of another shape (pos_start 1x2x32, expected 1x1x32)",
        "1 of another type (word_embed.bias int32)",
    ):
        assert part in line


def test_long_lists_are_cut(folder):
    rewrite(folder, {"x": torch.zeros(1)})
    assert "and" in refusal(folder) and "more" in refusal(folder)


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_cut_file_is_one_line(folder, size):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:size])
    edit_card(folder, weights_sha256="")
    assert "is damaged or cut" in refusal(folder)


def test_a_changed_byte_is_noticed(folder):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "SHA-256 differs" in refusal(folder)


def test_missing_weights_say_what_was_expected(folder):
    (folder / "model.safetensors").unlink()
    assert "No weights in" in refusal(folder)


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ("{", "is damaged"),
        ("{}", "is damaged"),
        ('{"weight_map": {}}', "names no file"),
        ('{"weight_map": {"a": "../../secret.safetensors"}}', "only safetensors files of the same"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "only safetensors files of the same"),
        ('{"weight_map": {"a": "model.pth"}}', "only safetensors files of the same"),
        ('{"weight_map": {"a": 3}}', "only safetensors files of the same"),
        ('{"weight_map": {"a": "model-9.safetensors"}}', "is missing"),
    ],
)
def test_a_bad_index_is_refused(folder, index, reason):
    (folder / INDEX).write_text(index)
    assert reason in refusal(folder)


def test_a_key_in_two_shards_is_refused(folder):
    shutil.copy(folder / "model.safetensors", folder / "second.safetensors")
    index = {"weight_map": {"a": "model.safetensors", "b": "second.safetensors"}}
    (folder / INDEX).write_text(json.dumps(index))
    edit_card(folder, weights_sha256="")
    assert "is in two weight files" in refusal(folder)


def as_pth(folder, data, name="ar-ckpt-best.pth"):
    (folder / "model.safetensors").unlink()
    torch.save(data, folder / name)
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    edit_card(folder, weights_sha256=digest)


@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
@pytest.mark.parametrize("nested", [False, True])
def test_pth_files_of_the_reference_trainer(folder, prefix, nested):
    want = load(folder).state_dict()
    state = {prefix + key: value.half() for key, value in want.items()}
    trainer = {"var_wo_ddp": state, "vae_local": {}, "config": {"depth": 2}}
    as_pth(folder, {"epoch": 3, "trainer": trainer} if nested else state)
    got = load(folder).state_dict()
    assert all(torch.equal(want[key], got[key]) for key in want)


def test_old_format_pth_files_are_read(folder):
    want = load(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(want, folder / "model.pth", _use_new_zipfile_serialization=False)
    edit_card(folder, weights_sha256="")
    assert torch.equal(load(folder).state_dict()["head.weight"], want["head.weight"])


class Bomb:
    """Unpickling this would run code."""

    ran = False

    def __reduce__(self):
        return exec, ("from tests.zoo import test_checkpoints as t; t.Bomb.ran = True",)


def test_code_in_a_pth_file_is_never_run(folder):
    as_pth(folder, {"head.bias": Bomb()})
    assert "unpickling could run code" in refusal(folder)
    assert not Bomb.ran


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not a zip", b"\x80\x02garbage"])
def test_damaged_pth_files_are_one_line(folder, data):
    (folder / "model.safetensors").unlink()
    (folder / "model.pth").write_bytes(data)
    edit_card(folder, weights_sha256="")
    assert "damaged" in refusal(folder)


@pytest.mark.parametrize("data", [[1, 2], {"a": 3}, {}, torch.zeros(3)])
def test_pth_files_without_a_state_dict_are_refused(folder, data):
    as_pth(folder, data)
    assert "is not a state dict" in refusal(folder)


def test_a_bad_architecture_is_one_line(folder):
    card = json.loads((folder / "card.json").read_text())
    for bad in ({"depth": 0}, {"heads": 3}, {"colour": 1}, {"depth": "x"}):
        edit_card(folder, architecture={**card["architecture"], **bad})
        assert "bad architecture in its card" in refusal(folder)
