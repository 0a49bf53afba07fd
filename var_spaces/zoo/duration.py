"""How long a run will take on a GPU, before it runs: to ask a ZeroGPU Space for just enough time.

A rough model from above, of what takes time: reading the weights from disk, the matrix products of
all tokens (2 operations per weight and token), and a fixed cost per scale and image.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from var_spaces import methods
from var_spaces.decoding.strategy import DecodingStrategy
from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo.cards import Card, base_of, get_card
from var_spaces.zoo.estimate import weight_bytes
from var_spaces.zoo.manifest import build

START = 5.0  # seconds: process, CUDA, first kernels
DISK = 5e8  # bytes per second
OPERATIONS = 1e13  # per second, far below the peak of the GPUs that Spaces lend
PER_SCALE, PER_IMAGE = 0.05, 0.1  # seconds: launching kernels; decoding and sending previews


def gpu_seconds(
    card: Card,
    schedule: ScaleSchedule,
    rows: int,
    images: int,
    decoding: DecodingStrategy | None = None,
) -> int:
    """Seconds to ask for, rounded up.

    Args:
        card: of a generator.
        schedule: token maps of the run.
        rows: of a batch: images, twice as many with guidance.
        images: how many of them are decoded.
        decoding: the strategy; None is plain.
    """
    decoding = decoding or methods.parse("decoding", "plain")
    depth = card.architecture.get("depth", 1)
    work = decoding.work(schedule, depth)
    drawing = base_of(card).id
    own = {"": drawing, **{name: base_of(get_card(name)).id for name in decoding.models}}
    loaded = {card.id, card.tokenizer, *own.values()}
    operations, launches, decoded, before = 0.0, 0, 0, ""
    for scale, step in enumerate(work):
        reads = schedule.offsets[scale + 1] if step.model != before else schedule.lengths[scale]
        share = 1 if step.blocks is None else len(step.blocks) / depth
        tokens = reads * rows * step.rows * step.passes * share
        operations += 2 * _bytes(own[step.model]) / 4 * tokens
        launches += step.passes
        decoded += images * (step.rows if step.looks else 1)
        before = step.model
    fixed = PER_SCALE * launches + PER_IMAGE * decoded
    reading = sum(map(_bytes, loaded)) / DISK
    return math.ceil(START + reading + operations / OPERATIONS + fixed)


@lru_cache(maxsize=256)
def _bytes(model: str) -> int:
    return weight_bytes(build(get_card(model)), torch.float32)
