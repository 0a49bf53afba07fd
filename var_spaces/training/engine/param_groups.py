"""Which parameters are decayed: the grouping of the published VAR recipe."""

from __future__ import annotations

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
