"""Published files of Infinity load: spellings, containers, what they lack and what is too much."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.infinity import write_models
from var_spaces.errors import VarSpacesError
from var_spaces.zoo.cards import read_card
from var_spaces.zoo.checkpoints import fitting_state, load_module
from var_spaces.zoo.locate import files_of
from var_spaces.zoo.manifest import build


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_models(tmp_path)


def as_pickle(folder: Path, data: dict) -> None:
    """Replace the weights of a model folder by one ``.pth`` file."""
    for path in folder.glob("*.safetensors"):
        path.unlink()
    card = json.loads((folder / "card.json").read_text("utf-8"))
    (folder / "card.json").write_text(json.dumps({**card, "weights_sha256": ""}), "utf-8")
    torch.save(data, folder / "weights.pth")


def short(state: dict) -> dict:
    """Keys without the segments of the wrappers."""
    for name in ("conv", "norm"):
        for kind in ("weight", "bias"):
            state = {k.replace(f".{name}.{kind}", f".{kind}"): v for k, v in state.items()}
    return state


@pytest.mark.parametrize("spelling", [dict, short], ids=["full", "short"])
def test_tokenizer_files(folder, spelling):
    card = read_card(folder / "tiny-bits" / "card.json")
    state = load_module(card).state_dict()
    mask = {"quantizer.lfq.mask": torch.arange(6), "quantizer.lfq.codebook": torch.ones(64, 6)}
    as_pickle(card.folder, {"vae": {**spelling(state), **mask, "lpips.lin": torch.ones(2)}})
    loaded = load_module(read_card(card.folder / "card.json")).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_a_tokenizer_file_with_more_than_the_model(folder):
    """The public loader leaves out what it does not know; a number among the weights is no harm."""
    card = read_card(folder / "tiny-bits" / "card.json")
    state = load_module(card).state_dict()
    more = {"encoder.mid.attn_1.q.weight": torch.ones(2), "decoder.temb": torch.ones(1)}
    as_pickle(card.folder, {"vae": {**state, **more, "steps": 3, "config": {"ch": 8}, 7: "x"}})
    card, notes = read_card(card.folder / "card.json"), []
    loaded = fitting_state(card, build(card), files_of(card), notes)
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    assert loaded.keys() == state.keys()
    assert notes == [
        "left what is no tensor: steps, config, 7",
        "left 2 that the model has not (encoder.mid.attn_1.q.weight, decoder.temb)",
    ]


def test_a_tokenizer_file_that_lacks_something(folder):
    card = read_card(folder / "tiny-bits" / "card.json")
    state = load_module(card).state_dict()
    state.pop("encoder.conv_in.conv.bias")
    as_pickle(card.folder, {"vae": dict(state)})
    with pytest.raises(VarSpacesError, match=r"1 missing \(encoder.conv_in.conv.bias\)"):
        load_module(read_card(card.folder / "card.json"))


def test_transformer_files(folder):
    card = read_card(folder / "tiny-t2i" / "card.json")
    state = dict(load_module(card).state_dict())
    file = {k.replace("blocks.", "block_chunks.", 1): v for k, v in state.items()}
    file = {k.replace("block_chunks.0.", "block_chunks.0.module.0."): v for k, v in file.items()}
    file = {k.replace("block_chunks.1.", "block_chunks.1.module.0."): v for k, v in file.items()}
    file["block_chunks.0.module.0.sa.zero_k_bias"] = torch.zeros(48)
    file["cfg_uncond"] = file["cfg_uncond"][:5]
    as_pickle(card.folder, {"trainer": {"gpt_fsdp": file}})
    loaded = load_module(read_card(card.folder / "card.json")).state_dict()
    assert torch.equal(loaded["cfg_uncond"][:5], state.pop("cfg_uncond")[:5])
    assert loaded["cfg_uncond"].isfinite().all()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    ("model", "change", "words"),
    [
        ("tiny-t2i", {"text_encoder": None}, "must name a 'text_encoder'"),
        ("tiny-bits", {"text_encoder": {"name": "minilm"}}, "must not have a 'text_encoder'"),
    ],
)
def test_cards_that_make_no_sense(folder, model, change, words):
    path = folder / model / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), "utf-8")
    with pytest.raises(VarSpacesError, match=words):
        read_card(path)
