"""Blocks are compiled in place: names, results and gradients stay; what has none is refused."""

from __future__ import annotations

import copy

import pytest
import torch

from tests import tiny
from var_spaces.errors import VarSpacesError
from var_spaces.training.engine.compiling import compile_blocks


def gradients(model):
    labels = torch.tensor([1, 2])
    length = model.schedule.total - 1
    tokens = torch.linspace(-1, 1, 2 * length * model.config.latent_dim)
    model(labels, tokens.view(2, length, -1)).square().mean().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_compiled_blocks_learn_the_same():
    plain = copy.deepcopy(tiny.backbone()).requires_grad_()
    own = copy.deepcopy(plain)
    compile_blocks(own, backend="eager")
    assert own.state_dict().keys() == plain.state_dict().keys()
    expected = gradients(plain)
    found = gradients(own)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name])


def test_the_average_of_a_compiled_network_is_not_compiled():
    model = copy.deepcopy(tiny.backbone())
    compile_blocks(model, backend="eager")
    blocks = list(copy.deepcopy(model).blocks)
    assert all(block._compiled_call_impl is None for block in blocks)
    assert all(block._compiled_call_impl is not None for block in model.blocks)


def test_a_network_without_blocks_is_refused():
    with pytest.raises(VarSpacesError, match="no blocks"):
        compile_blocks(tiny.tokenizer())
