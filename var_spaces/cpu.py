"""What a CPU can do, and when its products may have another order than torch's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_any_order: ContextVar[bool] = ContextVar("sums may have any order", default=False)


def is_slow(dtype: str) -> bool:
    """Whether a CPU of this kind has no instructions for products of a type, and emulates them.

    Args:
        dtype: "float32", "bfloat16" or "float16".
    """
    import torch

    has = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    wanted = {"bfloat16": ("avx512_bf16", "amx_bf16"), "float16": ("avx512_fp16", "amx_fp16")}
    known = has.get("architecture") == "x86_64"  # nothing is said of others
    return known and dtype in wanted and not any(map(has.get, wanted[dtype]))


def is_plain(x: Tensor, weight: Tensor) -> bool:
    """Whether both are float32 on the CPU, no gradient is recorded and no autocast is on."""
    import torch

    return (
        x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


@contextmanager
def any_order(allowed: bool) -> Iterator[None]:
    """Let sums have the order that is fastest, whatever the width of a layer: for images that share
    a batch, which are not the same to the last bit as one image alone."""
    token = _any_order.set(allowed)
    try:
        yield
    finally:
        _any_order.reset(token)


def is_any_order() -> bool:
    """Whether the caller is inside :func:`any_order`."""
    return _any_order.get()


@contextmanager
def without_denormals() -> Iterator[None]:
    """Let numbers next to nothing be zero in this thread: the vanishing moments of an optimiser
    would slow a CPU down. Afterwards the thread may go on with other work."""
    import torch

    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
