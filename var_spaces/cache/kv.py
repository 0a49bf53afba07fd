"""The KV cache of one run: preallocated, ragged over layers and groups of heads.

Keys and values of every scale are written in place behind those of the scales before it, so a
step never copies the history. A cache policy may then keep a subset per row and head
(:meth:`KVCache.keep`); all heads of a group keep equally many entries, so attention stays one
dense call per group. A search reorders rows with :meth:`KVCache.gather_rows`. What is pinned
(:meth:`KVCache.pin`) is seen by every query and is no position: policies neither count nor drop it.

Rows are independent: nothing here reads one row to decide about another. With classifier-free
guidance there is a block of rows per named condition (conditional first); whoever gathers rows must
take every row from its own block, with the same choice in all.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.cache.beside import Beside, RawQueries, joined
from var_spaces.cache.group import PLAIN, HeadGroup, Storage
from var_spaces.errors import VarSpacesError


class GroupView(NamedTuple):
    """What a group of heads of one layer holds: views (copies if the storage is quantised).

    ``heads`` indexes the head dimension; ``k`` and ``v`` are ``(rows, g, n, D)``.
    """

    heads: slice | Tensor
    k: Tensor
    v: Tensor


class Observer(Protocol):
    """Someone who wants the queries of every attention, e.g. to score cached keys with them.

    Both calls get the layer, the scale being computed, the queries ``(rows, heads, l, D)`` and
    the factor on scores. Keys and values of this scale are in the cache at both times; what
    ``before_attention`` drops is not attended to. ``gather_rows`` follows a reordering of the rows.
    """

    def before_attention(self, layer: int, scale: int, q: Tensor, score_scale: float) -> None: ...

    def after_attention(self, layer: int, scale: int, q: Tensor, score_scale: float) -> None: ...

    def gather_rows(self, index: Tensor) -> None: ...


class KVCache:
    """Keys and values of one run.

    Args:
        layers: attention layers of the model.
        rows: rows of the batch: a block of images per named condition.
        heads, head_dim: heads per layer and channels *D* per head.
        capacity: entries that a head can hold: one number, one per layer, or one per group of
            every layer.
        preallocate: allocate all of ``capacity`` at once, so that appending never copies; else a
            buffer is as large as what it holds, for policies that drop entries.
        reserve: preallocate no more entries than these, for runs that will not fill the cache;
            :meth:`grow` adds the rest.
        dtype, device: of the stored keys and values; what is appended is cast to ``dtype``.
        head_groups: ``head_groups[layer]`` lists the head indices of every group; each head is in
            exactly one. None: all heads of a layer form one group.
        storage: how entries lie in memory; None is as they are.
        blocks: of rows, one per named condition, for policies that decide once for all of them.

    Raises:
        VarSpacesError: if a size is not positive or the groups do not partition the heads.
    """

    def __init__(
        self,
        *,
        layers: int,
        rows: int,
        heads: int,
        head_dim: int,
        capacity: int | Sequence[int | Sequence[int]],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        head_groups: Sequence[Sequence[Sequence[int]]] | None = None,
        preallocate: bool = True,
        reserve: int | None = None,
        storage: Storage | None = None,
        blocks: int = 1,
    ) -> None:
        sizes = {"layers": layers, "rows": rows, "heads": heads, "head_dim": head_dim}
        sizes["blocks"] = blocks
        for name, size in sizes.items():
            if size < 1:
                raise VarSpacesError(f"A KV cache needs {name} of at least 1, not {size}.")
        per_layer = head_groups or [[range(heads)]] * layers
        if len(per_layer) != layers:
            raise VarSpacesError(
                f"head_groups describes {len(per_layer)} layers, the cache has {layers}."
            )
        self.heads, self.head_dim, self.blocks = heads, head_dim, blocks
        self.dtype, self.device = dtype, torch.empty(0, device=device).device
        self.scale = 0
        self.raw_queries: RawQueries | None = None  # of the attention that is running
        self._rows = rows
        self._observer: weakref.ref[Observer] | None = None
        self._layers: list[list[HeadGroup]] = []
        self._fronts = [0] * layers  # entries that were pinned, also in layers that are released
        self.preallocate = preallocate
        lying = {"preallocate": preallocate, "reserve": reserve, "storage": storage or PLAIN}
        for layer, groups in enumerate(per_layer):
            if sorted(h for group in groups for h in group) != list(range(heads)):
                raise VarSpacesError(
                    f"The head groups of layer {layer} must hold each of the {heads} heads once."
                )
            limits = _per_group(capacity, layer, layers, len(groups))
            self._layers.append(
                [
                    HeadGroup(group, rows, limit, head_dim, dtype, self.device, **lying)
                    for group, limit in zip(groups, limits, strict=True)
                ]
            )

        self._peak = self.allocated_bytes

    # --- what it holds ----------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        return self._rows

    @property
    def lengths(self) -> tuple[tuple[int, ...], ...]:
        """Entries held per head, for every layer and group; a released layer holds 0."""
        return tuple(tuple(group.length for group in layer) for layer in self._layers)

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values held."""
        return sum(group.nbytes for group in self._groups())

    @property
    def allocated_bytes(self) -> int:
        """Bytes of the buffers, used or not."""
        return sum(group.allocated_bytes for group in self._groups())

    @property
    def peak_bytes(self) -> int:
        """Largest :attr:`allocated_bytes` so far; a buffer that is moved briefly exists twice."""
        return self._peak

    @property
    def full_nbytes(self) -> int:
        """Bytes that would be held had nothing been dropped of what these rows appended."""
        return sum(group.full_nbytes for group in self._groups())

    def buffers(self) -> list[Tensor]:
        """What keys and values are written to now."""
        return [group.buffer for group in self._groups()]

    @property
    def pinned(self) -> tuple[int, ...]:
        """Entries per head that are pinned, for every layer."""
        return tuple(layer[0].pinned for layer in self._layers)

    @property
    def pinned_bytes(self) -> int:
        """Bytes of all that was pinned, as it came: in layers that were released since, too, and
        before a storage made it smaller. A cache that keeps everything holds them with its tokens.
        """
        return 2 * sum(self._fronts) * self._rows * self.heads * self.head_dim * self.dtype.itemsize

    def views(self, layer: int, pinned: bool = False) -> list[GroupView]:
        """What every group of a layer holds; with ``pinned`` also what is pinned, in front."""
        return [GroupView(group.index, *group.view(pinned)) for group in self._layers[layer]]

    def positions(self, layer: int, group: int) -> Tensor:
        """Where the entries of a group came from: ``(rows, g, n)`` int64, counted from the first
        token appended to the layer."""
        return self._layers[layer][group].positions()

    # --- what a model does ------------------------------------------------------------------------

    def begin_scale(self, scale: int) -> None:
        """Tell observers which scale the next calls of :meth:`attend` belong to."""
        self.scale = scale

    def pin(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Put keys and values ``(rows, heads, n, D)`` in front of all entries of a layer, for good.

        Every query sees them. They survive every policy and reordering of rows, count in bytes,
        and have no position.

        Raises:
            VarSpacesError: if the shape does not fit.
        """
        self._check_shape(k, v)
        for group in self._layers[layer]:
            group.pin(k.detach()[:, group.index], v.detach()[:, group.index])
        self._fronts[layer] += k.shape[2]
        self._peak = max(self._peak, self.allocated_bytes)

    def append(self, layer: int, k: Tensor, v: Tensor) -> list[GroupView]:
        """Write keys and values ``(rows, heads, l, D)`` of ``l`` new tokens behind the others.

        Returns:
            Everything each group now holds, but for what is pinned.

        Raises:
            VarSpacesError: if the shape does not fit, the capacity is exceeded or the layer was
                released.
        """
        self._check_shape(k, v)
        for group in self._layers[layer]:
            group.append(k.detach()[:, group.index], v.detach()[:, group.index])
        self._peak = max(self._peak, self.allocated_bytes)
        return self.views(layer)

    def _check_shape(self, k: Tensor, v: Tensor) -> None:
        expected = (self._rows, self.heads, k.shape[2], self.head_dim)
        if k.shape != expected or v.shape != expected:
            raise VarSpacesError(
                f"Keys {tuple(k.shape)} and values {tuple(v.shape)} do not fit the cache: "
                f"it takes (rows, heads, tokens, D) = {expected}."
            )

    def receive(self, layer: int, k: Tensor, v: Tensor, front: int = 0) -> None:
        """Append new tokens, the first ``front`` of which are pinned instead."""
        if front:
            self.pin(layer, k[:, :, :front], v[:, :, :front])
        self.append(layer, k[:, :, front:], v[:, :, front:])

    def attend(
        self,
        layer: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        raw: RawQueries | None = None,
        beside: Beside | None = None,
        front: int = 0,
    ) -> Tensor:
        """Append ``k, v``, then attend with ``q`` to everything held.

        Args:
            layer: index of the layer.
            q, k, v: ``(rows, heads, l, D)``.
            scale: factor on the scores ``q . k`` before the softmax.
            raw: gives queries as projected; observers find it in :attr:`raw_queries`.
            beside: keys and values to attend to beside those held, and not to keep.
            front: so many of the new tokens, the first, are pinned; observers do not see them.

        Returns:
            Attended values ``(rows, heads, l, D)`` in the dtype of ``q``.
        """
        if q.device != self.device:  # a block that runs elsewhere
            return self._attend_from_elsewhere(layer, q, k, v, scale, raw, beside, front)
        self.receive(layer, k, v, front)
        observer = self._observer and self._observer()
        if not observer:
            return self.attention(q, self.views(layer, pinned=True), scale, beside)
        self.raw_queries = partial(_behind, raw, front) if raw and front else raw
        own = q[:, :, front:]
        observer.before_attention(layer, self.scale, own, scale)
        out = self.attention(q, self.views(layer, pinned=True), scale, beside)
        observer.after_attention(layer, self.scale, own, scale)
        self.raw_queries = None
        return out

    def _attend_from_elsewhere(
        self,
        layer: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        raw: RawQueries | None,
        beside: Beside | None,
        front: int,
    ) -> Tensor:
        """:meth:`attend` for tensors on another device than the cache."""

        def moved(index: Tensor) -> Tensor:
            return raw(index.to(q.device)).to(self.device)

        here = [tensor.to(self.device) for tensor in (q, k, v)]
        near = beside and beside.to(self.device)
        return self.attend(layer, *here, scale, moved if raw else None, near, front).to(q.device)

    @staticmethod
    def attention(
        q: Tensor,
        views: Sequence[GroupView],
        scale: float,
        beside: Beside | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Attended values of ``q``.

        Args:
            views: what there is to see, per group of heads.
            beside: what there is to see beside that.
            mask: where a query may look in the views, ``(l, n)`` bool; None is everywhere. The
                first columns may be missing: all see them.
        """
        parts = []
        for view in views:
            visible = None if mask is None else _widened(mask, view.k.shape[2])
            held = Beside(view.k.to(q.dtype), view.v.to(q.dtype), visible)
            k, v, seen = joined(beside and beside.of_heads(view.heads), held, q.shape[2])
            own = q[:, view.heads]
            parts.append(F.scaled_dot_product_attention(own, k, v, attn_mask=seen, scale=scale))
        if len(parts) == 1 and type(views[0].heads) is slice:  # all heads in their own order
            return parts[0]
        out = torch.empty_like(q, memory_format=torch.contiguous_format)
        for view, part in zip(views, parts, strict=True):
            out[:, view.heads] = part
        return out

    # --- what policies and strategies do ----------------------------------------------------------

    def watch(self, observer: Observer) -> None:
        """Have an observer called around every attention; it is referenced weakly."""
        self._observer = weakref.ref(observer)

    def keep(self, layer: int, group: int, index: Tensor, *, shrink: bool = False) -> None:
        """Keep a subset of a group, in the order given, and drop the rest.

        Args:
            index: int64 indices into the entries held, ``(rows, g, n)`` or broadcastable to it.
            shrink: also give back the memory beyond; a later append allocates what it needs.
        """
        self._layers[layer][group].keep(index, shrink)

    def replace(self, layer: int, group: int, k: Tensor, v: Tensor) -> None:
        """Overwrite what a group holds with ``(rows, g, n, D)``; entries keep their positions."""
        self._layers[layer][group].replace(k, v)

    def shrink(self, layer: int | None = None) -> None:
        """Give back memory beyond what is held, of one layer or of all."""
        for group in self._groups(layer):
            group.shrink()

    def grow(self, layer: int) -> None:
        """Allocate the whole capacity of a layer of which only a part was reserved."""
        if self.preallocate:
            for group in self._groups(layer):
                group.grow()
            self._peak = max(self._peak, self.allocated_bytes)

    def release(self, layer: int | None = None) -> None:
        """Drop one layer, or all, and free the memory; nothing can be appended there again."""
        for group in self._groups(layer):
            group.release()

    def gather_rows(self, index: Tensor) -> None:
        """Make row *i* a copy of former row ``index[i]``; ``index (rows',)`` int64 may repeat, drop
        and reorder rows. Layers move one after another, so the peak is one extra layer."""
        for group in self._groups():
            group.gather_rows(index)
        self._rows = index.shape[0]
        observer = self._observer and self._observer()
        if observer:
            observer.gather_rows(index)

    def _groups(self, layer: int | None = None) -> Iterator[HeadGroup]:
        for groups in self._layers if layer is None else [self._layers[layer]]:
            yield from groups


def _behind(raw: RawQueries, front: int, index: Tensor) -> Tensor:
    """Queries of tokens that are counted without some in front of them."""
    return raw(index + front)


def _widened(mask: Tensor, columns: int) -> Tensor:
    """A mask ``(l, n)`` with columns that all see in front."""
    return F.pad(mask, (columns - mask.shape[1], 0), value=True)


def _per_group(
    capacity: int | Sequence[int | Sequence[int]], layer: int, layers: int, groups: int
) -> Sequence[int]:
    """Capacities of the groups of one layer."""
    if hasattr(capacity, "__len__"):
        if len(capacity) != layers:
            raise VarSpacesError(f"capacity has {len(capacity)} entries for {layers} layers.")
        capacity = capacity[layer]
    limits = capacity if hasattr(capacity, "__len__") else [capacity] * groups
    if len(limits) != groups or min(limits) < 1:
        raise VarSpacesError(
            f"Layer {layer} needs a capacity of at least 1 for each of its {groups} head groups, "
            f"not {list(limits)}."
        )
    return limits
