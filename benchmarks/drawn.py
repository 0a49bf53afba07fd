"""Images of a suite's items with what was learned from a picture, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from leaderboard.item import Item
from leaderboard.metrics.base import Batch, Context, Cost, Metric
from leaderboard.metrics.subject import counted
from var_spaces import methods
from var_spaces.cache.full import Full
from var_spaces.conditioning.text_conditioning import TextConditioning
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.loop.run import run
from var_spaces.decoding.setup import RunSetup
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.events import ImageReady

if TYPE_CHECKING:
    from var_spaces.adapters.base import Prepared
    from var_spaces.decoding.base import Guidance
    from var_spaces.zoo.residency import LoadedModel


def draw(
    model: LoadedModel,
    items: Sequence[Item],
    prompts: Sequence[str],
    adapter: Prepared,
    guidance: Guidance | None = None,
) -> list[np.ndarray]:
    """Images of prompts, each with the noise of its item's number, as the model's card draws.

    Args:
        guidance: instead of the card's.
    """
    card = model.card
    encoder = methods.parse("text_encoder", card.text_encoder)
    setup = RunSetup(
        tokenizer=model.tokenizer,
        backbone=model.backbone,
        schedule=model.backbone.schedule,
        conditioning=TextConditioning(tuple(prompts), encoder, None, model.text_encoder),
        images=tuple(item.index for item in items),
        noise=SeededNoise(0),
        sampling=methods.parse("sampling", card.defaults["sampling"]),
        guidance=guidance or methods.parse("guidance", card.defaults["guidance"]),
        cache=Full(),
        decoding=PlainDecoding(),
        adapter=adapter,
    )
    with torch.no_grad():
        return [event.image for event in run(setup) if isinstance(event, ImageReady)]


def measured(
    metrics: Sequence[Metric], items: Sequence[Item], images: np.ndarray
) -> dict[str, np.ndarray]:
    """What metrics that look at images say of each image that counts for them, by name."""
    batch = Batch(tuple(items), images, np.zeros((len(items), 1), np.int64), Cost(0, (0,), (0,)))
    context = Context(device=torch.device("cpu"))
    looking = [metric for metric in metrics if not metric.measured and "group" in metric.facts]
    return {metric.name: counted(metric.measure(batch, context))[0] for metric in looking}
