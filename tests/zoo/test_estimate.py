"""Estimates against runs: KV bytes after every scale and weights are equal, for every policy."""

from __future__ import annotations

import pytest

from tests import searching
from tests.infinity import write_models
from var_spaces import api, cpu, methods
from var_spaces.errors import VarSpacesError
from var_spaces.events import ScaleDone
from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo import fitting
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.duration import gpu_seconds
from var_spaces.zoo.estimate import Estimate, estimate
from var_spaces.zoo.fitting import report, what_fits
from var_spaces.zoo.residency import ZOO, Residency


def parts(cache="full", scale=2.0):
    guidance = methods.parse("guidance", {"name": "linear", "scale": scale})
    return {"cache": methods.parse("cache", {"name": cache}), "guidance": guidance}


MODES = [
    {"name": "scalekv", "scoring": "reference"},
    {"name": "hack", "heads": "swapped"},
    {"name": "hack", "mode": "hack++"},
    {"name": "quantised", "bits": 4, "policy": "scalekv", "policy_budget": 0.3},
]
POLICIES = [{"name": name} for name in methods.names("cache")] + MODES


@pytest.mark.parametrize("cache", POLICIES, ids=str)
@pytest.mark.parametrize(("count", "scale"), [(1, 2.0), (3, 0.0)])
def test_kv_bytes_are_those_of_a_run(use_tiny_models, cache, count, scale):
    policy = {**parts(scale=scale), "cache": methods.parse("cache", cache)}
    found = estimate(get_card("tiny-var"), count=count, **policy)
    spec, _ = api.make_spec("tiny-var", cache=cache, count=count, guidance=scale)
    events = api.stream(spec, previews=False, device="cpu")
    measured = [event.kv_bytes for event in events if isinstance(event, ScaleDone)]
    assert list(found.kv) == measured


STRATEGIES = [
    {"name": "plain"},
    {"name": "collaborative", "refiner": "tiny-var", "drafted": 1},
    {"name": "collaborative", "refiner": "tiny-var", "drafted": 3},
    {"name": "collaborative", "refiner": "tiny-var", "drafted": 1, "refiner_guidance": [0]},
    {"name": "best-of-n", "candidates": 5, "reward": "test-redness"},
    {"name": "importance-sampling", "candidates": 3, "reward": "test-redness"},
    {"name": "tts-var", "sizes": [4, 3, 2], "cluster_scales": [0], "resample_scales": [1]}
    | searching.ON,
]


@pytest.mark.parametrize("decoding", STRATEGIES, ids=str)
@pytest.mark.parametrize("cache", ["full", "sliding-window"])
def test_kv_bytes_of_every_strategy_are_those_of_a_run(use_tiny_models, decoding, cache):
    strategy = methods.parse("decoding", decoding)
    try:
        strategy.check_schedule(get_card("tiny-var").schedule)
    except VarSpacesError:
        pytest.skip("three scales are too few for it")
    found = estimate(get_card("tiny-var"), count=2, decoding=strategy, **parts(cache))
    spec, _ = api.make_spec("tiny-var", cache=cache, count=2, guidance=2.0, decoding=decoding)
    events = list(api.stream(spec, previews=False, device="cpu"))
    assert list(found.kv) == [event.kv_bytes for event in events if isinstance(event, ScaleDone)]


def test_what_is_needed_at_once():
    """Decoder and activations never meet; a search decodes beside its largest cache."""
    parts = {"weights": {"a": 7, "b": 3}, "kv": (50, 30), "kv_peak": 60}
    assert Estimate(**parts, activations=5, decoder=40).total == 10 + 30 + 40
    assert Estimate(**parts, activations=15, decoder=40).total == 10 + 60 + 15
    assert Estimate(**parts, activations=15, decoder=40, searches=True).total == 10 + 50 + 40


def test_fewer_blocks_need_fewer_bytes():
    """Half of the blocks at late scales: half of the cache in the end, and a lower peak."""
    strategy = methods.parse("decoding", {"name": "supernet", "depth": 8, "bridge": 6})
    card = get_card("var-d16")
    plain, found = (estimate(card, decoding=d, **parts()) for d in (None, strategy))
    assert found.kv[:6] == plain.kv[:6] and found.kv[-1] * 2 == plain.kv[-1]
    assert found.kv_peak < plain.kv_peak and found.weights == plain.weights


