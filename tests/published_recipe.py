"""The published VAR recipe, which the embedded models do not follow: decayed parameters, and
schedules of learning rate and weight decay as functions of the progress of a run."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial

from torch import nn

# Embeddings of places and tables of gates, recognised by parts of their names.
NO_DECAY = (
    "pos_1LC",
    "pos_start",
    "start_pos",
    "pos_embed",
    "lvl_embed",
    "ada_gss",
    "scale_mul",
    "cls_token",
    "start_token",
    "task_token",
    "cfg_uncond",
    "gamma",
    "beta",
    "moe_bias",
)


def is_decayed(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: not to vectors, biases and what :data:`NO_DECAY` names."""
    return (
        parameter.ndim > 1
        and not name.endswith("bias")
        and not any(part in name for part in NO_DECAY)
    )


def weight_decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two parameter groups for an optimiser: decayed and not decayed.

    ``wd_scale`` (1 or 0) lets a schedule change the decay: ``weight_decay = value * wd_scale``.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (decayed if is_decayed(name, parameter) else free).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay, "wd_scale": 1.0},
        {"params": free, "weight_decay": 0.0, "wd_scale": 0.0},
    ]


# (progress after warm-up 0..1, final factor) -> factor on the peak learning rate
Decay = Callable[[float, float], float]

WARMUP_START = 0.005


def linear_after(hold: float, q: float, end: float) -> float:
    """1 until ``hold``, then a straight line to ``end``."""
    return 1.0 if q < hold else end + (1 - end) * (1 - q) / (1 - hold)


def exponential_after(hold: float, q: float, end: float) -> float:
    """1 until ``hold``, then ``end ** t`` with t from 0 to 1."""
    return 1.0 if q < hold else end ** ((q - hold) / (1 - hold))


def cosine(q: float, end: float) -> float:
    """Half a cosine from 1 to ``end``."""
    return end + (1 - end) * (0.5 + 0.5 * math.cos(math.pi * q))


def bent_line(bend: float, q: float, end: float) -> float:
    """Two straight lines that meet at ``bend``, half way between 1 and the direct line there."""
    middle = (1 + end + (1 - end) * (1 - bend)) / 2
    if q < bend:
        return 1 + (middle - 1) * q / bend
    return end + (middle - end) * (1 - q) / (1 - bend)


DECAYS: dict[str, Decay] = {
    "cos": cosine,
    "lin": partial(linear_after, 0.15),
    "lin0": partial(linear_after, 0.05),
    "lin00": partial(linear_after, 0.0),
    "exp": partial(exponential_after, 0.15),
}


def decay(name: str) -> Decay:
    """A decay by name: cos, lin, lin0, lin00, exp, or linX with X in (0, 1), e.g. lin0.8.

    Raises:
        ValueError: for another name.
    """
    if name in DECAYS:
        return DECAYS[name]
    bend = re.fullmatch(r"lin(0?\.\d+)", name)
    if bend and 0 < float(bend[1]) < 1:
        return partial(bent_line, float(bend[1]))
    raise ValueError(name)


def lr_factor(
    name: str,
    now: float,
    total: float,
    *,
    warmup: float,
    end: float,
    start: float = WARMUP_START,
) -> float:
    """Factor on the peak learning rate.

    Args:
        name: the decay, see :func:`decay`.
        now: iterations (or seconds) done, 0..total.
        total: the last value of ``now``; with T iterations counted from 0 this is T - 1.
        warmup: linear growth from ``start`` to 1 while ``now < warmup``.
        end: factor at the end, 0..1.
    """
    if now < warmup:
        return start + (1 - start) * now / warmup
    progress = min((now - warmup) / (total - warmup), 1.0) if total > warmup else 1.0
    return decay(name)(progress, end)


def weight_decay(now: float, total: float, *, first: float, last: float) -> float:
    """Weight decay that moves from ``first`` to ``last`` along half a cosine over the whole run."""
    progress = min(now / total, 1.0) if total > 0 else 1.0
    return last + (first - last) * (0.5 + 0.5 * math.cos(math.pi * progress))
