"""Weights of a known layout become a model folder that loads and draws."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from tests.zoo.stand_in import StandIn, serve
from var_spaces import api, cli
from var_spaces.errors import VarSpacesError
from var_spaces.zoo.cards import get_card, read_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.convert import convert
from var_spaces.zoo.locate import weight_files


@pytest.fixture
def trained(tiny_models, use_tiny_models, tmp_path):
    """A trainer's checkpoint with other weights than those of ``tiny-var``."""
    state = load_file(tiny_models / "tiny-var" / "model.safetensors")
    state = {key: value.float() * 1.5 for key, value in state.items()}
    path = tmp_path / "ar-ckpt-best.pth"
    torch.save({"trainer": {"var_wo_ddp": state | {"lvl_1L": torch.zeros(1, 21).long()}}}, path)
    return path, state


def test_a_file_becomes_shards_that_load(trained, tmp_path):
    path, state = trained
    out = tmp_path / "mine" / "my-var"
    digest = convert(get_card("tiny-var"), out, str(path), max_shard=40_000)
    assert len(weight_files(out)) > 2
    card = read_card(out / "card.json")
    assert (card.id, card.weights_sha256, card.classes) == (
        "my-var",
        digest,
        get_card("tiny-var").classes,
    )
    loaded = load_module(card).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_the_command_makes_a_model_to_draw_with(trained, tmp_path, monkeypatch, capsys):
    path, _ = trained
    out = tmp_path / "mine" / "my-var"
    arguments = ["convert", "tiny-var", "--from", str(path), "--out", str(out)]
    assert cli.main([*arguments, "--dtype", "float16"]) == 0
    assert f"VAR_SPACES_MODELS={out.parent}" in capsys.readouterr().out
    folders = f"{out.parent}:{get_card('tiny-var').folder.parent}"
    monkeypatch.setenv("VAR_SPACES_MODELS", folders)
    assert api.generate(model="my-var", class_="key")[0].size == (16, 16)


@pytest.fixture
def two_stages(trained, all_families, tmp_path):
    """Checkpoints as HMAR's training leaves them, in the layout of ``tiny-var``."""
    derived = {
        "lvl_1L": torch.zeros(1, 21).long(),
        "attn_bias_for_masking": torch.zeros(1, 1, 1, 1),
    }
    derived |= {f"blocks.{b}.attn.zero_k_bias": torch.zeros(32) for b in range(2)}
    first = trained[1]
    second = {key: value + 1 for key, value in first.items()}
    second["mask_embed.weight"] = torch.full((1, 32), 2.0)
    paths = []
    for name, state in (("next", first), ("masked", second)):
        paths.append(str(tmp_path / f"{name}.pth"))
        held = {"transformer_wo_ddp": state | derived, "vae_local": {}, "config": {"depth": 2}}
        torch.save({"epoch": 3, "iter": 0, "args": {}, "trainer": held}, paths[-1])
    return paths, first, second


def test_two_stages_of_hmar_become_one_model(two_stages, tmp_path):
    (first, second), next_scale, masked = two_stages
    out = tmp_path / "mine" / "my-hmar"
    arguments = ["convert", "tiny-hmar", "--from", first, "--masked", second, "--out", str(out)]
    assert cli.main(arguments) == 0
    loaded = load_module(read_card(out / "card.json")).state_dict()
    assert torch.equal(loaded["mask_embed.weight"], masked["mask_embed.weight"])
    assert torch.equal(loaded["word_embed_bias"], next_scale["word_embed.bias"])
    key = "attn.proj.weight"
    assert torch.equal(loaded[f"base_blocks.0.{key}"], next_scale[f"blocks.0.{key}"])
    assert torch.equal(loaded[f"ns_blocks.0.{key}"], next_scale[f"blocks.1.{key}"])
    assert torch.equal(loaded[f"mask_blocks.0.{key}"], masked[f"blocks.1.{key}"])
    assert torch.equal(loaded["mask_head.weight"], masked["head.weight"])


def test_stages_say_what_was_taken_off(two_stages, tmp_path, caplog):
    (first, second), _, state = two_stages
    torch.save({f"module.{key}": value for key, value in state.items()}, second)
    given = (get_card("tiny-hmar"), tmp_path / "a", first)
    with caplog.at_level("INFO"):
        convert(*given, masked=second)
    assert "removed 'module.' in front of all keys" in caplog.text
    notes: list[str] = []
    caplog.clear()
    convert(*given, masked=second, notes=notes, replace=True)
    assert notes == ["removed 'module.' in front of all keys"] and not caplog.text


