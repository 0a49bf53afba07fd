"""Entries of one group of heads of one layer: equally many per row and head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError


class Storage:
    """How entries lie in memory: as they are. Quantised storage overrides all three."""

    def layout(self, head_dim: int, dtype: torch.dtype) -> tuple[int, torch.dtype]:
        """Elements per key or value of one head, and their dtype."""
        return head_dim, dtype

    def encode(self, x: Tensor) -> Tensor:
        """Keys or values ``(..., D)`` as they are stored."""
        return x

    def decode(self, stored: Tensor) -> Tensor:
        """Keys or values ``(..., D)`` that attention can read."""
        return stored


PLAIN = Storage()


class HeadGroup:
    """Keys and values ``(rows, g, n, D)`` in one growing buffer; see :class:`KVCache`.

    Args:
        heads: head indices of the group.
        rows, capacity, head_dim: sizes.
        preallocate: allocate ``capacity`` entries at once; else what is held and no more.
        reserve: preallocate at most so many.
        storage: how entries lie in memory.
    """

    def __init__(
        self,
        heads: Sequence[int],
        rows: int,
        capacity: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device,
        *,
        preallocate: bool = True,
        reserve: int | None = None,
        storage: Storage = PLAIN,
    ) -> None:
        first, last = heads[0], heads[-1]
        consecutive = list(heads) == list(range(first, last + 1))
        # A slice makes views where an index tensor makes copies.
        self.index = slice(first, last + 1) if consecutive else torch.tensor(heads, device=device)
        self.length = 0
        self.pinned = 0  # entries in front, which nothing drops and no position counts
        self._seen = 0  # tokens ever appended
        self._capacity = capacity
        self._positions: Tensor | None = None  # None: nothing was dropped yet
        self._storage = storage
        self._full_entry_bytes = 2 * rows * len(heads) * head_dim * dtype.itemsize
        width, stored = storage.layout(head_dim, dtype)
        slots = min(capacity, reserve or capacity) if preallocate else 0
        self._buffer = _empty((2, rows, len(heads), slots, width), stored, device)

    @property
    def nbytes(self) -> int:
        return self._end * self._entry_bytes

    @property
    def buffer(self) -> Tensor:
        """Where entries are now, ``(2, rows, g, slots, width)``."""
        return self._buffer

    @property
    def full_nbytes(self) -> int:
        return (self.pinned + self._seen) * self._full_entry_bytes

    @property
    def allocated_bytes(self) -> int:
        return self._buffer.numel() * self._buffer.element_size()

    @property
    def _entry_bytes(self) -> int:
        """Bytes of keys and values of one token over all rows and heads of the group."""
        both, rows, heads, _, head_dim = self._buffer.shape
        return both * rows * heads * head_dim * self._buffer.element_size()

    @property
    def _end(self) -> int:
        """Entries in use, those pinned included."""
        return self.pinned + self.length

    def view(self, pinned: bool = False) -> tuple[Tensor, Tensor]:
        """Keys and values held, ``(rows, g, n, D)`` each; plain storage gives views.

        Args:
            pinned: those pinned, too, in front.
        """
        start = 0 if pinned else self.pinned
        k, v = self._storage.decode(self._buffer[:, :, :, start : self._end]).unbind(0)
        return k, v

    def pin(self, k: Tensor, v: Tensor) -> None:
        """Put ``(rows, g, n, D)`` in front of what is held, behind what was pinned before."""
        new = k.shape[2]
        held = self._buffer[:, :, :, self.pinned : self._end]
        slots = max(self._buffer.shape[3], self.length) + new
        old, before = self._buffer, self.pinned
        self._buffer = _empty((*old.shape[:3], slots, old.shape[4]), old.dtype, old.device)
        self._buffer[:, :, :, :before] = old[:, :, :, :before]
        self._buffer[:, :, :, before + new : before + new + self.length] = held
        self._write(slice(before, before + new), k, v)
        self.pinned += new

    def positions(self) -> Tensor:
        """``(rows, g, n)`` int64 positions of the entries in the order of appending."""
        if self._positions is None:
            shape = (*self._buffer.shape[1:3], self.length)
            return torch.arange(self.length, device=self._buffer.device).expand(shape)
        return self._positions

    def append(self, k: Tensor, v: Tensor) -> None:
        """Write ``(rows, g, l, D)`` behind what is held."""
        new = k.shape[2]
        end = self.length + new
        if end > self._capacity:
            raise VarSpacesError(
                f"The KV cache is full: {self.length} of {self._capacity} entries are in use and "
                f"{new} more arrive. Make it larger, and do not append to a released layer."
            )
        if self._end + new > self._buffer.shape[3]:  # after shrinking, or never allocated
            self._reallocate(self._end + new)
        self._write(slice(self._end, self._end + new), k, v)
        if self._positions is not None:
            arrived = torch.arange(self._seen, self._seen + new, device=k.device)
            arrived = arrived.expand(*self._positions.shape[:2], new)
            self._positions = torch.cat((self._positions, arrived), dim=2)
        self.length = end
        self._seen += new

    def replace(self, k: Tensor, v: Tensor) -> None:
        """Overwrite the entries held with ``(rows, g, n, D)``."""
        self._write(slice(self.pinned, self._end), k, v)

    def _write(self, where: slice, k: Tensor, v: Tensor) -> None:
        self._buffer[0, :, :, where] = self._storage.encode(k)
        self._buffer[1, :, :, where] = self._storage.encode(v)

    def keep(self, index: Tensor, shrink: bool = False) -> None:
        """Keep entries ``index``, broadcastable to ``(rows, g, n)``, in that order; with ``shrink``
        the old buffer is given back at once."""
        index = index.expand(*self._buffer.shape[1:3], index.shape[-1])
        where = index[None, ..., None].expand(2, *index.shape, self._buffer.shape[4])
        kept = self._buffer[:, :, :, self.pinned : self._end].gather(3, where)
        self._positions = self.positions().gather(2, index)
        self.length = index.shape[2]
        if shrink:
            pinned = self._buffer[:, :, :, : self.pinned]
            shape = (*kept.shape[:3], self._end, kept.shape[4])
            self._buffer = _empty(shape, kept.dtype, kept.device)
            self._buffer[:, :, :, : self.pinned] = pinned
        self._buffer[:, :, :, self.pinned : self._end] = kept

    def shrink(self) -> None:
        """Reallocate the buffer to exactly what is held."""
        if self._buffer.shape[3] > self._end:
            self._reallocate(self._end)

    def grow(self) -> None:
        """Allocate the whole capacity."""
        if self._buffer.shape[3] < self.pinned + self._capacity:
            self._reallocate(self.pinned + self._capacity)

    def release(self) -> None:
        self.length = self.pinned = self._seen = self._capacity = 0
        self._positions = None
        self._reallocate(0)

    def gather_rows(self, index: Tensor) -> None:
        held = self._buffer[:, :, :, : self._end]
        both, _, heads, slots, head_dim = self._buffer.shape
        buffer = _empty((both, index.shape[0], heads, slots, head_dim), held.dtype, held.device)
        buffer[:, :, :, : self._end] = held[:, index]
        self._buffer = buffer
        self._full_entry_bytes = self._full_entry_bytes * buffer.shape[1] // held.shape[1]
        if self._positions is not None:
            self._positions = self._positions[index]

    def _reallocate(self, slots: int) -> None:
        """Move what is held into a buffer of ``slots`` entries."""
        both, rows, heads, _, head_dim = self._buffer.shape
        held = self._buffer[:, :, :, : self._end]
        self._buffer = _empty((both, rows, heads, slots, head_dim), held.dtype, held.device)
        self._buffer[:, :, :, : self._end] = held


def _empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    # A tensor made in inference mode could not be written to outside of it.
    with torch.inference_mode(False):
        return torch.empty(shape, dtype=dtype, device=device)
