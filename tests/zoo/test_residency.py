import gc
import json
import shutil
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.infinity import write_models
from var_spaces import api
from var_spaces.errors import VarSpacesError
from var_spaces.methods import parse
from var_spaces.tasks.plan import plan
from var_spaces.tasks.run import run
from var_spaces.zoo.cards import cards, get_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.environment import (
    budget_from_environment,
    dtype_from_environment,
)
from var_spaces.zoo.estimate import estimate
from var_spaces.zoo.placement import resolve
from var_spaces.zoo.residency import Residency, module_bytes, size_of
from var_spaces.zoo.writer import save_model

CPU = torch.device("cpu")


class Counting:
    """A loader that counts, and lets many threads meet inside it."""

    def __init__(self, expected=1):
        self.loads = []
        self.lock = threading.Lock()

    def __call__(self, card, device, dtype, quant):
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

    def loader(card, device, dtype, quant):
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
    zoo = Residency(budget=2 * 40_000, loader=loader, sizer=lambda card, dtype, quant: 40_000)
    a = zoo.module(cards["a"], CPU)
    zoo.module(cards["b"], CPU)
    assert zoo.module(cards["a"], CPU) is a
    zoo.module(cards["c"], CPU)
    assert [key.model for key in zoo.loaded()] == ["a", "c"]
    zoo.module(cards["b"], CPU)
    assert loader.loads == ["a", "b", "c", "b"]
    assert [key.model for key in zoo.loaded()] == ["c", "b"]


def test_memory_is_free_when_a_module_has_been_dropped(use_tiny_models):
    """On a GPU the allocator gives back right then what nothing refers to."""
    gone = []

    class Watching(Residency):
        def _drop(self, key):
            module = weakref.ref(self._slots[key].module)
            super()._drop(key)
            gone.append(module() is None)

    base = get_card("tiny-var")
    zoo = Watching(budget=40_000, loader=Counting(), sizer=lambda card, dtype, quant: 40_000)
    for name in "abc":
        zoo.module(base.model_copy(update={"id": name}), CPU)
    assert gone == [True, True]


def test_the_module_asked_for_stays_even_when_it_is_larger_than_the_budget(use_tiny_models):
    zoo = Residency(budget=1, loader=Counting())
    zoo.module(get_card("tiny-var"), CPU)
    assert len(zoo.loaded()) == 1
    zoo.clear()
    assert not zoo.loaded()


def test_what_left_while_somebody_held_it_is_taken_back_not_read_again(use_tiny_models):
    loader = Counting()
    zoo, card = Residency(budget=1, loader=loader), get_card("tiny-var")
    held = zoo.module(card, CPU)
    zoo.module(get_card("tiny-tokenizer"), CPU)
    assert zoo.counters.evictions == 1
    assert zoo.module(card, CPU) is held and loader.loads == ["tiny-var", "tiny-tokenizer"]
    assert zoo.counters.loads == 2

    zoo.forget("tiny-var")
    assert zoo.module(card, CPU) is not held


def test_what_nobody_holds_is_read_again(use_tiny_models):
    loader = Counting()
    zoo = Residency(loader=loader)
    for _ in range(2):
        with zoo.lease(["tiny-tokenizer"], CPU):
            pass
        zoo.clear()
    assert loader.loads == ["tiny-tokenizer"] * 2


@pytest.fixture
def four(tiny_models, tmp_path, monkeypatch):
    """Models a, b, c, d that share a tokenizer, each with weights of its own."""
    source = json.loads((tiny_models / "tiny-var" / "card.json").read_text("utf-8"))
    state = load_file(tiny_models / "tiny-var" / "model.safetensors")
    for shift, name in enumerate("abcd"):
        moved = {key: value.roll(shift) for key, value in state.items()}
        save_model(tmp_path / name, {**source, "id": name}, moved)
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{tmp_path}:{tiny_models}")
    return "abcd"


def draw(zoo, name):
    """Pixels of one image, through a run that leases its model."""
    events = run(plan(api.make_spec(name, class_="key")[0]), zoo, pictures={}, device="cpu")
    return list(events)[-1].images[0].tobytes()


def room_for(generators):
    one, tokenizer = size_of(get_card("a")), size_of(get_card("tiny-tokenizer"))
    return generators * one + tokenizer