def test_the_first_stage_alone_is_a_var(two_stages, tmp_path):
    (first, _), next_scale, _ = two_stages
    convert(get_card("tiny-var"), tmp_path / "my-var", first)
    loaded = load_module(read_card(tmp_path / "my-var" / "card.json")).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in next_scale.items())


def test_a_merged_model_in_a_checkpoint_of_the_trainer(all_families, tmp_path):
    want = load_module(get_card("tiny-hmar")).state_dict()
    torch.save({"trainer": {"transformer_wo_ddp": dict(want)}}, tmp_path / "merged.pth")
    convert(get_card("tiny-hmar"), tmp_path / "my-hmar", str(tmp_path / "merged.pth"))
    loaded = load_module(read_card(tmp_path / "my-hmar" / "card.json")).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in want.items())


@pytest.mark.parametrize(
    ("model", "order", "reason"),
    [
        ("tiny-var", "next masked", "--masked is the second stage of an HMAR"),
        ("tiny-hmar", "- masked", "its first stage with --from"),
        ("tiny-hmar", "next next", r"two stages of 'tiny-hmar' do not fit.*mask_embed.weight"),
    ],
)
def test_stages_that_are_refused(two_stages, tmp_path, model, order, reason):
    paths = dict(zip(("next", "masked", "-"), (*two_stages[0], None), strict=True))
    first, second = (paths[name] for name in order.split())
    with pytest.raises(VarSpacesError, match=reason):
        convert(get_card(model), tmp_path / "new", first, masked=second)


def test_in_eight_bits_the_file_is_half_as_large(trained, tmp_path):
    path, state = trained
    sizes = {}
    for dtype in ("float16", "int8"):
        out = tmp_path / dtype
        convert(get_card("tiny-var"), out, str(path), dtype)
        sizes[dtype] = sum(file.stat().st_size for file in weight_files(out))
        loaded = load_module(read_card(out / "card.json")).state_dict()
    assert sizes["int8"] < 0.65 * sizes["float16"]
    for key, value in state.items():
        far = (loaded[key] - value).abs().max()
        assert loaded[key].dtype == torch.float32
        assert far <= value.abs().max() / 127


def test_from_the_hub(trained, tmp_path, monkeypatch):
    path, state = trained
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with serve(StandIn({"me/mine": {"weights/best.pth": path.read_bytes()}})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        convert(get_card("tiny-var"), tmp_path / "far", "me/mine:weights/best.pth")
    loaded = load_module(read_card(tmp_path / "far" / "card.json")).state_dict()
    assert torch.equal(loaded["head.weight"], state["head.weight"])


def test_weights_of_the_card_itself(use_tiny_models, tmp_path):
    card = get_card("tiny-tokenizer")
    convert(card, tmp_path / "copy")
    copy = load_module(read_card(tmp_path / "copy" / "card.json")).state_dict()
    assert all(
        torch.equal(copy[key], value) for key, value in load_module(card).state_dict().items()
    )


@pytest.mark.parametrize(
    ("model", "name", "changes", "reason"),
    [
        ("tiny-tokenizer", "new", {}, "is not a state dict of tensors"),
        ("tiny-var", "Not An Id", {}, "gives the model its id"),
        ("tiny-var", "taken", {}, "holds no model"),
        (
            "tiny-var",
            "tiny-tokenizer",
            {},
            "There is a model 'tiny-tokenizer' in .* choose another",
        ),
        ("tiny-var", "new", {"dtype": "int3"}, "choose float32, bfloat16, float16"),
        ("tiny-var", "new", {"origin": "no/such/file.pth"}, "No weights at 'no/such/file.pth'"),
    ],
)
def test_refusals(trained, tmp_path, model, name, changes, reason):
    (tmp_path / "taken").mkdir()
    settings = {"origin": str(trained[0]), **changes}
    with pytest.raises(VarSpacesError, match=reason) as error:
        convert(get_card(model), tmp_path / name, **settings)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()


def test_a_model_that_is_there_goes_as_a_whole_and_only_if_told(trained, tmp_path, capsys):
    out = tmp_path / "mine" / "my-var"
    arguments = ["convert", "tiny-var", "--from", str(trained[0]), "--out", str(out)]
    assert cli.main(arguments) == 0
    (out / "README.md").write_text("of another model")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert cli.main(arguments) == 2
    assert "exists: choose another folder, or --replace it" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert cli.main([*arguments, "--dtype", "float16", "--replace"]) == 0
    assert not (out / "README.md").exists()
