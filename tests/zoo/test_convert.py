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
