"""Images of a text-to-image network in training, drawn by the engine's own scale loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from var_spaces.backbones.text_features import TextFeatures, concatenate
from var_spaces.conditioning.packed_encoder import PackedEncoder
from var_spaces.decoding.backbone import (
    NULL,
    Adapting,
    BatchRow,
    Condition,
    TextBackbone,
    blocks,
)
from var_spaces.training.images.pictures import grid

SEED = 1
BATCH = 32


@dataclass(frozen=True)
class Prompts:
    """Prompts as the condition of a run, read by an encoder that is already there."""

    encoder: PackedEncoder
    prompts: tuple[str, ...]

    def embed(
        self, backbone: TextBackbone, rows: Sequence[BatchRow], adapter: Adapting | None = None
    ) -> Condition:
        parts = []
        for name, images in blocks(rows).items():
            text = TextFeatures.of(self.encoder([self.prompts[i] for i in images]))
            parts.append(backbone.empty_text(text.lengths) if name == NULL else text)
        return backbone.condition(concatenate(parts))


def draw_prompts(
    tokenizer: nn.Module,
    model: nn.Module,
    encoder: PackedEncoder,
    prompts: Sequence[str],
    defaults: Mapping[str, Any],
    seed: int = SEED,
    adapter: Callable[[slice], Adapting] | None = None,
) -> Tensor:
    """Images ``(B, 3, H, W)`` in [-1, 1], float32 on the CPU.

    Args:
        defaults: descriptions of ``sampling`` and ``guidance``.
        adapter: what extends the model for some of the prompts.

    Raises:
        ImportError: on a machine without pydantic, which the engine's methods need.
    """
    from var_spaces.cache.full import Full
    from var_spaces.decoding.loop.noise import SeededNoise
    from var_spaces.decoding.loop.run import run
    from var_spaces.decoding.setup import RunSetup
    from var_spaces.decoding.strategies.plain import PlainDecoding
    from var_spaces.events import ImageReady
    from var_spaces.methods import parse

    images = []
    for first in range(0, len(prompts), BATCH):
        part = tuple(prompts[first : first + BATCH])
        setup = RunSetup(
            tokenizer=tokenizer,
            backbone=model,
            schedule=model.schedule,
            conditioning=Prompts(encoder, part),
            images=tuple(range(first, first + len(part))),
            noise=SeededNoise(seed),
            sampling=parse("sampling", defaults["sampling"]),
            guidance=parse("guidance", defaults["guidance"]),
            cache=Full(),
            decoding=PlainDecoding(),
            adapter=adapter and adapter(slice(first, first + len(part))),
        )
        images += [event.image for event in run(setup) if isinstance(event, ImageReady)]
    pixels = torch.stack([torch.from_numpy(image) for image in images])
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def text_sheet(
    tokenizer: nn.Module,
    model: nn.Module,
    encoder: PackedEncoder,
    prompts: Sequence[str],
    defaults: Mapping[str, Any],
    columns: int = 8,
) -> Image.Image:
    """Unselected images with a fixed seed, row by row in the order of the prompts."""
    return grid(draw_prompts(tokenizer, model, encoder, prompts, defaults), columns)
