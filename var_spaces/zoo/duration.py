"""How long a run will take on a GPU, before it runs: to ask a ZeroGPU Space for just enough time.

A rough model from above, of what takes time: reading the weights from disk, the matrix products of
all tokens (2 operations per weight and token), and a fixed cost per scale and image.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo.cards import Card, get_card
from var_spaces.zoo.estimate import weight_bytes
from var_spaces.zoo.manifest import build

START = 5.0  # seconds: process, CUDA, first kernels
DISK = 5e8  # bytes per second
OPERATIONS = 1e13  # per second, far below the peak of the GPUs that Spaces lend
PER_SCALE, PER_IMAGE = 0.05, 0.1  # seconds: launching kernels; decoding and sending previews


def gpu_seconds(card: Card, schedule: ScaleSchedule, rows: int, images: int) -> int:
    """Seconds to ask for, rounded up.

    Args:
        card: of a generator.
        schedule: token maps of the run.
        rows: of a batch: images, twice as many with guidance.
        images: how many of them are decoded.
    """
    weights = _bytes(card.id) + _bytes(card.tokenizer)
    work = 2 * _bytes(card.id) / 4 * schedule.total * rows
    scales = schedule.num_scales * (PER_SCALE + PER_IMAGE * images)
    return math.ceil(START + weights / DISK + work / OPERATIONS + scales)


@lru_cache(maxsize=256)
def _bytes(model: str) -> int:
    return weight_bytes(build(get_card(model)), torch.float32)
