"""What the page shows of one run: a small frozen value that every event turns into the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from var_spaces.api import image_spec
from var_spaces.events import Event, Finished, ScaleDone, Started
from var_spaces.record import RunRecord
from var_spaces.schedule import ScaleSchedule
from var_spaces.spec import RunSpec
from var_spaces.ui.gallery.pictures import Strip
from var_spaces.ui.run import pixels
from var_spaces.ui.run.choice import Choice

Phase = Literal["empty", "loading", "running", "done", "failed"]
ACTIVE: tuple[Phase, ...] = ("loading", "running")


@dataclass(frozen=True)
class ScaleView:
    """One scale that has been drawn.

    Attributes:
        kv_bytes, kv_full_bytes, kv_pinned_bytes: while all candidates of the scale were there,
            dropped ones too.
        frame: the first image so far, as a data URI.
        rows: candidates of all images that it was drawn for.
        choices: what a search chose from after it, per image.
    """

    size: tuple[int, int]
    tokens: int
    seconds: float
    kv_bytes: int
    kv_full_bytes: int
    entropy: float
    frame: str
    rows: int = 1
    choices: tuple[Choice, ...] = ()
    kv_pinned_bytes: int = 0


@dataclass(frozen=True, eq=False)
class RunView:
    """State of a run on the page.

    Attributes:
        phase: where the run is.
        schedule: of the model; None where there is no model.
        size: ``(H, W)`` of its images in pixels.
        promise: what the page offers while nothing has been drawn.
        example: a finished one that is shown while nothing has been drawn.
        looks_back: whether the model reads earlier scales, or only the picture so far.
        before: the picture that an edit starts from, as a data URI.
        handed: what was handed in by content hash, in the first view of a run alone.
        spec: of the run; None before it is accepted.
        scales: those that have been drawn.
        pictures: all images as they are now, as data URIs.
        images: all images ``(H, W, 3)`` uint8 of a finished run.
        record: of a finished run.
        kept: which tokens of each scale its cache kept, as data URIs; none if all or none.
        notes: what the person should know: that a prompt was cut, say.
        message: why a run failed, in one line.
    """

    phase: Phase = "empty"
    schedule: ScaleSchedule | None = None
    size: tuple[int, int] = (64, 64)
    promise: str = ""
    example: Strip | None = None
    looks_back: bool = True
    before: str = ""
    handed: Mapping[str, np.ndarray] = field(default_factory=dict)
    spec: RunSpec | None = None
    scales: tuple[ScaleView, ...] = ()
    pictures: tuple[str, ...] = ()
    images: tuple[np.ndarray, ...] = ()
    record: RunRecord | None = None
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    message: str = ""

    def after(self, event: Event) -> RunView:
        """The state after one more event."""
        match event:
            case Started():
                return replace(
                    self,
                    phase="running",
                    spec=event.spec,
                    schedule=event.schedule,
                    notes=event.notes,
                )
            case ScaleDone():
                return replace(
                    self,
                    scales=(*self.scales, _scale(event)),
                    pictures=tuple(pixels.preview(image) for image in event.preview),
                    size=event.preview.shape[1:3],
                )
            case Finished():
                spec = event.record.spec
                final = (pixels.picture(p, image_spec(spec, i)) for i, p in enumerate(event.images))
                return replace(
                    self,
                    phase="done",
                    spec=spec,
                    pictures=tuple(final),
                    images=tuple(event.images),
                    record=event.record,
                )
        return self

    def loading(self, schedule: ScaleSchedule | None = None, before: str = "") -> RunView:
        """The state when a run was accepted and its model may still have to load."""
        return replace(self, phase="loading", schedule=schedule or self.schedule, before=before)

    def failed(self, message: str) -> RunView:
        """The state after an error; what was drawn stays."""
        return replace(self, phase="failed", message=message)

    @property
    def is_active(self) -> bool:
        """Whether there is something to stop."""
        return self.phase in ACTIVE

    @property
    def tokens(self) -> int:
        """Tokens of one image that have been drawn."""
        return sum(scale.tokens for scale in self.scales)

    @property
    def seconds(self) -> float:
        """Time of the run; while it runs, of its scales."""
        return self.record.seconds if self.record else sum(s.seconds for s in self.scales)

    @property
    def peak_kv_bytes(self) -> int:
        """The most bytes that the cache held after a scale."""
        return max((scale.kv_bytes for scale in self.scales), default=0)


def _scale(event: ScaleDone) -> ScaleView:
    # Every row holds as much, and the event counts after some were dropped or drawn again.
    left = sum(len(found.kept) for found in event.candidates) or event.rows

    def before(left_bytes: int) -> int:
        return left_bytes * event.rows // left

    return ScaleView(
        size=event.size,
        tokens=event.tokens,
        seconds=event.seconds,
        kv_bytes=before(event.kv_bytes),
        kv_full_bytes=before(event.kv_full_bytes),
        kv_pinned_bytes=before(event.kv_pinned_bytes),
        entropy=event.entropy,
        frame=pixels.preview(event.preview[0], pixels.FILM_SIDE),
        rows=event.rows,
        choices=tuple(map(Choice.of, event.candidates)),
    )
