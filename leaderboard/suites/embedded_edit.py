"""Zero-shot editing with embedded class models: fill, continue, change the class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.judged import ClassAccuracy, StyleAccuracy
from leaderboard.metrics.kept_psnr import KeptPsnr
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.sources import pictures, sources
from leaderboard.suites.base import Suite
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

# Mode and rectangle (top, left, bottom, right); the last one asks for another class.
CENTRE = (0.25, 0.25, 0.75, 0.75)
KINDS = (
    ("in-painting", CENTRE),
    ("in-painting", (0.0, 0.5, 1.0, 1.0)),
    ("out-painting", CENTRE),
    ("in-painting", (0.125, 0.125, 0.875, 0.875)),
)


@register
class EmbeddedEdit(Suite):
    """24 pictures, each with its middle and with its right half painted anew, with all but its
    middle, and with another class in its place: 96 edits, source pixels not put back."""

    name = "embedded-edit"
    title = "Zero-shot editing, 96 edits"

    version = 1
    task = "edit"
    minutes = 1

    def items(self) -> Sequence[Item]:
        known = sources()
        found = []
        for number, source in enumerate(known):
            another = known[(number + 1) % len(known)].class_
            for kind, (mode, rectangle) in enumerate(KINDS):
                class_ = another if kind == len(KINDS) - 1 else source.class_
                named = {"class": class_, "style": source.style}
                inputs = {"source": source.sha256, "mode": mode, "rectangle": list(rectangle)}
                kept = "inside" if mode == "out-painting" else "outside"
                facts = {**named, "source": source.sha256, "kept": kept}
                found.append(Item(len(found), {**named, **inputs}, facts))
        return found

    def metrics(self) -> tuple[Metric, ...]:
        return ClassAccuracy(), StyleAccuracy(), KeptPsnr(), KvPeak(), Latency()

    def pictures(self) -> Mapping[str, np.ndarray]:
        return pictures()
