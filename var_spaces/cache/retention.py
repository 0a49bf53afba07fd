"""What a cache still holds: as a tensor, and as a picture over the image.

A run reports it to its observer after every scale (``"kept"``, see ``decoding/loop/run.py``)::

    kept = {}
    def observe(what, scale, tensor):
        if what == "kept":
            kept[scale] = tensor
    for event in var_spaces.stream(spec, observe=observe): ...
    Image.fromarray(retention_picture(kept[7], schedule)).save("kept.png")

Entries that are pinned are no tokens of the image: they are reported apart (``"pinned"``, entries
per layer) and drawn as a bar in front, a band per layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from var_spaces.cache.kv import KVCache
from var_spaces.schedule import ScaleSchedule

DARK, BRIGHT = (26, 24, 46), (255, 214, 92)
PINNED = (92, 178, 255)
GAP, BAR = 4, 12  # pixels between maps; width of the bar of pinned entries


def kept(cache: KVCache, tokens: int) -> Tensor:
    """Which tokens a cache holds.

    Args:
        cache: the cache of a run.
        tokens: tokens drawn so far.

    Returns:
        ``(layers, rows, heads, tokens)`` bool on the CPU; a layer that was released holds nothing.
    """
    held = torch.zeros(len(cache.lengths), cache.rows, cache.heads, tokens, dtype=torch.bool)
    for layer, lengths in enumerate(cache.lengths):
        for group, view in enumerate(cache.views(layer)):
            if lengths[group]:
                heads = view.heads if type(view.heads) is slice else view.heads.cpu()
                places = torch.zeros_like(held[layer, :, heads])
                held[layer, :, heads] = places.scatter(
                    -1, cache.positions(layer, group).cpu(), True
                )
    return held


def retention(held: Tensor, schedule: ScaleSchedule) -> list[Tensor]:
    """Share of layers, rows and heads that hold each token, as a map ``(h, w)`` per scale.

    Args:
        held: of :func:`kept`, ``(..., tokens)`` bool; choose layers or heads before.
        schedule: of the run.
    """
    share = held.flatten(0, -2).float().mean(0)
    shares = share.split(schedule.lengths[: schedule.offsets.index(len(share))])
    return [part.view(size) for part, size in zip(shares, schedule.sizes, strict=False)]


def retention_pictures(
    held: Tensor, schedule: ScaleSchedule, image: np.ndarray | None = None, height: int = 128
) -> list[np.ndarray]:
    """Maps of :func:`retention`, coarse to fine; bright tokens are held everywhere.

    Args:
        held: of :func:`kept`.
        schedule: of the run.
        image: ``(H, W, 3)`` uint8 to lay the maps over, darkened where tokens are gone.
        height: of the maps in pixels.

    Returns:
        A picture ``(height, W', 3)`` uint8 per scale.
    """
    pictures = []
    for share in retention(held, schedule):
        h, w = share.shape
        width = max(1, round(height * w / h))
        rows = torch.arange(height) * h // height
        columns = torch.arange(width) * w // width
        weight = share[rows][:, columns].unsqueeze(-1).numpy()
        bright = np.array(BRIGHT) if image is None else _resized(image, height, width)
        mixed = (1 - weight) * np.array(DARK) + weight * bright
        pictures.append(mixed.round().astype(np.uint8))
    return pictures


def pinned_bar(pinned: Sequence[int] | Tensor, height: int) -> np.ndarray:
    """``(height, BAR, 3)`` uint8: layers from top to bottom, bright where entries are pinned."""
    layers = np.arange(height) * len(pinned) // height
    bright = np.asarray(pinned)[layers] > 0
    bar = np.where(bright[:, None, None], PINNED, DARK).astype(np.uint8)
    return np.repeat(bar, BAR, axis=1)


def retention_picture(
    held: Tensor,
    schedule: ScaleSchedule,
    image: np.ndarray | None = None,
    height: int = 128,
    pinned: Sequence[int] | Tensor = (),
) -> np.ndarray:
    """:func:`retention_pictures` side by side, ``(height, W', 3)`` uint8.

    Args:
        pinned: entries per layer that are pinned; a bar in front shows where, if any are.
    """
    pictures = retention_pictures(held, schedule, image, height)
    if any(pinned):
        pictures.insert(0, pinned_bar(pinned, height))
    gap = np.full((height, GAP, 3), 255, np.uint8)
    return np.concatenate([part for picture in pictures for part in (picture, gap)][:-1], axis=1)


def history_picture(
    held: Sequence[Tensor],
    schedule: ScaleSchedule,
    image: np.ndarray | None = None,
    pinned: Sequence[int] | Tensor = (),
) -> np.ndarray:
    """What the cache held after every scale, one row of :func:`retention_picture` below the other.

    Args:
        held: of :func:`kept`, one per scale from the first on.
        schedule, image, pinned: as for :func:`retention_picture`.
    """
    rows = [retention_picture(after, schedule, image, pinned=pinned) for after in held]
    width = max(row.shape[1] for row in rows)
    white = {"mode": "constant", "constant_values": 255}
    return np.concatenate(
        [np.pad(row, ((0, GAP), (0, width - row.shape[1]), (0, 0)), **white) for row in rows]
    )[:-GAP]


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    rows = np.arange(height) * image.shape[0] // height
    columns = np.arange(width) * image.shape[1] // width
    return image[rows][:, columns]
