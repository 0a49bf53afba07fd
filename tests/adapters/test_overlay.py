"""Shells: other weights over a model that stays what it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from var_spaces.adapters.low_rank import Update, fresh_updates, updated
from var_spaces.adapters.overlay import with_weights
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.errors import VarSpacesError

PATCHES = (1, 2)


@pytest.fixture(params=[1, 2], ids=["flat", "chunked"])
def model(request):
    sizes = {"depth": 2, "width": 48, "heads": 2, "latent_dim": 6, "text_dim": 32, "text_len": 8}
    model = Infinity(InfinityConfig(**sizes, patch_nums=PATCHES, chunks=request.param))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    return model.eval().requires_grad_(False)


@pytest.fixture
def inputs():
    return TextFeatures(torch.randn(5, 32), (2, 3)), torch.randn(2, 4, 6)


def feed_forward(name: str) -> bool:
    return ".ffn." in name


def test_a_shell_has_other_weights_and_the_base_its_own(model, inputs):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = model(*inputs)
    other = {n: torch.randn_like(p) for n, p in model.named_parameters() if feed_forward(n)}
    shell = with_weights(model, other)
    changed = shell(*inputs)
    assert not torch.allclose(changed, plain)
    assert torch.equal(model(*inputs), plain)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    # it equals a model that was loaded with these weights, and shares all others
    model.load_state_dict({**before, **other})
    assert torch.equal(model(*inputs), changed)
    shared = dict(shell.named_parameters())
    assert all(shared[n] is p for n, p in model.named_parameters() if not feed_forward(n))


def test_weights_of_a_shell_are_trained_alone(model, inputs):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start = {n: nn.Parameter(p.clone()) for n, p in model.named_parameters() if feed_forward(n)}
    shell = with_weights(model, start)
    optimizer = torch.optim.AdamW(start.values(), lr=1e-2)
    losses = []
    for _ in range(3):
        loss = shell(*inputs).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[2] < losses[0]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_low_rank_layers_start_from_nothing_and_merge(model, inputs):
    plain = model(*inputs)
    layers = fresh_updates(model, lambda name: ".sa." in name or ".ca." in name, rank=2, alpha=4)
    assert {name.rsplit(".", 1)[1] for name in layers} == {"mat_qkv", "proj", "mat_q", "mat_kv"}
    assert not any(
        "text_proj" in n for n in fresh_updates(model, lambda n: n.startswith("b"), 2, 4)
    )
    shell = updated(model, layers)
    assert torch.equal(shell(*inputs), plain)
    merged = {}
    for name, layer in layers.items():
        nn.init.normal_(layer.up.weight)
        weight = model.get_submodule(name).weight
        merged[f"{name}.weight"] = weight + 2 * layer.up.weight @ layer.down.weight
    torch.testing.assert_close(shell(*inputs), with_weights(model, merged)(*inputs))
    assert torch.equal(model(*inputs), plain)


def test_low_rank_parameters_are_few():
    layer = Update(20, 30, rank=3)
    assert sum(p.numel() for p in layer.parameters()) == 3 * (20 + 30)


def test_a_module_whose_weights_come_by_hooks_is_refused(model, monkeypatch):
    """They would come to the original, not to its shell."""
    monkeypatch.setattr(model.head, "_hf_hook", object(), raising=False)
    with pytest.raises(VarSpacesError, match="need the model in one place"):
        with_weights(model, {"head.bias": torch.zeros_like(model.head.bias)})


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(VarSpacesError, match="no such parameter"):
        with_weights(model, {"head.wait": torch.zeros(1)})
    with pytest.raises(VarSpacesError, match=r"of shape \(1,\) do not fit"):
        with_weights(model, {"head.bias": torch.zeros(1)})
