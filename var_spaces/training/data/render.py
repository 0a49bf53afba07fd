"""Scenes to pixels, a batch at a time, on any device.

Every operation is elementwise or per image, so an image depends on its own record only: the same
record gives the same pixels, bit for bit on a CPU, whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import SceneBatch
from var_spaces.training.data.palette import HUES, TINT_SATURATION

SHRINK = 0.6
"""Below this scale a sprite is first halved by area averaging: bilinear taps would skip pixels."""


def render(atlas: Atlas, batch: SceneBatch, size: int = 64) -> Tensor:
    """Draw every scene.

    Args:
        atlas: the sprites, on the device of the batch.
        batch: B scenes with K object slots.
        size: side of the images in pixels, 4..1024.

    Returns:
        (B, 3, size, size) float32 in [-1, 1].
    """
    image = _background(batch.colours, size)
    for rows, layer, alpha in _layers(atlas, batch, size):
        if rows is None:
            image.mul_(1 - alpha).add_(layer)
        else:
            image[rows] = image[rows] * (1 - alpha) + layer
    return image.clamp_(0, 255).div_(127.5).sub_(1)


def coverage(atlas: Atlas, batch: SceneBatch, size: int = 64) -> Tensor:
    """How much of every pixel objects cover, (B, size, size) float32 in [0, 1]."""
    bare = torch.ones(len(batch), 1, size, size, device=batch.cx.device)
    for rows, _, alpha in _layers(atlas, batch, size):
        if rows is None:
            bare.mul_(1 - alpha)
        else:
            bare[rows] = bare[rows] * (1 - alpha)
    return 1 - bare[:, 0]


def _layers(
    atlas: Atlas, batch: SceneBatch, size: int
) -> Iterator[tuple[Tensor | None, Tensor, Tensor]]:
    """Per slot: scenes that use it (None: all do), and the colour and alpha that it adds."""
    for slot in range(batch.slots):
        rows = (batch.sprite[:, slot] >= 0).nonzero().squeeze(1)
        if rows.numel() == 0:
            continue
        every = rows.numel() == len(batch)
        part = batch if every else batch.rows(rows)
        yield None if every else rows, *_sample(_premultiplied(atlas, part, slot), part, slot, size)


def _background(colours: Tensor, size: int) -> Tensor:
    """(B, 2, 3) top and bottom colours -> (B, 3, size, size), 0..255."""
    top, bottom = colours[:, 0, :, None, None], colours[:, 1, :, None, None]
    height = (torch.arange(size, device=colours.device) + 0.5) / size
    column = top + (bottom - top) * height[:, None]
    return column.expand(-1, -1, -1, size).contiguous()


def _premultiplied(atlas: Atlas, batch: SceneBatch, slot: int) -> Tensor:
    """(B, 4, 64, 64) float: recoloured sprites, colour 0..255 times alpha, alpha 0..1."""
    sprites = atlas.sprites[batch.sprite[:, slot]].float()
    colour, alpha = sprites[:, :3], sprites[:, 3:].div_(255)
    ink = batch.ink[:, slot]
    inked = (ink[:, 0] >= 0).nonzero().squeeze(1)
    if inked.numel():
        colour[inked] = ink[inked][:, :, None, None]
    tinted = (batch.tint[:, slot] >= 0).nonzero().squeeze(1)
    if tinted.numel():
        colour[tinted] = tint(colour[tinted], batch.tint[tinted, slot])
    colour.mul_(alpha)
    return sprites


def tint(colour: Tensor, hue: Tensor) -> Tensor:
    """Replace the hue of (B, 3, H, W) colours by hue ids (B,) of HUES.

    In HSV terms value stays, and saturation becomes at least TINT_SATURATION.
    """
    value = colour.amax(1, keepdim=True)
    chroma = torch.maximum(value - colour.amin(1, keepdim=True), value * TINT_SATURATION)
    table = torch.tensor([_missing(degrees) for degrees in HUES.values()], device=colour.device)
    return value - chroma * table[hue][:, :, None, None]


def _missing(degrees: float) -> list[float]:
    """How much of the chroma each of R, G, B lacks at a pure hue, 0..1."""
    sixths = degrees / 60
    places = [(offset + sixths) % 6 for offset in (5, 3, 1)]
    return [max(0.0, min(place, 4 - place, 1.0)) for place in places]


def _sample(sprites: Tensor, batch: SceneBatch, slot: int, size: int) -> tuple[Tensor, Tensor]:
    """Place (B, 4, T, T) sprites on square canvases: colour (B, 3, ..) and alpha (B, 1, ..)."""
    extent = batch.size[:, slot]
    sprites, zoom = _shrink(sprites, extent * (size / sprites.shape[-1]))
    centres = (torch.arange(size, device=extent.device) + 0.5) / size
    scale = (2 / extent * zoom)[:, None]
    x = (centres - batch.cx[:, slot, None]) * scale
    y = (centres - batch.cy[:, slot, None]) * scale
    x = torch.where(batch.flip[:, slot, None], -x, x)
    shape = (-1, size, size)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], -1)
    drawn = F.grid_sample(sprites, grid, "bilinear", "zeros", align_corners=False)
    return drawn[:, :3], drawn[:, 3:]


def _shrink(sprites: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Halve each sprite as often as its ``scale`` (output pixels per sprite pixel) asks for.

    A halved sprite stays on a canvas of the same side, centred with an empty rim, so that sprites
    of different levels share one batch. Returns the canvases and the side of the content, 0..1.
    """
    zoom = torch.ones_like(scale)
    small, side = sprites, sprites.shape[-1]
    while side > 2:
        shrunk = scale < SHRINK * zoom.new_tensor(side / sprites.shape[-1])
        if not bool(shrunk.any()):
            break
        small, side = F.avg_pool2d(small, 2), side // 2
        rim = (sprites.shape[-1] - side) // 2
        canvas = F.pad(small, (rim, rim, rim, rim))
        sprites = torch.where(shrunk[:, None, None, None], canvas, sprites)
        zoom = torch.where(shrunk, zoom.new_tensor(side / sprites.shape[-1]), zoom)
    return sprites, zoom