def test_partners_and_candidates_count():
    """A pair of published models: weights of both, the cache of whoever draws."""
    large, small = get_card("code-drafter-8"), get_card("code-refiner-8")
    pair = {"name": "collaborative", "refiner": small.id, "drafted": 8}
    found = estimate(large, decoding=methods.parse("decoding", pair), **parts())
    alone = {card.id: estimate(card, **parts()) for card in (large, small)}
    assert found.weights == alone[large.id].weights | alone[small.id].weights
    assert found.kv[:8] == alone[large.id].kv[:8] and found.kv[8:] == alone[small.id].kv[8:]
    many = methods.parse("decoding", {"name": "best-of-n", "candidates": 64})
    plain, best = (estimate(small, decoding=d, **parts()) for d in (None, many))
    assert best.kv[-2] == 64 * plain.kv[-2] and best.kv_peak >= 64 * plain.kv_peak
    assert best.total > 20 * (plain.total - sum(plain.weights.values()))
    seconds = [gpu_seconds(small, small.schedule, 2, 1, d) for d in (None, many)] + [
        gpu_seconds(large, large.schedule, 2, 1, methods.parse("decoding", pair))
    ]
    assert seconds[1] > 1.5 * seconds[0] and seconds[2] > seconds[0]


def test_a_strategy_that_does_not_fit_is_refused():
    wrong = methods.parse(
        "decoding", {"name": "collaborative", "refiner": "var-d16", "drafted": 63}
    )
    with pytest.raises(VarSpacesError, match="drafted = 63"):
        estimate(get_card("var-d16"), decoding=wrong, **parts())


def test_weights_are_those_in_memory(use_tiny_models):
    found = estimate(get_card("tiny-var"), **parts())
    zoo = Residency()
    zoo.model("tiny-var", "cpu")
    assert {key.model: nbytes for key, nbytes in zoo.loaded().items()} == found.weights


def test_published_models():
    """Uncompressed caches with guidance, two bytes per number (checked arithmetic)."""
    known = {"var-d16": 85.0, "var-d30": 298.8}
    for model, mebibytes in known.items():
        found = estimate(get_card(model), dtype="bfloat16", **parts())
        assert found.kv[-1] / 2**20 == pytest.approx(mebibytes, abs=0.05)
        assert found.kv_peak == found.kv[-1] == max(found.kv)
    assert found.total > sum(found.weights.values()) + found.kv_peak


def test_any_schedule_of_a_text_model(tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(write_models(tmp_path)))
    card, wide = get_card("tiny-t2i"), ScaleSchedule(((1, 1), (2, 4)))
    found = estimate(card, schedule=wide, **parts())
    assert found.kv == (2 * 2 * 48 * 2 * 4, 9 * 2 * 2 * 48 * 2 * 4)


@pytest.mark.parametrize("slow", [False, True])
def test_what_fits(use_tiny_models, monkeypatch, slow):
    monkeypatch.setattr(cpu, "is_slow", lambda dtype: slow)
    card = get_card("tiny-var")
    chosen = {**parts(), "count": 8}
    need = estimate(card, **chosen).total
    name = "int8" if slow else "bfloat16"  # nobody is told to take what is emulated
    few = {"quant": name} if slow else {"dtype": name}
    changes = {
        f"weights in {name}": few,
        "one image at a time": {"count": 1},
        f"one image at a time, weights in {name}": {"count": 1, **few},
    }
    for words, change in changes.items():
        total = estimate(card, **{**chosen, **change}).total
        assert total < need
        assert what_fits(card, total, **chosen) == words
    assert what_fits(card, 1, **chosen) is None
    assert "fits" in report(card, memory=need, **chosen).verdict
    assert report(card, memory=1, **chosen).verdict.endswith("what would: a smaller model.")


def test_weights_that_are_here_need_no_more_room(use_tiny_models, monkeypatch):
    monkeypatch.setattr(fitting, "free_memory", lambda device: 1000)
    ZOO.clear()
    assert report(get_card("tiny-var"), **parts()).memory == 1000
    ZOO.model("tiny-var", "cpu")
    found = report(get_card("tiny-var"), **parts())
    assert found.memory == 1000 + sum(found.estimate.weights.values())
    ZOO.clear()


def test_few_bits_make_a_large_model_fit():
    chosen = parts("full", 3.0)
    big = get_card("var-d16")
    totals = {q: estimate(big, quant=q, dtype="bfloat16", **chosen) for q in ("none", "nf4")}
    weights = {quant: found.weights["var-d16"] for quant, found in totals.items()}
    assert weights["none"] == pytest.approx(0.62e9, rel=0.02)
    assert 0.25 < weights["nf4"] / weights["none"] < 0.35
    assert what_fits(big, totals["nf4"].total, dtype="bfloat16", **chosen) == "weights in nf4"
    least = min(estimate(big, quant=few, **chosen).total for few in ("int8", "nf4"))
    assert "VAR_SPACES_DEVICE=cuda,cpu,disk" in what_fits(big, least - 1, **chosen)


def test_unknown_types(use_tiny_models):
    with pytest.raises(VarSpacesError, match="choose float32, bfloat16, float16"):
        estimate(get_card("tiny-var"), dtype="int3", **parts())
