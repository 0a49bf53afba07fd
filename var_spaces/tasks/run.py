"""From a planned run to its events: loads the models, drives the scale loop, writes the record."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.loop.run import run as draw
from var_spaces.decoding.setup import Conditioning, Observer, RunSetup
from var_spaces.events import Event, Finished, ImageReady, ScaleDone, Started
from var_spaces.record import Environment, RunRecord, ScaleRow
from var_spaces.tasks.base import Pictures
from var_spaces.tasks.plan import Plan
from var_spaces.zoo.environment import lane_from_environment
from var_spaces.zoo.residency import LoadedModel, Residency

if TYPE_CHECKING:
    from var_spaces.adapters.base import Prepared


def run(
    plan: Plan,
    zoo: Residency,
    *,
    pictures: Pictures,
    previews: bool = False,
    device: str | torch.device | None = None,
    observe: Observer | None = None,
) -> Iterator[Event]:
    """Events of a run: ``Started``, a ``ScaleDone`` per scale, an ``ImageReady`` per image,
    ``Finished``. Closing the generator frees what the run held; models stay in the zoo, and cannot
    leave it while the run lasts."""
    with zoo.lease([plan.card.id, *plan.extra], device, text=True) as (model, *more):
        extra = {name: other.backbone for name, other in zip(plan.extra, more, strict=True)}
        yield from _events(plan, model, extra, pictures, previews, observe)


def _events(
    plan: Plan,
    model: LoadedModel,
    extra: Mapping[str, Any],
    pictures: Pictures,
    previews: bool,
    observe: Observer | None,
) -> Iterator[Event]:
    spec = plan.spec
    clock = _Stopwatch()
    conditioning = _conditioning(plan, model)
    notes = conditioning.notes() if model.text_encoder else ()
    yield clock.pause(Started(spec, spec.id, plan.schedule, plan.card.id, notes))
    clock.go()
    adapter = _adapting(plan, model, pictures)
    tokenizer = adapter.retokenized(model.tokenizer) if adapter else model.tokenizer
    setup = RunSetup(
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
        adapter=adapter,
        previews=previews,
        observe=observe,
        lane_size=lane_from_environment() if model.device.type == "cpu" else None,
    )
    scales: list[ScaleRow] = []
    images: list[np.ndarray] = []
    steps = draw(setup)
    try:
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                ids = end.value
                break
            event = _note(event, plan, pictures, scales, images)
            yield clock.pause(event)
            clock.go()
    finally:
        steps.close()
    yield Finished(_record(plan, model, scales, ids, images, clock.stop()), images, ids)


def _conditioning(plan: Plan, model: LoadedModel) -> Conditioning:
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


def _note(
    event: ScaleDone | ImageReady,
    plan: Plan,
    pictures: Pictures,
    scales: list[ScaleRow],
    images: list[np.ndarray],
) -> ScaleDone | ImageReady:
    """Collect what the record needs; the task finishes images."""
    match event:
        case ScaleDone():
            cost = ("scale", "size", "tokens", "seconds", "kv_bytes")
            scales.append(ScaleRow(**{name: getattr(event, name) for name in cost}))
        case ImageReady(index, image):
            event = ImageReady(index, plan.task.finish(image, pictures))
            images.append(event.image)
    return event


def _record(
    plan: Plan,
    model: LoadedModel,
    scales: Sequence[ScaleRow],
    ids: Sequence[Tensor],
    images: Sequence[np.ndarray],
    seconds: float,
) -> RunRecord:
    device = model.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    if model.precision != "float32":
        name += f", weights in {model.precision}"
    if device.type == "cpu" and (lane := lane_from_environment()) > 1:
        name += f", batches of {lane}"
    return RunRecord(
        spec=plan.spec,
        id=plan.spec.id,
        scales=tuple(scales),
        seconds=seconds,
        token_sha256=tuple(token_digest(ids, image) for image in range(plan.spec.count)),
        image_sha256=tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in images),
        weights_sha256=model.weights_sha256,
        environment=Environment.current(name, torch.get_num_threads()),
    )


def token_digest(ids: Sequence[Tensor], image: int) -> str:
    """SHA-256 of the ids of one image: all scales in order, little-endian int64."""
    digest = hashlib.sha256()
    for scale in ids:
        digest.update(scale[image].contiguous().numpy().astype("<i8").tobytes())
    return digest.hexdigest()


class _Stopwatch:
    """Counts the time of the run, not of whoever consumes its events."""

    def __init__(self) -> None:
        self.total = 0.0
        self.go()

    def go(self) -> None:
        self.since = time.perf_counter()

    def pause(self, event: Event) -> Event:
        self.total += time.perf_counter() - self.since
        return event

    def stop(self) -> float:
        self.pause(None)
        return self.total
