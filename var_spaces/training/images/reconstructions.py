"""What recipes of tokenizers share: scales shown in training, and pictures given back."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from var_spaces.training.images.pictures import grid
from var_spaces.training.images.sources import ImageSource


def shown_scales(
    total: int, truncate: float, seed: int, step: int, start: int, count: int
) -> Tensor:
    """How many of ``total`` scales the decoder sees of each image of a step, ``(count,)``.

    Args:
        truncate: share of images that stop at a random scale; the others have all.
        start: index of the first image.
    """
    generator = torch.Generator().manual_seed(seed * 7_368_787 + start + step)
    cut = torch.rand(count, generator=generator) < truncate
    some = torch.randint(1, total + 1, (count,), generator=generator)
    return torch.where(cut, some, total)


def psnr(images: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio per image in dB, ``(B,)``; inputs ``(B, 3, H, W)`` in [-1, 1]."""
    mse = (images.clamp(-1, 1).float() - reference.float()).square().flatten(1).mean(1)
    return 10 * torch.log10(4 / mse.clamp_min(1e-10))


@torch.no_grad()
def probe_psnr(model: Any, source: ImageSource, images: int) -> dict[str, float]:
    """Mean PSNR in dB per probe of the source, over at most ``images`` images each."""
    metrics = {}
    for name, probe in source.probes(images).items():
        recon = torch.cat([model.reconstruct(part) for part in probe.split(32)])
        metrics[f"psnr_{name}"] = psnr(recon, probe).mean().item()
    return metrics


@torch.no_grad()
def reconstruction_sheet(model: Any, source: ImageSource) -> Image.Image:
    """Pairs of rows, original above reconstruction, one pair per probe."""
    rows = []
    for images in source.probes(16).values():
        rows += [images, model.reconstruct(images)]
    return grid(torch.cat(rows), columns=min(16, len(rows[0])))
