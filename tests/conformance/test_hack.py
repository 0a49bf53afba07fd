"""HACK: classification of heads, budgets and selection as the fixtures record them."""

from __future__ import annotations

import pytest
import torch

from tests.tiny import sides_of
from var_spaces.cache.hack_budgets import contextual_heads, split_budget
from var_spaces.cache.hack_session import HackSession, Kind
from var_spaces.cache.kv import KVCache
from var_spaces.cache.measure import AttentionStatistics
from var_spaces.cache.merging import nearest, others


@pytest.mark.golden("hack_classify")
def test_classification(golden):
    config, tensors = golden.spec["config"], golden.tensors
    schedule = sides_of(config["pn"])
    variance = []
    for layer in range(config["L"]):
        statistics = AttentionStatistics(schedule, schedule.num_scales - 1)
        for sample in tensors["attn"][:, layer].unsqueeze(1):  # one run each, queries in chunks
            for part in sample.split(5, dim=2):
                statistics.add(part)
            statistics.finish()
        variance.append(statistics.column_variance().tolist())
    found = torch.tensor(variance)
    torch.testing.assert_close(found, tensors["column_variance"], atol=1e-6, rtol=0)
    contextual = torch.tensor(contextual_heads(variance, config["alpha"]))
    assert torch.equal(contextual, tensors["is_contextual"].bool())
    assert contextual.sum() == config["n_contextual_at_alpha"]
    assert contextual.sum(1).tolist() == config["contextual_per_layer"]
    order = contextual.int().argsort(dim=1, descending=True, stable=True)
    assert torch.equal(order, tensors["head_permutation"])
    true = tensors["true_pattern_contextual"].bool()
    share = config["n_contextual_true"] / (config["L"] * config["H"])
    assert torch.equal(torch.tensor(contextual_heads(variance, share)), true)


@pytest.mark.golden("hack_budget")
def test_budgets(golden):
    ratio = golden.spec["config"]["structural_to_contextual_ratio"]
    schedules = golden.spec["config"]["schedules"]
    for i, row in enumerate(golden.spec["rows"]):
        total = sides_of(schedules[row["schedule"]]).total
        small, large = split_budget((1 - row["rho"]) * total, total, row["alpha"], ratio)
        assert (total, small, large) == (row["T"], row["B_C"], row["B_S"])
        assert small == golden.tensors["B_C"][i]
        assert large == golden.tensors["B_S"][i]


@pytest.mark.golden("hack_select")
@pytest.mark.parametrize("merging", ["pivotal", "none"])
def test_selection(golden, merging):
    config, tensors = golden.spec["config"], golden.tensors
    schedule = sides_of(config["pn"])
    kinds = {"C": Kind(False, config["B_C"]), "S": Kind(True, config["B_S"])}
    groups = {
        kind: [h for h, letter in enumerate(config["kinds"]) if letter == kind]
        for kind in kinds
        if kind in config["kinds"]
    }
    cache = KVCache(
        layers=1,
        rows=1,
        heads=config["H"],
        head_dim=config["d"],
        capacity=schedule.total,
        head_groups=[list(groups.values())],
        preallocate=False,
    )
    session = HackSession(
        cache, schedule, [[kinds[kind] for kind in groups]], config["N_obs"], merging
    )
    assert session.initial == config["N_init"]
    for scale in range(schedule.num_scales):
        q, k, v = (tensors[f"step{scale}.{name}"].unsqueeze(0) for name in "qkv")
        held = [(view.k.clone(), cache.positions(0, g)) for g, view in enumerate(cache.views(0))]
        cache.begin_scale(scale)
        out = cache.attend(0, q, k, v, config["d"] ** -0.5)[0]
        for g, (letter, heads) in enumerate(groups.items()):
            kept = cache.positions(0, g)[0]
            assert kept.shape[-1] <= kinds[letter].budget
            for i, head in enumerate(heads):
                name = f"step{scale}.h{head}"
                assert torch.equal(kept[i], tensors[f"{name}.kept_token_ids"])
                want = tensors[f"step{scale}.out"][head]
                if merging == "none":
                    want = tensors.get(f"{name}.out_without_merge", want)
                torch.testing.assert_close(out[head], want, atol=1e-5, rtol=1e-5)
                if f"{name}.merge_target" in tensors:
                    keys = torch.cat((held[g][0][:, i : i + 1], k[:, head : head + 1]), 2)
                    new = torch.arange(*schedule.offsets[scale : scale + 2])
                    positions = torch.cat((held[g][1][0, i], new))
                    index = torch.searchsorted(positions, kept[i])[None, None]
                    rest = others(index, len(positions))
                    target = nearest(keys[:, :, rest[0, 0]], keys[:, :, index[0, 0]])
                    assert torch.equal(target[0, 0], tensors[f"{name}.merge_target"])
