"""From a planned run and its loaded models to the setup of the scale loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from var_spaces.decoding.loop.graphs import GRAPHS
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.setup import Conditioning, Observer, RunSetup
from var_spaces.tasks.base import Pictures
from var_spaces.tasks.plan import Plan
from var_spaces.zoo.environment import graphs_from_environment, lane_from_environment
from var_spaces.zoo.residency import LoadedModel

if TYPE_CHECKING:
    from var_spaces.adapters.base import Prepared


@dataclass(frozen=True, eq=False)
class Request:
    """A run that is asked for.

    Attributes:
        plan: what is drawn.
        pictures: that it names, by content hash.
        previews: decode the images after every scale.
        observe: told about every intermediate result.
    """

    plan: Plan
    pictures: Pictures = field(default_factory=dict)
    previews: bool = False
    observe: Observer | None = None


def setup_of(
    request: Request, model: LoadedModel, extra: Mapping[str, Any], conditioning: Conditioning
) -> RunSetup:
    """The setup of a run; what an adapter needs is computed here, once.

    Args:
        extra: backbones of further models that the strategy asked for, by id.
        conditioning: of its images, see :func:`conditioning_of`.
    """
    plan, pictures = request.plan, request.pictures
    spec = plan.spec
    adapter = _adapting(plan, model, pictures)
    tokenizer = adapter.retokenized(model.tokenizer) if adapter else model.tokenizer
    return RunSetup(
        tokenizer=tokenizer,
        backbone=model.backbone,
        schedule=plan.schedule,
        conditioning=conditioning,
        images=tuple(range(spec.first, spec.first + spec.count)),
        noise=SeededNoise(spec.seed, model.device),
        sampling=plan.sampling,
        guidance=plan.guidance,
        cache=plan.cache,
        decoding=plan.decoding,
        extra=extra,
        asked=(plan.task.asked(plan.card),) * spec.count,
        substitution=plan.task.substitution(tokenizer, plan.schedule, pictures),
        blending=plan.task.blending(tokenizer, plan.schedule, pictures),
        adapter=adapter,
        previews=request.previews,
        observe=request.observe,
        graphs=GRAPHS if model.device.type == "cuda" and graphs_from_environment() else None,
        lane_size=lane_from_environment() if model.device.type == "cpu" else None,
    )


def conditioning_of(plan: Plan, model: LoadedModel) -> Conditioning:
    """The condition of the task; the encoder that reads its prompts is the zoo's."""
    found = plan.task.conditioning(plan.card, plan.spec.count)
    return replace(found, loaded=model.text_encoder) if model.text_encoder else found


def _adapting(plan: Plan, model: LoadedModel, pictures: Pictures) -> Prepared | None:
    """The adapter of the model, ready for this run; what it needs is computed here, once."""
    if plan.adapter is None:
        return None
    from var_spaces.adapters.base import Given, Loaded

    height, width = (side * model.tokenizer.downsample for side in plan.schedule.last)
    seen = {
        name: plan.task.seen(name, height, width, pictures) for name in plan.task.picture_fields()
    }
    given = Given(
        schedule=plan.schedule,
        count=plan.spec.count,
        inputs=plan.task,
        pictures={k: _as_tensor(p, model.device) for k, p in seen.items() if p is not None},
    )
    loaded = Loaded(model.backbone, model.tokenizer, model.adapter, model.text_encoder)
    with torch.no_grad():
        return plan.adapter.prepare(loaded, given)


def _as_tensor(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Pixels ``(H, W[, 3])`` uint8 as ``(1, 1 or 3, H, W)`` float32 in [-1, 1]."""
    tensor = torch.tensor(pixels, device=device).reshape(*pixels.shape[:2], -1)
    return tensor.permute(2, 0, 1)[None].float() / 127.5 - 1