def test_thirty_requests_over_four_models_with_room_for_two(four):
    alone = {name: draw(Residency(), name) for name in four}
    assert len(set(alone.values())) == 4
    alive: dict[str, weakref.WeakSet] = {}
    doubles = []

    def loader(card, device, dtype, quant):
        module = load_module(card, device, dtype, quant)
        others = alive.setdefault(card.id, weakref.WeakSet())
        doubles.extend(card.id for _ in others)
        others.add(module)
        return module

    zoo = Residency(budget=room_for(2), loader=loader)
    wanted = [four[i * 7 % 4] for i in range(30)]
    with ThreadPoolExecutor(30) as pool:
        drawn = list(pool.map(lambda name: draw(zoo, name), wanted))
    assert drawn == [alone[name] for name in wanted]
    assert not doubles
    assert zoo.counters.peak_bytes <= room_for(2)
    assert zoo.counters.loads >= 5 and zoo.counters.evictions >= 2
    gc.collect()
    kept = {key.model for key in zoo.loaded()}
    assert {name for name, modules in alive.items() if len(modules)} == kept
    assert sum(zoo.loaded().values()) <= room_for(2)


def test_what_runs_never_leaves_and_others_wait(four):
    zoo = Residency(budget=room_for(1), patience=0.01)
    with zoo.lease(["a"], "cpu") as (model,):
        with pytest.raises(VarSpacesError, match="try again when one has ended"):
            zoo.model("b", "cpu")
        with zoo.lease(["a"], "cpu") as (again,):
            assert again.backbone is model.backbone
    assert zoo.counters.waits == 1 and not zoo.counters.evictions
    gone = weakref.ref(model.backbone)
    del model, again
    zoo.model("b", "cpu")
    gc.collect()
    assert gone() is None
    assert zoo.counters.evictions == 1


def test_a_closed_run_lets_its_model_go(four):
    zoo = Residency(budget=room_for(1), patience=0.01)
    events = run(plan(api.make_spec("a")[0]), zoo, pictures={}, device="cpu")
    next(events)
    with pytest.raises(VarSpacesError, match="Running requests"):
        draw(zoo, "b")
    events.close()
    draw(zoo, "b")


def test_a_model_larger_than_the_budget_runs_alone(four):
    zoo = Residency(budget=1, patience=0.01)
    with zoo.lease(["a"], "cpu"), pytest.raises(VarSpacesError, match="Running requests"):
        zoo.model("b", "cpu")
    zoo.model("b", "cpu")
    assert {key.model for key in zoo.loaded()} == {"b", "tiny-tokenizer"}


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
        resolve(name)


def test_the_device_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("VAR_SPACES_DEVICE", "cpu")
    assert resolve().main == CPU


def test_the_type_of_weights_comes_from_the_environment(monkeypatch):
    assert dtype_from_environment() == "auto"
    monkeypatch.setenv("VAR_SPACES_DTYPE", "bfloat16")
    assert dtype_from_environment() == "bfloat16"
    monkeypatch.setenv("VAR_SPACES_DTYPE", "int3")
    with pytest.raises(VarSpacesError, match="choose float32, bfloat16, float16"):
        dtype_from_environment()


@pytest.mark.parametrize(
    ("family", "device", "chosen", "want"),
    [
        ("var", "cpu", None, "float32"),
        ("var", "cuda", None, "float16"),
        ("infinity", "cuda:1", None, "bfloat16"),
        ("infinity", "cuda", torch.float32, "float32"),
    ],
)
def test_types_of_weights_are_those_of_the_authors_on_gpus(family, device, chosen, want):
    card = next(card for card in cards("generator").values() if card.family == family)
    assert Residency(dtype=chosen).type_of(card, torch.device(device)) == getattr(torch, want)


def test_a_type_that_is_emulated_is_named(monkeypatch, caplog):
    card = next(iter(cards("generator").values()))
    for has, words in (({"architecture": "x86_64"}, 1), ({"avx512_bf16": True}, 0), ({}, 0)):
        found = {"architecture": "x86_64"} | has if has else has
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found)
        caplog.clear()
        Residency(dtype=torch.bfloat16).type_of(card, CPU)
        assert len(caplog.records) == words
        assert not words or "bfloat16 weights are slow here" in caplog.text


@pytest.mark.parametrize("name", ["tiny-var", "tiny-t2i"])
def test_generators_run_in_half_the_bytes(tiny_models, tmp_path, monkeypatch, name):
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{write_models(tmp_path)}:{tiny_models}")
    zoo = Residency(dtype=torch.bfloat16)
    events = list(run(plan(api.make_spec(name)[0]), zoo, pictures={}, device="cpu"))
    assert events[-1].record.environment.device == "cpu, weights in bfloat16"
    model = zoo.model(name, "cpu")
    assert next(model.tokenizer.parameters()).dtype == torch.float32
    found = estimate(
        model.card,
        cache=parse("cache", {"name": "full"}),
        guidance=parse("guidance", events[-1].record.spec.guidance),
        dtype="bfloat16",
    )
    assert {key.model: nbytes for key, nbytes in zoo.loaded().items()} == found.weights
    assert found.kv == tuple(row.kv_bytes for row in events[-1].record.scales)
