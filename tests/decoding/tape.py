"""A CUDA graph of a CPU: all operations are noted, and done again on the same tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
# what asks the host for numbers, or for as much memory as numbers say
WAITING = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.lift_fresh.default,  # numbers of the host that become a tensor
}


class Waits(RuntimeError):
    """As a CUDA graph refuses it."""


class Watch(TorchDispatchMode):
    """Counts what would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in WAITING:
            self.waits.append(str(func))
        return func(*args, **(kwargs or {}))


class Tape(TorchDispatchMode):
    """Notes operations. What is new in their outputs is spoilt after recording, as a graph leaves
    it undone until it is played."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[tuple] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in WAITING:
            raise Waits(f"{func} while recording")
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        given = {place(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        self.notes.append((func, args, kwargs, out, given))
        return out

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.notes = notes = []
        with self:
            work()
        with torch.no_grad():
            for *_, out, given in notes:
                for tensor in fresh(out, given):
                    tensor.fill_(torch.nan if tensor.is_floating_point() else 0)
        return lambda: replay(notes)


@torch.no_grad()
def replay(notes: list[tuple]) -> None:
    for func, args, kwargs, out, given in notes:
        again = func(*args, **kwargs)
        for old, new in zip(fresh(out, given), fresh(again, given), strict=True):
            old.copy_(new)


def fresh(out, given) -> list[Tensor]:
    """Tensors of an output that lie in no input's memory."""
    found = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
    return [t for t in found if place(t) not in given]


def place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
