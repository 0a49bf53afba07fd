"""GenEval: does an image hold the objects, numbers, colours and places that its prompt names?

Ghosh et al. 2023 (arXiv 2310.11513). A prompt's ``include`` clauses must all hold, and no
``exclude`` clause may. Detection and colours are the extractor's; the rules are here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.grouped import Grouped
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np

    from leaderboard.extractors.base import Extractor

MARGIN = 0.1  # of the summed sizes of two boxes
DIRECTION = 0.5  # least component of the unit vector between two centres


@dataclass(frozen=True)
class Detected:
    """An object: box ``(left, top, right, bottom)`` in pixels, and its colour."""

    name: str
    box: tuple[float, float, float, float]
    colour: str = ""


@register
class GenEval(Grouped):
    """0..1, plain mean of the six tasks; each task is a detail."""

    name = "geneval"
    title = "GenEval"
    paper = "https://arxiv.org/abs/2310.11513"
    better = "higher"
    facts = ("group", "metadata")
    groups = (
        "single_object", "two_object", "counting", "colors", "position", "color_attr",
    )  # fmt: skip

    @property
    def uses(self) -> Extractor:
        from leaderboard.extractors.base import get_extractor

        return get_extractor("mask2former-swin-s")

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        network = context.network(self.uses)
        numbers = []
        for item, image in zip(batch.items, batch.images, strict=True):
            data = item.facts["metadata"]
            numbers.append(not reasons(network.detect(image, data), data))
        return self.with_groups(batch, numbers)


def reasons(objects: Sequence[Detected], metadata: Mapping[str, Any]) -> list[str]:
    """Why an image does not show its prompt; empty if it does.

    Args:
        objects: of every class in the order of their scores.
        metadata: of the prompt: ``include`` and ``exclude`` clauses.
    """
    found: list[str] = []
    groups: list[list[Detected]] = []
    for clause in metadata.get("include", ()):
        wanted = clause["count"]
        group = [item for item in objects if item.name == clause["class"]][:wanted]
        problem = _problem(group, clause, groups)
        found += [problem] if problem else []
        groups.append([] if problem else group)
    for clause in metadata.get("exclude", ()):
        count = sum(item.name == clause["class"] for item in objects)
        if count >= clause["count"]:
            found.append(f"fewer than {clause['count']} {clause['class']} expected, {count} found")
    return found


def _problem(
    group: Sequence[Detected], clause: Mapping[str, Any], groups: Sequence[Sequence[Detected]]
) -> str:
    name, wanted = clause["class"], clause["count"]
    if len(group) < wanted:
        return f"{wanted} {name} expected, {len(group)} found"
    if "color" in clause:
        right = sum(item.colour == clause["color"] for item in group)
        if right < wanted:
            return f"{wanted} {clause['color']} {name} expected, {right} found"
    if "position" in clause:
        relation, target = clause["position"]
        if not groups[target]:
            return f"{name} has nothing to be {relation}"
        for item in group:
            if any(relation not in relations(item.box, other.box) for other in groups[target]):
                return f"{name} is not {relation} its target"
    return ""


def relations(a: Sequence[float], b: Sequence[float]) -> set[str]:
    """How box ``a`` stands to box ``b``: "left of", "right of", "above", "below"."""
    offset, size = [], []
    for low, high in ((0, 2), (1, 3)):
        offset.append((a[low] + a[high] - b[low] - b[high]) / 2)
        size.append(abs(a[high] - a[low]) + abs(b[high] - b[low]))
    length = (offset[0] ** 2 + offset[1] ** 2) ** 0.5
    kept = [
        max(abs(o) - MARGIN * s, 0) * (1 if o > 0 else -1)
        for o, s in zip(offset, size, strict=True)
    ]
    if not any(kept):
        return set()
    x, y = (value / length for value in kept)
    told = {"left of": x < -DIRECTION, "right of": x > DIRECTION}
    told |= {"above": y < -DIRECTION, "below": y > DIRECTION}
    return {name for name, holds in told.items() if holds}
