"""ScaleKV: kept tokens and logits of the released code, its budgets, calibration of the paper."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.conformance.test_infinity_loop import Given, draw
from tests.infinity import close, flat, model_of, schedule_of, tokenizer_of
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.cache.budget import BudgetPolicy, BudgetSession, Held
from var_spaces.cache.kv import KVCache
from var_spaces.cache.measure import AttentionStatistics
from var_spaces.cache.scalekv import WINDOW, ScaleKV, observation_window, window_importance
from var_spaces.cache.scalekv_budgets import allocate, choose_drafters, selectivity
from var_spaces.decoding.guidance.per_scale import ScaleGuidance
from var_spaces.schedule import ScaleSchedule

RELEASED = Path(__file__).parents[1] / "golden"
LENGTHS = (1, 4, 16, 36, 64, 144, 256, 400, 576, 1024, 1600, 2304, 4096)


class Recorded(BudgetPolicy):
    """Budgets of a file; goes on with the recorded selection after comparing its own with it."""

    name, title = "recorded", "Recorded"

    def session(self, cache, schedule):
        limits = [
            [self.case.cap(scale, layer, schedule) for layer in range(len(cache.lengths))]
            for scale in range(schedule.num_scales)
        ]
        return BudgetSession(self, cache, schedule, limits)

    def importance(self, held: Held):
        case = self.case
        importance = window_importance(held, "reference", case.pooling, case.kernel, case.window)
        if case.window == WINDOW:
            policy = ScaleKV(scoring="reference", pooling=case.pooling, kernel=case.kernel)
            assert torch.equal(policy.importance(held), importance)
        return self.case.compare(held, importance)


class Case:
    """A fixture: budgets, and what was kept."""

    def __init__(self, config: dict, tensors: dict, atol: float = 0.0) -> None:
        self.config, self.tensors, self.atol = config, tensors, atol
        self.pooling = {"avgpool": "average", "maxpool": "max"}[config["pooling"]]
        self.kernel = config.get("kernel_size", 5)
        self.window = config.get("window_size", 16)
        self.compared = 0

    def policy(self) -> Recorded:
        policy = Recorded(budget=0.5)
        object.__setattr__(policy, "case", self)
        return policy

    def cap(self, scale: int, layer: int, schedule: ScaleSchedule) -> int:
        if schedule.offsets[scale + 1] <= self.config.get("base_capacity", 0):
            return schedule.total
        entries = self.config["budgets"]
        entry = entries.get(f"Scale {scale + 2}") or (
            entries.get(f"Scale {scale + 1}") if scale == 12 else None
        )
        if entry is None:
            return schedule.total
        return entry["Max"] if entry[f"Block {layer}"] else entry["Min"]

    def compare(self, held: Held, importance: torch.Tensor) -> torch.Tensor:
        name = f"s{held.scale}_l{held.layer}"
        recorded = self.tensors.get(f"retained_{name}")
        if recorded is None:  # nothing looks back on the last scale
            return importance
        kept = in_set(held.positions, recorded)
        assert (kept.sum(-1) == held.limit).all()
        window = torch.isinf(importance) & (importance > 0)
        assert kept[window].all()
        if f"window_s{held.scale}" in self.tensors:
            ours = held.positions[0, 0, observation_window(held, "reference", self.window)]
            assert torch.equal(ours, self.tensors[f"window_s{held.scale}"].long())
        if f"scores_{name}" in self.tensors:
            scores = self.tensors[f"scores_{name}"].expand_as(importance)
            torch.testing.assert_close(
                importance[~window], scores[~window], atol=self.atol, rtol=1e-4
            )
        threshold = self.tensors.get(f"threshold_{name}")
        if threshold is None:
            lowest = importance.masked_fill(~kept, torch.inf).amin(-1)
            assert (importance.masked_fill(kept, -torch.inf).amax(-1) < lowest).all()
        else:  # entries that are equal to the threshold are interchangeable
            threshold = threshold.unsqueeze(-1)
            assert (kept | (importance <= threshold + self.atol)).all()
            assert (~kept | (importance >= threshold - self.atol)).all()
        self.compared += 1
        return kept.float()


def in_set(positions: torch.Tensor, recorded: torch.Tensor) -> torch.Tensor:
    """Which of ``positions (rows, g, n)`` are in ``recorded (rows, g, m)``."""
    return (positions.unsqueeze(-1) == recorded.long().unsqueeze(-2)).any(-1)


def evictions(tensors: dict, schedule: ScaleSchedule) -> int:
    """Scales and layers of a fixture after which less was kept than there was."""
    held = {n: t.shape[-1] for n, t in tensors.items() if n.startswith("retained_s")}
    found = 0
    for name, count in held.items():
        scale, layer = (int(part[1:]) for part in name.removeprefix("retained_").split("_"))
        before = held[f"retained_s{scale - 1}_l{layer}"] if scale else 0
        found += count < before + schedule.lengths[scale]
    return found


@pytest.mark.golden("scalekv_infer_")
def test_inference(golden):
    spec, tensors = golden.spec, golden.tensors
    case = next(name for name in ("avgpool", "maxpool") if name in golden.stem)
    weights = golden.stem.replace(f"scalekv_infer_{case}", "infinity_tiny_weights")
    tokens = golden.stem.replace(f"scalekv_infer_{case}", "infinity_bsq_tokenizer")
    backbone = model_of(spec, golden.state("", file=f"{weights}.safetensors"))
    about = json.loads((golden.folder / f"{tokens}.json").read_text())
    tokenizer = tokenizer_of(about, golden.state("w.", file=f"{tokens}.safetensors"))
    schedule = schedule_of(spec["scale_schedule"])
    bits = [flat(tensors[f"bits_{k}"]) for k in range(schedule.num_scales)]
    atol = spec["tolerance"]["float32_atol"]
    followed = Case(spec["scalekv"], tensors, atol)
    seen, _ = draw(
        tokenizer,
        backbone,
        schedule,
        Given(TextFeatures(tensors["text_features"], spec["text_lens"])),
        ScaleGuidance(scale=spec["cfg_list"]),
        spec["tau_list"],
        bits[: len(spec["forced_scales"])],
        followed.policy(),
    )
    assert followed.compared == evictions(tensors, schedule) > 0
    for k in range(schedule.num_scales):
        close(seen["filtered"][k], tensors[f"logits_{k}"], spec)
        assert torch.equal(seen["ids"][k], bits[k])
    close(seen["f_hat"][schedule.num_scales - 1], tensors["summed_codes"], spec)


@pytest.mark.golden("scalekv_update_official")
def test_cache_update_with_released_budgets(golden):
    spec, tensors = golden.spec, golden.tensors
    config = dict(spec["scalekv"])
    file = golden.folder / config["budget_file"]
    file = file if file.is_file() else RELEASED / config["budget_file"]
    config["budgets"] = json.loads(file.read_text())
    q, k = tensors["q_all"].float(), tensors["k_all"].float()
    schedule = ScaleSchedule.square([round(n**0.5) for n in LENGTHS])
    for layer in spec["layers"]:
        # The fixture has one layer; it plays the part of layer ``layer``.
        own = {
            name.replace(f"_l{layer}_", "_").replace("_s", "_l0_s"): t
            for name, t in tensors.items()
            if f"_l{layer}_" in name
        }
        own = {f"{n.split('_')[0]}_{n.split('_')[2]}_l0": t for n, t in own.items()}
        own |= {name: t for name, t in tensors.items() if name.startswith("window")}
        budgets = {
            name: {**entry, "Block 0": entry[f"Block {layer}"]}
            for name, entry in config["budgets"].items()
        }
        case = Case({**config, "budgets": budgets}, own, 1e-5)
        policy = case.policy()
        rows, heads, _, head_dim = q.shape
        sizes = {"layers": 1, "rows": rows, "heads": heads, "head_dim": head_dim}
        cache = policy.new_cache(schedule, **sizes, dtype=q.dtype, device="cpu")
        session = policy.session(cache, schedule)
        for scale, before, after in spec["counts_[scale_index, cache_length_before, after]"][
            str(layer)
        ]:
            cache.begin_scale(scale)
            here = q[:, :, schedule.span(scale)], k[:, :, schedule.span(scale)]
            advance(cache, *here, before)
            assert cache.lengths == ((after,),)
        assert session.limits[-1][0] == after
        assert case.compared == len([name for name in own if name.startswith("retained")])


def advance(cache: KVCache, q: torch.Tensor, k: torch.Tensor, before: int) -> None:
    assert cache.lengths[0][0] + k.shape[2] == before
    cache.attend(0, q, k, k, 1.0, lambda index: q[:, :, index])


@pytest.mark.golden("scalekv_budget_allocation")
def test_budget_allocation(golden):
    for case in golden.spec["cases"]:
        drafters = {int(n) - 1: count for n, count in case["drafters_per_scale"].items()}
        budgets = allocate(
            LENGTHS, case["uniform_budget"], case["layers"], drafters, case["refiner_floor"]
        )
        assert {str(k + 1): tuple(budget) for k, budget in budgets.items()} == {
            n: (want["Max"], want["Min"], want["Limit"]) for n, want in case["result"].items()
        }


@pytest.mark.parametrize("budget", [650 / 6425, 0.1012])  # the second as docs/cache.md gives it
@pytest.mark.parametrize("size, layers, heads", [("2b", 32, 16), ("8b", 40, 28)])
def test_published_budgets_follow_from_the_shipped_drafters(size, layers, heads, budget):
    released = json.loads((RELEASED / f"scalekv_{size}_10pct_budget.json").read_text())
    schedule = ScaleSchedule.square([round(n**0.5) for n in LENGTHS])
    policy = ScaleKV(budget=budget, calibration=f"infinity-{size}-scalekv")
    limits = policy.limits(schedule, layers, heads)
    for scale in range(12):
        entry = released.get(f"Scale {scale + 2}")
        for layer in range(layers):
            want = schedule.total
            if entry:
                want = entry["Max"] if entry[f"Block {layer}"] else entry["Min"]
            assert limits[scale][layer] == want
    assert limits[12] == limits[11]


@pytest.mark.parametrize("size, layers, heads, width", [("2b", 32, 16, 2048), ("8b", 40, 28, 3584)])
@pytest.mark.parametrize(
    "tokens, mib", [(1300, (7800, 17062)), (650, (3900, 8531)), (265, (1590, 3478))]
)
def test_memory_of_the_published_table(size, layers, heads, width, tokens, mib):
    """History of 16 rows (8 images, guided) with float32 keys and bfloat16 values."""
    schedule = ScaleSchedule.square([round(n**0.5) for n in LENGTHS])
    limits = ScaleKV(budget=tokens / 6425).limits(schedule, layers, heads)
    per_entry = 16 * width * (4 + 2)
    held = sum(limits[-1]) * per_entry / 2**20
    assert held == pytest.approx(mib[size == "8b"], abs=1)


@pytest.mark.golden("scalekv_calibration")
def test_drafters_from_attention(golden):
    config, tensors = golden.spec["config"], golden.tensors
    schedule = ScaleSchedule(tuple((1, n) for n in config["scale_tokens"]))
    scores = {}
    for k in range(1, schedule.num_scales):
        attention = tensors[f"attn_scale{k}"].float()
        current, top = [], []
        for layer in range(config["layers"]):
            statistics = AttentionStatistics(schedule, k, config["K_prime"])
            for part in attention[:, layer].split(3, dim=2):
                statistics.add(part)
            statistics.finish()
            current.append(statistics.current())
            top.append(statistics.history_top())
        near = {"atol": 1e-6, "rtol": 1e-5}
        torch.testing.assert_close(torch.tensor(current), tensors["current_ratio"][:, k], **near)
        torch.testing.assert_close(torch.tensor(top), tensors["history_topk"][:, k], **near)
        scores[k] = selectivity(current, top)
        near = {"atol": 1e-3, "rtol": 1e-4}
        torch.testing.assert_close(torch.tensor(scores[k]), tensors["z"][:, k], **near)
    drafters = choose_drafters(scores, config["N_d"])
    assert [list(pair) for pair in drafters] == tensors["drafters"].tolist()
