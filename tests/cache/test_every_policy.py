"""What holds for all registered policies: exact at budget 1, memory given back, rows apart."""

from __future__ import annotations

import pytest
import torch

from tests import tiny
from tests.cache.policies import SCHEDULE, Drive
from var_spaces import methods
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.loop import run as loop

BUDGETED = [
    name for name in methods.names("cache") if "budget" in methods.get("cache", name).model_fields
]


def policy(name: str, budget: float):
    return methods.parse("cache", {"name": name, "budget": budget})


def drawn(images=(0, 1), **changes):
    return tiny.drain(loop.run(tiny.setup(images, **changes)))


@pytest.mark.parametrize("name", BUDGETED)
def test_budget_one_is_the_full_cache_bit_for_bit(name):
    full, one = {}, {}
    events, ids = drawn(observe=lambda what, k, t: full.__setitem__((what, k), t))
    same, same_ids = drawn(
        observe=lambda what, k, t: one.__setitem__((what, k), t), cache=policy(name, 1)
    )
    assert all(map(torch.equal, ids, same_ids))
    assert full.keys() == one.keys()
    assert all(torch.equal(full[key], one[key]) for key in full)
    held = [[e.kv_bytes for e in run[:-2]] for run in (events, same)]
    assert held[0] == held[1]


@pytest.mark.parametrize("name", BUDGETED)
def test_memory_is_given_back(name):
    done = Drive(policy(name, 0.2), layers=6).run()
    full = Drive(methods.parse("cache", "full"), layers=6).run()
    assert done.cache.nbytes == done.cache.allocated_bytes
    assert done.cache.nbytes <= 0.22 * full.cache.nbytes
    # One layer holds the current scale on top; the others are cut down already.
    assert done.cache.peak_bytes < 0.6 * full.cache.peak_bytes
    assert full.cache.peak_bytes == full.cache.allocated_bytes


@pytest.mark.parametrize("name", BUDGETED)
def test_images_do_not_depend_on_what_shares_the_batch(name):
    same_class = ClassConditioning((3, 3))
    _, both = drawn(cache=policy(name, 0.2), conditioning=same_class)
    _, alone = drawn((1,), cache=policy(name, 0.2), conditioning=ClassConditioning((3,)))
    assert all(torch.equal(x[1:], y) for x, y in zip(both, alone, strict=True))


@pytest.mark.parametrize("name", BUDGETED)
def test_rows_can_be_reordered(name):
    """A search drops and repeats rows: what follows is that of the rows themselves."""
    runs = [Drive(policy(name, 0.2)) for _ in range(2)]
    generator = torch.Generator().manual_seed(1)
    for scale in range(4):
        state = generator.get_state()
        for run in runs:
            generator.set_state(state)
            run.scale(scale, generator)
    index = torch.tensor([1, 0])
    runs[1].cache.gather_rows(index)
    shape = (3, 2, 4, SCHEDULE.lengths[4], 8)
    q, k, v = torch.randn(shape, generator=generator).unbind(0)
    for run, rows in zip(runs, (torch.arange(2), index), strict=True):
        run.cache.begin_scale(4)
        run.out = run.cache.attend(
            0, q[rows], k[rows], v[rows], 0.5, lambda i, r=rows: q[r][:, :, i]
        )
    torch.testing.assert_close(runs[1].out, runs[0].out[index])
    for group in range(len(runs[0].cache.lengths[0])):
        kept = [run.cache.positions(0, group) for run in runs]
        assert torch.equal(kept[1], kept[0][index].expand_as(kept[1]))


@pytest.mark.parametrize("name", BUDGETED)
def test_less_cache_draws_something_else(name):
    ids = [drawn((0,), cache=policy(name, budget))[1][-1] for budget in (1, 0.1)]
    assert not torch.equal(*ids)


def test_all_are_described_without_torch_fields():
    for name in methods.names("cache"):
        described = methods.describe("cache", name)
        assert all(field.get("description") for field in described["parameters"].values()), name
        methods.cli_options(methods.get("cache", name))
