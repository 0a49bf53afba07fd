"""Muon for the matrices, AdamW for the rest, behind one optimiser object.

Muon orthogonalises the momentum of every weight matrix with a Newton-Schulz iteration
(https://kellerjordan.github.io/posts/muon/); the update is scaled to AdamW's typical RMS so that
both share one learning rate (https://arxiv.org/abs/2502.16982, eq. 4). Convolution kernels count as
``(out, in * kh * kw)`` matrices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Quintic coefficients that drive singular values towards 1 in few steps.
NS_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ADAM_RMS = 0.2


def orthogonalise(matrices: Tensor, steps: int = 5, half: bool = False) -> Tensor:
    """Newton-Schulz iteration on a batch ``(N, rows, cols)``; returns near-orthogonal matrices.

    Args:
        half: work in bfloat16 on a CPU too, as on CUDA.
    """
    a, b, c = NS_COEFFICIENTS
    x = matrices.bfloat16() if matrices.is_cuda or half else matrices.float()
    wide = x.shape[-2] <= x.shape[-1]
    x = x if wide else x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.mT).to(matrices.dtype)


class MuonAdamW(torch.optim.Optimizer):
    """One step rule per group: ``rule="muon"`` for matrices, ``rule="adamw"`` for everything else.

    Args:
        groups: parameter groups, each with ``params`` and ``rule``, and optionally ``weight_decay``
            and ``lr_scale``.
        lr: peak learning rate; a schedule multiplies ``group["lr"]``.
        momentum: Muon's Nesterov momentum, 0..1.
        betas, eps: AdamW's.
        half: orthogonalise in bfloat16 on a CPU too.
    """

    def __init__(
        self,
        groups: Iterable[dict],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        half: bool = False,
    ) -> None:
        self.half = half
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "betas": betas,
            "eps": eps,
            "weight_decay": 0.0,
            "rule": "adamw",
        }
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            if group["weight_decay"]:
                torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            (self._muon if group["rule"] == "muon" else self._adamw)(params, group)

    def _muon(self, params: list[Tensor], group: dict) -> None:
        by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for p in params:
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            state["momentum"].lerp_(p.grad, 1 - group["momentum"])
            by_shape[p.flatten(1).shape].append(p)
        for (rows, cols), same in by_shape.items():
            look_ahead = torch.stack(
                [p.grad.lerp(self.state[p]["momentum"], group["momentum"]).flatten(1) for p in same]
            )
            update = orthogonalise(look_ahead, half=self.half)
            scale = group["lr"] * ADAM_RMS * max(rows, cols) ** 0.5
            for p, delta in zip(same, update, strict=True):
                p.add_(delta.view_as(p), alpha=-scale)

    def _adamw(self, params: list[Tensor], group: dict) -> None:
        beta1, beta2 = group["betas"]
        for p in params:
            state = self.state[p]
            if not state:
                state.update(step=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
            state["step"] += 1
        grads = [p.grad for p in params]
        means = [self.state[p]["mean"] for p in params]
        squares = [self.state[p]["square"] for p in params]
        step = self.state[params[0]]["step"]
        torch._foreach_lerp_(means, grads, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, grads, grads, 1 - beta2)
        denominators = torch._foreach_div(squares, 1 - beta2**step)
        torch._foreach_sqrt_(denominators)
        torch._foreach_add_(denominators, group["eps"])
        torch._foreach_addcdiv_(params, means, denominators, -group["lr"] / (1 - beta1**step))


def matrix_groups(
    model: nn.Module, *, weight_decay: float = 0.0, keep_adamw: Iterable[str] = ()
) -> list[dict]:
    """Split parameters: matrices and kernels to Muon, vectors and embeddings to AdamW.

    Args:
        keep_adamw: parts of parameter names that stay with AdamW although they are matrices
            (embeddings, output heads).
    """
    muon, adamw = [], []
    keep = tuple(keep_adamw)
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        is_matrix = p.ndim >= 2 and min(p.flatten(1).shape) >= 8
        excluded = any(part in name for part in keep)
        (muon if is_matrix and not excluded else adamw).append(p)
    return [
        {"params": muon, "rule": "muon", "weight_decay": weight_decay},
        {"params": adamw, "rule": "adamw", "weight_decay": 0.0},
    ]
