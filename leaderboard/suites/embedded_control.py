"""Prompts with a control map each, of every kind that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from leaderboard.controls import controlled, pictures
from leaderboard.item import Item
from leaderboard.metrics.base import Metric
from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.cmmd import Cmmd
from leaderboard.metrics.composition import Composition
from leaderboard.metrics.control_f1 import ControlF1
from leaderboard.metrics.control_iou import ControlIou
from leaderboard.metrics.control_mse import ControlMse
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.kv_bytes import KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.references.atlas import AtlasScenes
from leaderboard.references.base import Reference
from leaderboard.suites.base import Suite
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

KINDS = ("canny", "scribble", "soft-edges", "blur", "grey", "palette", "mask")


@register
class EmbeddedControl(Suite):
    """Four prompts of each of ten categories, each drawn along seven maps of its scene.

    Maps are taken from the exact picture of the scene; the silhouette is that of the scene itself.
    With a weight of the control of 0 this measures the model without control, and every score of
    control has beside it that of the pictures after the tokenizer.
    """

    name = "embedded-control"
    title = "Drawing along control maps, 280 images"
    paper = "https://arxiv.org/abs/2510.14882"

    version = 2
    task = "control"
    minutes = 4

    def items(self) -> Sequence[Item]:
        found = []
        for scene in controlled():
            prompt, picture = scene.prompt, scene.picture
            facts = {"caption": prompt.text, "group": prompt.category, "picture": picture}
            facts["claims"] = asdict(prompt.caption)
            for kind in KINDS:
                given = {"map": scene.map} if kind == "mask" else {"source": picture}
                inputs = {"prompt": prompt.text, "control": kind, **given}
                found.append(Item(len(found), inputs, facts))
        return found

    def metrics(self) -> tuple[Metric, ...]:
        return (
            ControlF1(), ControlMse(), ControlIou(), Composition(), ClipScore(), Cmmd(),
            Frechet(extractor="embedded-clip"), KvPeak(), Latency(),
        )  # fmt: skip

    def reference(self) -> Reference:
        return AtlasScenes(recipe="composed", split="all", count=2048)

    def pictures(self) -> Mapping[str, np.ndarray]:
        return pictures()
