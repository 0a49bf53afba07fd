"""Distances between images of the same seeds, ``(B, 3, H, W)`` in [-1, 1], without any download."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio per image in dB, at most 99 (equal images)."""
    error = ((a - b) / 2).square().mean((1, 2, 3))
    return (-10 * error.clamp_min(1e-12).log10()).clamp_max(99)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity per image: 11 x 11 Gaussian window of 1.5 pixels, mean over channels
    (Wang et al. 2004)."""
    line = torch.exp(-((torch.arange(11.0) - 5) ** 2) / (2 * 1.5**2))
    window = torch.outer(line, line) / line.sum() ** 2
    window = window.expand(3, 1, 11, 11).to(a)

    def blur(x: Tensor) -> Tensor:
        return F.conv2d(x, window, groups=3)

    a, b = (a + 1) / 2, (b + 1) / 2
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    cov = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return (top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean((1, 2, 3))


def frechet(a: Tensor, b: Tensor) -> float:
    """Squared Frechet distance of two sets of features ``(N, d)`` taken as Gaussians."""
    a, b = a.double(), b.double()
    root = _root(torch.cov(a.T))
    cross = torch.linalg.eigvalsh(root @ torch.cov(b.T) @ root).clamp_min(0).sqrt().sum()
    trace = torch.cov(a.T).trace() + torch.cov(b.T).trace()
    return float((a.mean(0) - b.mean(0)).square().sum() + trace - 2 * cross)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T
