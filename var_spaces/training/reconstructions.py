"""How well a tokenizer gives back pictures that training never showed it."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from var_spaces.training.image_sources import ImageSource
from var_spaces.training.pictures import grid
from var_spaces.training.tokenizer import psnr


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
