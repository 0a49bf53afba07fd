"""Images of a training run as files: grids of samples and reconstructions."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from var_spaces.decoding.loop.pixels import to_uint8


def grid(images: Tensor, columns: int, gap: int = 2, scale: int = 1) -> Image.Image:
    """Arrange ``(B, 3, H, W)`` in [-1, 1] row by row with white gaps of ``gap`` pixels."""
    tiles = torch.from_numpy(to_uint8(images))
    b, h, w, _ = tiles.shape
    rows = -(-b // columns)
    canvas = torch.full(
        (rows * (h + gap) + gap, columns * (w + gap) + gap, 3), 255, dtype=torch.uint8
    )
    for index, tile in enumerate(tiles):
        y, x = divmod(index, columns)
        top, left = gap + y * (h + gap), gap + x * (w + gap)
        canvas[top : top + h, left : left + w] = tile
    picture = Image.fromarray(canvas.numpy())
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
