"""Builds modules that have shapes but no memory, fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# What initialisation does to a tensor in place, from torch.nn.init and torch.Tensor.
FILLS = frozenset(
    [
        "normal_",
        "uniform_",
        "trunc_normal_",
        "bernoulli_",
        "kaiming_normal_",
        "kaiming_uniform_",
        "xavier_normal_",
        "xavier_uniform_",
        "constant_",
        "zeros_",
        "ones_",
        "zero_",
        "fill_",
        "mul_",
        "div_",
        "add_",
        "sub_",
        "clamp_",
        "erfinv_",
    ]
)


class _NoFills(TorchFunctionMode):
    """Skips the filling of tensors that hold nothing: torch would load a compiler to do it."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        tensor = args[0] if args else (kwargs or {}).get("tensor")
        if func.__name__ in FILLS and isinstance(tensor, Tensor) and tensor.is_meta:
            return tensor
        return func(*args, **(kwargs or {}))


def skeleton(build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """The module that ``build`` makes, with all parameters on the "meta" device."""
    with torch.device("meta"), _NoFills():
        return build()
