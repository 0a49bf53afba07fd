"""Images of a network in training, drawn by the engine's own scale loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor, nn

from var_spaces.schedule import ScaleSchedule
from var_spaces.training.images.pictures import grid

if TYPE_CHECKING:
    from var_spaces.cache.base import CachePolicy
    from var_spaces.decoding.strategy import DecodingStrategy

SEED = 1
BATCH = 32


def generate(
    tokenizer: nn.Module,
    model: nn.Module,
    labels: Sequence[int],
    styles: Sequence[int | None],
    *,
    sampling: dict | None = None,
    guidance: float = 2.5,
    seed: int = SEED,
    cache: CachePolicy | None = None,
    decoding: DecodingStrategy | None = None,
    schedule: ScaleSchedule | None = None,
) -> Tensor:
    """Draw images ``(B, 3, H, W)`` in [-1, 1], float32 on the CPU.

    Args:
        labels: class index per image.
        styles: style index per image, None for no style.
        sampling: parameters of top-k / top-p sampling.
        guidance: weight at the last scale.
        cache, decoding: None is the full cache and plain decoding.
        schedule: token maps; None is the model's own.

    Raises:
        ImportError: on a machine without pydantic, which the engine's methods need.
    """
    from var_spaces.cache.full import Full
    from var_spaces.decoding.conditioning import ClassConditioning
    from var_spaces.decoding.guidance.linear import LinearGuidance
    from var_spaces.decoding.loop.noise import SeededNoise
    from var_spaces.decoding.loop.run import run
    from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
    from var_spaces.decoding.setup import RunSetup
    from var_spaces.decoding.strategies.plain import PlainDecoding
    from var_spaces.events import ImageReady

    images = []
    for first in range(0, len(labels), BATCH):
        part = slice(first, first + BATCH)
        count = len(labels[part])
        setup = RunSetup(
            tokenizer=tokenizer,
            backbone=model,
            schedule=schedule or model.schedule,
            conditioning=ClassConditioning(tuple(labels[part]), tuple(styles[part])),
            images=tuple(range(first, first + count)),
            noise=SeededNoise(seed),
            sampling=TopKTopP(**(sampling or {"top_k": 100, "top_p": 0.95})),
            guidance=LinearGuidance(scale=guidance),
            cache=cache or Full(),
            decoding=decoding or PlainDecoding(),
        )
        images += [event.image for event in run(setup) if isinstance(event, ImageReady)]
    pixels = torch.stack([torch.from_numpy(image) for image in images])
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def sample_sheet(
    tokenizer: nn.Module,
    model: nn.Module,
    labels: Sequence[int],
    styles: Sequence[int | None],
    columns: int = 8,
    scale: int = 1,
    **settings: Any,
) -> Image.Image:
    """Unselected images with a fixed seed, row by row; ``settings`` are those of
    :func:`generate`."""
    return grid(generate(tokenizer, model, labels, styles, **settings), columns, scale=scale)
