"""What a CPU can do, and when its products may have another order than torch's own."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Of mallopt in glibc's malloc.h, and what they are set to, in bytes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, OF_ITS_OWN = 2**30, 2**28

# Rounds that GNU OpenMP waits in when it knows that others want its cores.
SPINS = "1000"

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


def share_cores() -> bool:
    """Let threads that have done their part of a product fall asleep soon, for a process that is
    not alone on its cores: a page with a browser or other pages beside it.

    GNU OpenMP, which torch's Linux wheels use, lets them wait busily for milliseconds, on a core
    that the one they wait for may need; a drawing of 0.15 s took 0.15 to 0.5 s beside a browser.
    To be called before torch is loaded. Says whether it was done: not where the environment
    already says how to wait.
    """
    if "OMP_WAIT_POLICY" in os.environ:
        return False
    return os.environ.setdefault("GOMP_SPINCOUNT", SPINS) == SPINS


@cache
def keep_memory() -> bool:
    """Let this process keep up to 1 GB that it has freed, for what it allocates next.

    glibc gives every large tensor back to the system when it is freed, and the next one costs a
    page fault for each of its 4 kB: a seventh of the time of a decoder at 256 px. Says whether
    it was done: not under another C library, nor where ``MALLOC_*`` or ``GLIBC_TUNABLES`` say what
    a host wants.
    """
    chosen = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    library = None if chosen else _glibc()
    if library is None:
        return False
    # The first is refused by old versions, which would go on with the system's pages.
    return bool(
        library.mallopt(M_MMAP_THRESHOLD, OF_ITS_OWN) and library.mallopt(M_TRIM_THRESHOLD, KEPT)
    )


def return_memory() -> None:
    """Give what is kept back to the system: models have left."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process if it is glibc."""
    try:
        library = ctypes.CDLL(None)
        return library if library.gnu_get_libc_version and library.mallopt else None
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no library without a name
        return None


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
