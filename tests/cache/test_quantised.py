"""Quantised storage: bounded error, exact bytes, and any policy inside."""

from __future__ import annotations

import pytest
import torch

from tests import tiny
from tests.cache.policies import SCHEDULE, Drive
from var_spaces import methods
from var_spaces.cache.full import Full
from var_spaces.cache.quantised import Quantised
from var_spaces.cache.quantised_storage import QuantisedStorage
from var_spaces.decoding.loop import run as loop
from var_spaces.errors import VarSpacesError


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("size", [1e-3, 1.0, 100.0])
def test_error_is_half_a_step(bits, size):
    storage = QuantisedStorage(bits)
    assert storage.layout(16, torch.float32) == (16 * bits // 8 + 4, torch.uint8)
    x = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(0)) * size
    back = storage.decode(storage.encode(x))
    step = (x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True)) / (2**bits - 1)
    assert ((back - x).abs() <= 0.52 * step + 2e-3 * x.abs().amax()).all()
    assert (back - x).abs().mean() < 0.3 * step.mean()


def test_equal_channels_survive():
    storage = QuantisedStorage(4)
    x = torch.full((2, 4), 0.5)
    assert torch.equal(storage.decode(storage.encode(x)), x)


@pytest.mark.parametrize(("bits", "bytes_per_head"), [(8, 12), (4, 8)])
def test_bytes(bits, bytes_per_head):
    done = Drive(Quantised(bits=bits)).run()
    assert done.cache.nbytes == 2 * 3 * 2 * 4 * SCHEDULE.total * bytes_per_head
    assert done.cache.full_nbytes == Drive(Full()).run().cache.nbytes


def test_attention_is_close_to_that_of_the_full_cache():
    exact, close, rough = (
        Drive(policy).run() for policy in (Full(), Quantised(), Quantised(bits=4))
    )
    errors = [
        (a.outputs[4][0] - exact.outputs[4][0]).abs().max().item() for a in (exact, close, rough)
    ]
    assert errors[0] == 0 < errors[1] < 0.05
    assert errors[1] < errors[2] < 0.5


@pytest.mark.parametrize(
    "name", [name for name in methods.names("cache") if name not in ("full", "none", "quantised")]
)
def test_around_any_policy(name):
    policy = Quantised(policy=name, policy_budget=0.2)
    inner = Drive(policy.inner()).run()
    outer = Drive(policy).run()
    assert outer.lengths == inner.lengths
    assert outer.cache.nbytes < 0.5 * inner.cache.nbytes
    setup = tiny.setup((0,), cache=Quantised(bits=4, policy=name, policy_budget=0.2))
    _, ids = tiny.drain(loop.run(setup))
    assert len(ids) == setup.schedule.num_scales


def test_refusals():
    with pytest.raises(VarSpacesError, match="another policy"):
        Quantised(policy="quantised")
    with pytest.raises(VarSpacesError, match="Did you mean 'h2o'"):
        Quantised(policy="h20")
    with pytest.raises(VarSpacesError, match="calibrate MODEL"):  # as the policy inside says
        Quantised(policy="scalekv", policy_budget=0.3).check(SCHEDULE, 7, 5)
    with pytest.raises(VarSpacesError, match="3 channels do not fill whole bytes"):
        QuantisedStorage(4).layout(3, torch.float32)
