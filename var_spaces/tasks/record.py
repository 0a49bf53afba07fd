"""What a run tells about itself while it is drawn, and the record of it when it is done."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from var_spaces.events import Finished, ImageReady, Measured, ScaleDone
from var_spaces.record import Environment, RunRecord, ScaleRow
from var_spaces.tasks.prepare import Request
from var_spaces.zoo.environment import shared_batches
from var_spaces.zoo.residency import LoadedModel


@dataclass(eq=False)
class Ledger:
    """Collects what the record of a run needs."""

    request: Request
    model: LoadedModel
    scales: list[tuple[Measured, dict[str, Any]]] = field(default_factory=list)
    images: list[np.ndarray] = field(default_factory=list)

    def scale(self, event: ScaleDone) -> ScaleDone:
        """Note a scale."""
        cost = ("scale", "size", "tokens", "kv_bytes")
        self.scales.append((event.measured, {name: getattr(event, name) for name in cost}))
        return event

    def image(self, image: np.ndarray) -> ImageReady:
        """The next image ``(H, W, 3)`` uint8, which the task finishes."""
        plan = self.request.plan
        self.images.append(plan.task.finish(image, self.request.pictures))
        return ImageReady(plan.spec.first + len(self.images) - 1, self.images[-1])

    def finished(self, ids: Sequence[Tensor], seconds: float) -> Finished:
        """The end of the run, after all its images."""
        spec = self.request.plan.spec
        record = RunRecord(
            spec=spec,
            id=spec.id,
            scales=tuple(ScaleRow(seconds=one.seconds, **cost) for one, cost in self.scales),
            seconds=seconds,
            token_sha256=tuple(token_digest(ids, image) for image in range(spec.count)),
            image_sha256=tuple(hashlib.sha256(i.tobytes()).hexdigest() for i in self.images),
            weights_sha256=self.model.weights_sha256,
            environment=Environment.current(_where(self.model), torch.get_num_threads()),
        )
        return Finished(record, self.images, ids)


def _where(model: LoadedModel) -> str:
    """The device in words, and what else may change the last bit."""
    device = model.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    if model.precision != "float32":
        name += f", weights in {model.precision}"
    return name + shared_batches(device)


def token_digest(ids: Sequence[Tensor], image: int) -> str:
    """SHA-256 of the ids of one image: all scales in order, little-endian int64."""
    digest = hashlib.sha256()
    for scale in ids:
        digest.update(scale[image].contiguous().numpy().astype("<i8").tobytes())
    return digest.hexdigest()


class Stopwatch:
    """Counts the time of a run, not of whoever consumes its events."""

    def __init__(self) -> None:
        self.total = 0.0
        self.go()

    def go(self) -> None:
        self.since = time.perf_counter()

    def pause(self) -> None:
        self.total += time.perf_counter() - self.since
