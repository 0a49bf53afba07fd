"""Blocks on several places: how they are spread, and that a spread model draws the same."""

from __future__ import annotations

import gc
import tempfile
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from var_spaces import api
from var_spaces.errors import VarSpacesError
from var_spaces.tasks.plan import plan
from var_spaces.tasks.run import run
from var_spaces.zoo import placement
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.estimate import block_bytes, weight_bytes
from var_spaces.zoo.manifest import build
from var_spaces.zoo.placement import Placement, block_names, resolve, spread
from var_spaces.zoo.residency import Residency, module_bytes

FOUR = {f"blocks.{i}": 10 for i in range(4)}


def places(*rooms: tuple[str, int | None]) -> Placement:
    return Placement(rooms)


@pytest.mark.parametrize(
    ("rooms", "want"),
    [
        ([("cuda:0", 100), ("cuda:1", 100)], "0000"),
        ([("cuda:0", 25), ("cuda:1", 100)], "0011"),
        ([("cuda:0", 15), ("cuda:1", 15), ("cuda:2", 20)], "0122"),
        ([("cuda:0", 35), ("cpu", 100)], "00cc"),  # room for the block that comes from memory
        ([("cuda:0", 35), ("cuda:1", 10), ("cpu", 100)], "001c"),
        ([("cpu", 35), ("disk", None)], "ccdd"),
        ([("cuda:0", 15), ("cpu", 20), ("disk", None)], "ccdd"),
    ],
)
def test_places_are_filled_in_order(rooms, want):
    found = spread(FOUR, 5, places(*rooms))
    assert list(found) == list(FOUR)
    letters = {"cuda:0": "0", "cuda:1": "1", "cuda:2": "2", "cpu": "c", "disk": "d"}
    assert "".join(letters[place] for place in found.values()) == want


@pytest.mark.parametrize("rooms", [[("cuda:0", 30), ("cuda:1", 10)], [("cpu", 14), ("disk", None)]])
def test_what_fits_nowhere_is_refused(rooms):
    with pytest.raises(VarSpacesError, match="A model of 45 bytes does not fit into"):
        spread(FOUR, 5, places(*rooms))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("disk", "'disk' is the last"),
        ("disk,cpu", "'disk' is the last"),
        ("cpu,cpu", "names a place twice"),
        ("cpu=0,disk", "like cuda:0=20e9"),
        ("cpu=many,disk", "like cuda:0=20e9"),
        ("cpu,meta", "'meta' holds no numbers"),
        ("cpu,gpu", "'gpu' is not available"),
    ],
)
def test_bad_lists_are_one_line(text, reason):
    with pytest.raises(VarSpacesError, match=reason):
        resolve(text)


@pytest.mark.parametrize("text", ["cpu,cuda:0", "cuda:0,cpu,cuda:1", "cuda:0,mps", "mps,cuda,cpu"])
def test_places_that_compute_come_first_and_are_of_one_kind(monkeypatch, text):
    monkeypatch.setattr(placement, "_check", lambda name: None)  # all of them are here
    assert len(resolve("cuda:0=9,cuda:1,cpu,disk").places) == 4
    with pytest.raises(VarSpacesError, match="Places of one kind that compute come first"):
        resolve(text)


def test_a_list_is_spelled_in_one_way(monkeypatch):
    monkeypatch.setenv("VAR_SPACES_DEVICE", " cpu=1e6 , disk")
    place = resolve()
    assert str(place) == "cpu=1000000,disk" and place.is_spread
    assert resolve(str(place)) == resolve(place) == place
    assert place.main == torch.device("cpu")


@pytest.mark.parametrize("model", ["var-d16", "infinity-125m", "infinity-2b"])
@pytest.mark.parametrize("quant", ["none", "nf4"])
def test_blocks_of_published_models(model, quant):
    card = get_card(model)
    module = build(card)
    sizes = block_bytes(module, torch.bfloat16, quant)
    assert len(sizes) == card.architecture["depth"] and list(sizes) == block_names(module)
    assert 0.5 < sum(sizes.values()) / weight_bytes(module, torch.bfloat16, quant) < 1


@pytest.fixture
def models(all_families, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def folders(disk: Path) -> list[Path]:
    return list(disk.glob("var-spaces-*"))


def half(name: str, quant: str = "none") -> str:
    """Room for one of the two blocks; the other one goes to the disk."""
    module = build(get_card(name))
    block = max(block_bytes(module, torch.float32, quant).values())
    whole = weight_bytes(module, torch.float32, quant)
    return f"cpu={whole},disk={block}"


def digests(zoo: Residency, name: str, device: str, **settings) -> tuple[str, ...]:
    spec = api.make_spec(name, count=2, **settings)[0]
    *_, last = run(plan(spec), zoo, pictures={}, device=device)
    return last.record.token_sha256


@pytest.mark.parametrize(
    ("name", "cache"),
    [
        *((name, "full") for name in ("tiny-var", "tiny-t2i", "tiny-flex")),
        *((name, "scalekv") for name in ("tiny-var", "tiny-t2i", "tiny-flex")),
        ("tiny-hmar", "none"),
    ],
)
def test_a_spread_model_draws_the_same(models, name, cache):
    settings = {"cache": {"name": cache}}
    if cache == "scalekv":
        settings["cache"]["scoring"] = "reference"  # asks for queries of offloaded layers
    zoo = Residency()
    want = digests(zoo, name, "cpu", **settings)
    assert digests(zoo, name, half(name), **settings) == want
    whole, spread_out = (zoo.model(name, place).backbone for place in ("cpu", half(name)))
    assert module_bytes(spread_out) < 0.8 * module_bytes(whole)
    assert [p.is_meta for p in spread_out.parameters()].count(True) > 5
    assert len(folders(models)) == 1


def test_weights_of_few_bits_are_spread_too(models):
    pytest.importorskip("bitsandbytes")
    zoo = Residency(quant="int8")
    for name in ("tiny-var", "tiny-flex", "tiny-hmar"):
        assert digests(zoo, name, half(name, "int8")) == digests(zoo, name, "cpu")


def test_threads_share_a_spread_model(models):
    zoo = Residency()
    want = digests(zoo, "tiny-var", "cpu")
    with ThreadPoolExecutor(4) as pool:
        drawn = pool.map(lambda _: digests(zoo, "tiny-var", half("tiny-var")), range(8))
    assert set(drawn) == {want}


def test_memory_and_disk_come_back(models):
    zoo = Residency()
    gone = weakref.ref(zoo.model("tiny-var", half("tiny-var")).backbone)
    folder = folders(models)[0]
    assert gone() is not None and any(folder.iterdir())
    zoo.clear()
    gc.collect()
    assert gone() is None and not folder.exists()


def test_everything_on_one_place_needs_no_hooks(models):
    module = load_module(get_card("tiny-var"), "cpu=1e9,disk")
    assert not any(p.is_meta for p in module.parameters())
    assert not hasattr(module, "hf_device_map") and not folders(models)
