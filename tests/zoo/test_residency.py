import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from var_spaces.errors import VarSpacesError
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.residency import (
    Residency,
    budget_from_environment,
    module_bytes,
    resolve_device,
)

CPU = torch.device("cpu")


class Counting:
    """A loader that counts, and lets many threads meet inside it."""

    def __init__(self, expected=1):
        self.loads = []
        self.lock = threading.Lock()

    def __call__(self, card, device):
        with self.lock:
            self.loads.append(card.id)
        return nn.Linear(100, 100, bias=False)


def test_generators_share_their_tokenizer(use_tiny_models):
    zoo = Residency()
    first, again = zoo.model("tiny-var"), zoo.model("tiny-var")
    alone = zoo.model("tiny-tokenizer")
    assert first.backbone is again.backbone
    assert first.tokenizer is again.tokenizer is alone.tokenizer
    assert alone.backbone is None
    assert first.weights_sha256 == get_card("tiny-var").weights_sha256
    assert [key.model for key in zoo.loaded()] == ["tiny-var", "tiny-tokenizer"]
    assert all(nbytes > 0 for nbytes in zoo.loaded().values())


def test_threads_that_want_the_same_model_load_it_once(use_tiny_models):
    loader = Counting()
    zoo, card = Residency(loader=loader), get_card("tiny-var")
    barrier = threading.Barrier(8)

    def ask(_):
        barrier.wait()
        return zoo.module(card, CPU)

    with ThreadPoolExecutor(8) as pool:
        modules = list(pool.map(ask, range(8)))
    assert loader.loads == ["tiny-var"]
    assert len(set(map(id, modules))) == 1


def test_a_failed_load_is_tried_again(use_tiny_models):
    outcomes = [VarSpacesError("damaged"), nn.Linear(2, 2)]

    def loader(card, device):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    zoo, card = Residency(loader=loader), get_card("tiny-var")
    with pytest.raises(VarSpacesError, match="damaged"):
        zoo.module(card, CPU)
    assert not zoo.loaded()
    assert zoo.module(card, CPU).out_features == 2


def test_the_least_recently_used_module_leaves_first(use_tiny_models):
    base, loader = get_card("tiny-var"), Counting()
    cards = {name: base.model_copy(update={"id": name}) for name in "abc"}
    zoo = Residency(budget=2 * 40_000, loader=loader)
    a = zoo.module(cards["a"], CPU)
    zoo.module(cards["b"], CPU)
    assert zoo.module(cards["a"], CPU) is a
    zoo.module(cards["c"], CPU)
    assert [key.model for key in zoo.loaded()] == ["a", "c"]
    zoo.module(cards["b"], CPU)
    assert loader.loads == ["a", "b", "c", "b"]
    assert [key.model for key in zoo.loaded()] == ["c", "b"]


def test_the_module_asked_for_stays_even_when_it_is_larger_than_the_budget(use_tiny_models):
    zoo = Residency(budget=1, loader=Counting())
    zoo.module(get_card("tiny-var"), CPU)
    assert len(zoo.loaded()) == 1
    zoo.clear()
    assert not zoo.loaded()


def test_new_weights_on_disk_are_loaded(tiny_models, tmp_path, monkeypatch):
    shutil.copytree(tiny_models, tmp_path / "m")
    monkeypatch.setenv("VAR_SPACES_MODELS", str(tmp_path / "m"))
    zoo = Residency(loader=Counting())
    old = zoo.module(get_card("tiny-var"), CPU)
    path = tmp_path / "m" / "tiny-var" / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "weights_sha256": "0" * 64}))
    assert zoo.module(get_card("tiny-var"), CPU) is not old


def test_a_tokenizer_that_does_not_fit_is_refused(tiny_models, tmp_path, monkeypatch):
    shutil.copytree(tiny_models, tmp_path / "m")
    monkeypatch.setenv("VAR_SPACES_MODELS", str(tmp_path / "m"))
    from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
    from var_spaces.zoo.writer import save_model

    card = json.loads((tmp_path / "m" / "tiny-tokenizer" / "card.json").read_text())
    card["architecture"]["vocab_size"] = 16
    other = ResidualVQ(ResidualVQConfig(**card["architecture"]))
    save_model(tmp_path / "m" / "tiny-tokenizer", card, other.state_dict())
    with pytest.raises(VarSpacesError, match="differ in codes: 32 and 16"):
        Residency().model("tiny-var")


def test_bytes_count_shared_memory_once():
    layer = nn.Linear(10, 10, bias=False)
    both = nn.ModuleList([layer, nn.Linear(10, 10, bias=False)])
    both[1].weight = layer.weight
    assert module_bytes(both) == 400


def test_the_budget_comes_from_the_environment(monkeypatch):
    for text, want in (("", None), ("2e9", 2_000_000_000), ("500", 500)):
        monkeypatch.setenv("VAR_SPACES_MODEL_BYTES", text)
        assert budget_from_environment() == want
    for text in ("8GB", "-1", "0", "nan"):
        monkeypatch.setenv("VAR_SPACES_MODEL_BYTES", text)
        with pytest.raises(VarSpacesError, match="like 2e9"):
            budget_from_environment()


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", "cpu cpu"])
def test_devices_that_are_not_there_are_refused(name):
    with pytest.raises(VarSpacesError, match="use 'cpu'"):
        resolve_device(name)


def test_the_device_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("VAR_SPACES_DEVICE", "cpu")
    assert resolve_device() == CPU
