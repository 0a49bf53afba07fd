"""How long a run will take on a GPU, before it runs: to ask a ZeroGPU Space for just enough time.

A rough model from above, of what takes time: reading the weights from disk, products (2 operations
per weight and token of the transformer, and those of the decoder for every picture that is looked
at), and a fixed cost per scale and image. The products alone explain what plain decoding and
searches take on a CPU within 30 % (``docs/results/search.md``); no GPU was measured yet.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from var_spaces import methods
from var_spaces.decoding.strategy import DecodingStrategy
from var_spaces.schedule import ScaleSchedule
from var_spaces.validation import FrozenDict
from var_spaces.zoo.cards import Card, base_of, get_card
from var_spaces.zoo.estimate import encoder_bytes, weight_bytes
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
    work = decoding.work(schedule, card.architecture.get("depth", 1))
    launches = sum(step.passes for step in work)
    decoded = sum(images * (step.rows if step.looks else 1) for step in work)
    fixed = PER_SCALE * launches + PER_IMAGE * decoded
    loaded = {card.id, card.tokenizer, *_models(card, decoding).values()}
    reading = (sum(map(_bytes, loaded)) + _encoder(card.text_encoder)) / DISK
    # Every scale shows a picture of every image on the way.
    products = operations(card, schedule, rows, images, decoding, previews=True)
    return math.ceil(START + reading + products / OPERATIONS + fixed)


def operations(
    card: Card,
    schedule: ScaleSchedule,
    rows: int,
    images: int,
    decoding: DecodingStrategy,
    previews: bool = False,
) -> float:
    """Operations of the products of a run; those of networks that rewards look through are not in
    it. Arguments as of :func:`gpu_seconds`.

    Args:
        previews: whether pictures are decoded after every scale.
    """
    own, depth = _models(card, decoding), card.architecture.get("depth", 1)
    pictures, total, before = 0, 0.0, ""
    work = decoding.work(schedule, depth)
    for scale, step in enumerate(work):
        reads = schedule.offsets[scale + 1] if step.model != before else schedule.lengths[scale]
        share = 1 if step.blocks is None else len(step.blocks) / depth
        tokens = reads * rows * step.rows * step.passes * share
        total += 2 * _bytes(own[step.model]) / 4 * tokens
        pictures += images * (step.rows if step.looks else int(previews))
        before = step.model
    total += 2 * _bytes(own[""]) / 4 * _beside(card, schedule, rows)
    if not (previews or work[-1].looks):
        pictures += images
    return total + pictures * _decoding(card.tokenizer, schedule)


def _models(card: Card, decoding: DecodingStrategy) -> dict[str, str]:
    """Ids of the models that draw, by what the strategy calls them."""
    partners = {name: base_of(get_card(name)).id for name in decoding.models}
    return {"": base_of(card).id, **partners}


def _beside(card: Card, schedule: ScaleSchedule, rows: int) -> float:
    """Tokens that an adapter sends through the blocks before anything is drawn, as far as what it
    keeps of them says: a source in every row, a map once per run."""
    if not card.adapter:
        return 0
    adapter, config = methods.parse("adapter", card.adapter), _config(base_of(card).id)
    once = adapter.held(schedule, config) / config.depth
    return once + rows * max(adapter.pinned(schedule, config), default=0)


@lru_cache(maxsize=64)
def _config(model: str) -> Any:
    return build(get_card(model)).config


@lru_cache(maxsize=64)
def _decoding(tokenizer: str, schedule: ScaleSchedule) -> int:
    """Operations of the decoder for one picture."""
    module = build(get_card(tokenizer, "tokenizer"))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.decode(module.new_latent(1, schedule, torch.device("meta")))
    return counter.get_total_flops()


@lru_cache(maxsize=64)
def _encoder(text_encoder: FrozenDict | None) -> int:
    return encoder_bytes(text_encoder, "cuda") if text_encoder else 0


@lru_cache(maxsize=256)
def _bytes(model: str) -> int:
    return weight_bytes(build(get_card(model)), torch.float32)
