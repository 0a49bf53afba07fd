"""Scenes as tensors: a struct of arrays that samplers write and the renderer reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.palette import BACKGROUNDS, HUES, INKS
from var_spaces.training.data.scene import Object, Scene

_COLOURS = torch.tensor(list(BACKGROUNDS.values()), dtype=torch.float32)
_USUAL_INK = next(iter(INKS.values()))


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """B scenes with K object slots, drawn in slot order. An empty slot has sprite -1.

    Attributes:
        background: (B, 2) int64, background ids of the top and the bottom colour.
        colours: (B, 2, 3) float32, those colours, 0..255.
        sprite, concept, style: (B, K) int64 ids, -1 in an empty slot.
        cx, cy, size: (B, K) float32, fractions of the side; size is 1 in an empty slot.
        flip: (B, K) bool.
        tint: (B, K) int64 hue ids, -1 for none.
        ink: (B, K, 3) float32, 0..255, or -1 where the style is not an ink style.
    """

    background: Tensor
    colours: Tensor
    sprite: Tensor
    concept: Tensor
    style: Tensor
    cx: Tensor
    cy: Tensor
    size: Tensor
    flip: Tensor
    tint: Tensor
    ink: Tensor

    def __len__(self) -> int:
        return self.sprite.shape[0]

    @property
    def slots(self) -> int:
        """K, the number of object slots."""
        return self.sprite.shape[1]

    def rows(self, index: Tensor | slice) -> SceneBatch:
        """The scenes at ``index`` (slice, int64 ids or bool mask of shape (B,))."""
        return SceneBatch(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def to(self, device: torch.device | str) -> SceneBatch:
        """The same scenes on ``device``."""
        return SceneBatch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def background_colours(ids: Tensor) -> Tensor:
    """(B, 2) background ids -> (B, 2, 3) float32 colours, 0..255."""
    return _COLOURS.to(ids.device)[ids]


def pack(atlas: Atlas, scenes: Sequence[Scene], slots: int | None = None) -> SceneBatch:
    """Turn records into tensors on the CPU.

    Args:
        slots: K; by default the largest number of objects in ``scenes``, at least 1.

    Raises:
        VarSpacesError: an unknown name, a pair that the atlas lacks, a tint on an ink style, an
            ink on a coloured style, or more objects than ``slots``.
    """
    most = max((len(scene.objects) for scene in scenes), default=0)
    slots = max(most, 1) if slots is None else slots
    if most > slots:
        raise VarSpacesError(f"A scene has {most} objects, the batch has {slots} slots.")
    names = list(BACKGROUNDS)
    background = torch.tensor([[names.index(name) for name in s.colours] for s in scenes])
    background = background.reshape(len(scenes), 2).long()
    empty = (-1, -1, -1, 0.5, 0.5, 1.0, False, -1, (-1.0, -1.0, -1.0))
    columns: list[list] = [[] for _ in empty]
    for scene in scenes:
        packed = [_pack_object(atlas, item) for item in scene.objects]
        packed += [empty] * (slots - len(packed))
        for column, values in zip(columns, zip(*packed, strict=True), strict=True):
            column.append(values)
    kinds = (torch.int64,) * 3 + (torch.float32,) * 3 + (torch.bool, torch.int64, torch.float32)
    tensors = [
        torch.tensor(column, dtype=kind).reshape(len(scenes), slots, *((3,) if last else ()))
        for column, kind, last in zip(columns, kinds, [False] * 8 + [True], strict=True)
    ]
    return SceneBatch(background, background_colours(background), *tensors)


def _pack_object(atlas: Atlas, item: Object) -> tuple:
    concept, style = atlas.concept_id(item.concept), atlas.style_id(item.style)
    sprite = int(atlas.table[concept, style])
    if sprite < 0:
        raise VarSpacesError(f"The style '{item.style}' has no drawing of '{item.concept}'.")
    if item.tint is not None and atlas.ink[style]:
        raise VarSpacesError(f"'{item.style}' is drawn in one ink: set ink instead of tint.")
    if item.ink is not None and not atlas.ink[style]:
        raise VarSpacesError(f"'{item.style}' is a coloured style: set tint instead of ink.")
    tint = -1 if item.tint is None else list(HUES).index(item.tint)
    ink = (-1.0, -1.0, -1.0)
    if atlas.ink[style]:
        ink = _USUAL_INK if item.ink is None else tuple(bytes.fromhex(item.ink[1:]))
    return sprite, concept, style, item.cx, item.cy, item.size, item.flip, tint, ink


def unpack(atlas: Atlas, batch: SceneBatch) -> list[Scene]:
    """The records of a batch; packing them again gives equal tensors, so equal pixels."""
    names = list(BACKGROUNDS)
    scenes = []
    for row, (top, bottom) in enumerate(batch.background.tolist()):
        used = [slot for slot in range(batch.slots) if batch.sprite[row, slot] >= 0]
        objects = tuple(_unpack_object(atlas, batch, row, slot) for slot in used)
        scenes.append(Scene((names[top], names[bottom]), objects))
    return scenes


def _unpack_object(atlas: Atlas, batch: SceneBatch, row: int, slot: int) -> Object:
    style = int(batch.style[row, slot])
    tint = int(batch.tint[row, slot])
    ink = tuple(int(value) for value in batch.ink[row, slot])
    return Object(
        concept=atlas.concepts[int(batch.concept[row, slot])].name,
        style=atlas.styles[style],
        cx=_short(batch.cx[row, slot]),
        cy=_short(batch.cy[row, slot]),
        size=_short(batch.size[row, slot]),
        flip=bool(batch.flip[row, slot]),
        tint=None if tint < 0 else list(HUES)[tint],
        ink="#" + bytes(ink).hex() if atlas.ink[style] and ink != _USUAL_INK else None,
    )


def _short(value: Tensor) -> float:
    """The float32 as a number with four decimals where that is exact, else in full."""
    short = round(float(value), 4)
    exact = torch.tensor(short, dtype=torch.float32).item() == float(value)
    return short if exact else float(value)
