"""Muon and AdamW behind one optimiser."""

from __future__ import annotations

import torch
from torch import nn

from var_spaces.training.engine.optim import ADAM_RMS, MuonAdamW, matrix_groups, orthogonalise


def test_orthogonalise_brings_singular_values_near_one():
    torch.manual_seed(0)
    for shape in ((3, 16, 40), (2, 40, 16)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape), steps=8))
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_adamw_rule_equals_torch():
    torch.manual_seed(0)
    ours = nn.Parameter(torch.randn(5, 3))
    theirs = nn.Parameter(ours.detach().clone())
    settings = {"lr": 1e-2, "betas": (0.9, 0.95), "eps": 1e-8}
    group = {"params": [ours], "rule": "adamw", "weight_decay": 0.1}
    mine = MuonAdamW([group], **settings)
    reference = torch.optim.AdamW([theirs], weight_decay=0.1, **settings)
    for _ in range(5):
        gradient = torch.randn(5, 3)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        reference.step()
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_muon_steps_have_adams_size_and_cover_kernels():
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.zeros(32, 16, 3, 3))
    optimizer = MuonAdamW([{"params": [kernel], "rule": "muon"}], lr=1.0)
    kernel.grad = torch.randn_like(kernel)
    optimizer.step()
    # An orthogonal 32 x 144 matrix times 0.2 sqrt(144) has entries of RMS about 0.2.
    assert 0.6 * ADAM_RMS < kernel.square().mean().sqrt() < 1.4 * ADAM_RMS


def test_muon_makes_a_mixture_of_gradient_and_average_orthogonal():
    """Nesterov's momentum as published, decoupled decay, and a step of Adam's size."""
    torch.manual_seed(0)
    matrix, average, want = nn.Parameter(torch.ones(8, 16)), torch.zeros(8, 16), torch.ones(8, 16)
    group = {"params": [matrix], "rule": "muon", "weight_decay": 0.1}
    optimizer = MuonAdamW([group], lr=0.5, momentum=0.9)
    for _ in range(3):
        matrix.grad = torch.randn(8, 16)
        average = 0.9 * average + 0.1 * matrix.grad
        ahead = 0.1 * matrix.grad + 0.9 * average
        want = want * (1 - 0.5 * 0.1) - 0.5 * ADAM_RMS * 16**0.5 * orthogonalise(ahead[None])[0]
        optimizer.step()
    torch.testing.assert_close(matrix.detach(), want)


def test_groups_cover_every_trained_parameter_once():
    """Matrices of a few rows are no matrices to Muon."""
    model = nn.Sequential(
        nn.Linear(16, 16), nn.LayerNorm(16), nn.Embedding(9, 16), nn.Conv2d(8, 8, 3)
    )
    model.append(nn.Linear(16, 7)).append(nn.Linear(16, 16).requires_grad_(False))
    groups = matrix_groups(model, keep_adamw=("2.",))
    ids = [id(p) for group in groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert [p.shape for p in groups[0]["params"]] == [(16, 16), (8, 8, 3, 3)]


def test_state_survives_saving(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(16, 16)
    optimizer = MuonAdamW(matrix_groups(model), lr=1e-2)
    model(torch.randn(4, 16)).square().mean().backward()
    optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    again = MuonAdamW(matrix_groups(model), lr=1e-2)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for p in model.parameters():
        for key, value in optimizer.state[p].items():
            assert torch.equal(torch.as_tensor(again.state[p][key]), torch.as_tensor(value))
