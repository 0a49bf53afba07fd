"""Adapters as small model folders: a card with base and adapter, its own weights, a shared base."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch

from tests.toy_adapter import ToyShift, write_adapter
from var_spaces import methods
from var_spaces.cli import main
from var_spaces.errors import VarSpacesError
from var_spaces.zoo import cards
from var_spaces.zoo.adding import add
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.convert import convert
from var_spaces.zoo.estimate import estimate
from var_spaces.zoo.manifest import manifest
from var_spaces.zoo.residency import Residency, module_bytes, size_of, weights_of


@pytest.fixture
def folder(all_families, tmp_path, monkeypatch):
    """A folder of models with two adapters on ``tiny-t2i``."""
    own = tmp_path / "own"
    for name in ("tiny-shift", "tiny-shift-2"):
        write_adapter(own / name, "tiny-t2i", seed=len(name))
    before = os.environ["VAR_SPACES_MODELS"]
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{own}:{before}")
    return own


def edit_card(folder, **changes):
    path = folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_card_takes_over_what_its_base_says(folder):
    base, card = get_card("tiny-t2i"), get_card("tiny-shift", "generator")
    assert (card.base, card.adapter["name"]) == ("tiny-t2i", "test-shift")
    for name in cards.INHERITED:
        assert getattr(card, name) == getattr(base, name)
    assert card.defaults["guidance"] == base.defaults["guidance"]
    assert card.title == "A tiny shift" and card.weights_sha256 != base.weights_sha256


def test_the_base_is_loaded_once_for_all_its_adapters(folder):
    zoo = Residency()
    with zoo.lease(["tiny-shift", "tiny-shift-2", "tiny-t2i"], "cpu", text=False) as models:
        first, second, base = models
        assert first.backbone is second.backbone is base.backbone
        assert first.adapter is not second.adapter and base.adapter is None
        assert not torch.equal(first.adapter.shift, second.adapter.shift)
        loaded = {key.model: size for key, size in zoo.loaded().items()}
        assert set(loaded) == {"tiny-t2i", "tiny-bits", "tiny-shift", "tiny-shift-2"}
        assert loaded["tiny-t2i"] == module_bytes(base.backbone)
        assert loaded["tiny-shift"] == first.adapter.shift.nbytes
    assert first.weights_sha256 == weights_of(get_card("tiny-shift"))
    digests = {model.weights_sha256 for model in models}
    assert len(digests) == 3 and base.weights_sha256 == base.card.weights_sha256


def test_a_budget_counts_the_base_once(folder):
    room = sum(map(size_of, map(get_card, ("tiny-t2i", "tiny-bits", "tiny-shift", "tiny-shift-2"))))
    zoo = Residency(budget=room)
    with zoo.lease(["tiny-shift", "tiny-shift-2"], "cpu"):
        assert zoo.counters.peak_bytes <= room and zoo.counters.waits == 0


def test_bytes_and_layout_are_those_of_what_it_adds(folder):
    card, base = get_card("tiny-shift"), get_card("tiny-t2i")
    assert manifest(card) == {"shift": [[48], "float32"]}
    parts = {kind: methods.parse(kind, base.defaults.get(kind, "full")) for kind in ["guidance"]}
    settings = {"cache": methods.parse("cache", "full"), **parts}
    with_, without = estimate(card, **settings).weights, estimate(base, **settings).weights
    assert with_ == {**without, "tiny-shift": 48 * 4}


def test_weights_are_checked_like_all_others(folder):
    edit_card(folder / "tiny-shift", weights_sha256="0" * 64)
    with pytest.raises(VarSpacesError, match="are not those of its card"):
        load_module(get_card("tiny-shift"))
    edit_card(folder / "tiny-shift", weights_sha256="", adapter={"name": "test-shift", "extra": 3})
    with pytest.raises(VarSpacesError, match="3 missing"):
        load_module(get_card("tiny-shift"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": "tiny-none"}, "base 'tiny-none' is not known"),
        ({"base": "tiny-shift-2"}, "is an adapter itself"),
        ({"base": "tiny-bits"}, "is a tokenizer, not a generator"),
        ({"base": ""}, "family"),
        ({"adapter": None}, "which 'adapter' extends its base"),
        ({"adapter": {"name": "test-shif"}}, "Did you mean 'test-shift'"),
        ({"adapter": {"name": "test-shift", "extra": -1}}, "extra = -1 is out of range"),
        ({"classes": ["a"]}, "'classes' comes from its base 'tiny-t2i'"),
        ({"family": "var"}, "'family' comes from its base"),
    ],
)
def test_bad_cards_are_named_and_stop_nothing(folder, changes, message, capsys):
    edit_card(folder / "tiny-shift", **changes)
    assert any(message in line for line in cards.problems())
    assert "tiny-shift-2" in cards.known() and "tiny-shift" not in cards.known()
    assert main(["models"]) == 0
    said = capsys.readouterr()
    assert "tiny-shift-2" in said.out and message in said.err
    with pytest.raises(VarSpacesError, match="tiny-shift"):
        get_card("tiny-shift")


def test_models_lists_what_it_stands_on(folder, capsys):
    assert main(["models"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "tiny-shift " in line)
    assert "test-shift on tiny-t2i" in line


def test_added_like_a_model(folder, tmp_path, monkeypatch):
    given = tmp_path / "given" / "shift-of-others"
    write_adapter(given, "tiny-t2i", seed=9)
    card = add(str(given))
    assert card.base == "tiny-t2i" and (folder / "shift-of-others").is_dir()
    written = json.loads((folder / "shift-of-others" / "card.json").read_text())
    assert not set(cards.INHERITED) & set(written)
    assert isinstance(load_module(get_card("shift-of-others")), torch.nn.Module)
    edit_card(given, id="another", base="tiny-t3i")
    with pytest.raises(VarSpacesError, match=r"Its base 'tiny-t3i' is not known.*'tiny-t2i'"):
        add(str(given))
    edit_card(given, base="tiny-var")  # narrower: the weights do not fit
    with pytest.raises(VarSpacesError, match="of another shape"):
        add(str(given))


def test_converted_like_a_model(folder, tmp_path):
    out = tmp_path / "half"
    convert(get_card("tiny-shift"), out, dtype="float16")
    shutil.move(out, folder / "half")
    card = get_card("half")
    assert card.base == "tiny-t2i" and load_module(card).shift.dtype == torch.float32


def test_the_toy_is_a_method_like_others():
    assert methods.parse("adapter", "test-shift") == ToyShift()


def test_a_repository_is_added_by_its_card_and_its_base_comes_along(
    hub, folder, tmp_path, monkeypatch
):
    """Whoever adds an adapter wants its base, even one whose weights are published elsewhere."""
    base = get_card("tiny-t2i")
    far = tmp_path / "far" / "far-t2i"
    far.mkdir(parents=True)
    weights = (base.folder / "model.safetensors").read_bytes()
    hub.files["other/base"] = {"t.safetensors": weights}
    source = {"repository": "other/base", "files": ["t.safetensors"]}
    text = json.loads((base.folder / "card.json").read_text())
    (far / "card.json").write_text(json.dumps({**text, "id": "far-t2i", "source": source}))
    before = os.environ["VAR_SPACES_MODELS"]
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{before}:{far.parent}")
    write_adapter(tmp_path / "given" / "far-shift", "far-t2i", seed=3)
    hub.files["stranger/shift"] = {
        path.name: path.read_bytes() for path in (tmp_path / "given" / "far-shift").iterdir()
    }
    assert "far-t2i" not in cards.cards()  # nothing of it is here, and nobody asked for it
    card = add("stranger/shift")
    assert card.source.files == ("model.safetensors",) and not hub.transfers("model.safetensors")
    assert "far-shift" in cards.cards()
    loaded = Residency().model("far-shift", "cpu")
    assert loaded.adapter.shift.shape == (48,) and loaded.backbone is not None
    assert hub.transfers("t.safetensors") == hub.transfers("model.safetensors") == 1
