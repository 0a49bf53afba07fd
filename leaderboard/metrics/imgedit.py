"""ImgEdit's rating of an edit: is it what was asked, is it seamless, are details kept.

Ye et al. 2025 (arXiv 2505.20275). A judge sees the picture, the edit and the instruction under the
rubric of its kind of edit, and ends with lines "aspect: 1 to 5". A score is the mean of these, then
over the edits of a kind, then over kinds. The rubrics are the authors' and are downloaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from leaderboard.metrics.base import Batch, Context, Value
from leaderboard.metrics.grouped import NO_GROUP, Grouped
from leaderboard.metrics.looking import Looking
from leaderboard.published_edits import IMGEDIT_KINDS, imgedit_rubrics
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.references.base import RealFeatures

PLACE = "<edit_prompt>"  # of the instruction in a rubric
LONGEST = 512  # tokens of a reply
RATINGS = range(1, 6)


@register
class ImgEditScore(Looking, Grouped):
    """1..5, mean over kinds of edits; each kind is a detail. Edits of which the judge gives no
    rating do not count, as with the authors; "not rated" says how many. 0 if none was rated."""

    name = "imgedit-score"
    title = "ImgEdit"
    paper = "https://arxiv.org/abs/2505.20275"
    better = "higher"
    facts = ("group", "source")
    groups = IMGEDIT_KINDS

    extractor: str = Field("imgedit-judge", description="a model that replies in words")

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        network, rubrics = context.network(self.uses), imgedit_rubrics()
        found = []
        for item, image in zip(batch.items, batch.images, strict=True):
            asked = rubrics[item.facts["group"]].replace(PLACE, item.inputs["instruction"])
            source = context.pictures[item.facts["source"]]
            found.append(rating(network.reply([source, image], asked, LONGEST)))
        rows = self.with_groups(batch, [value or 0 for value in found])
        rows[[value is None for value in found], 1] = NO_GROUP
        return rows

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        missing = {"not rated": float((values[:, 1] == NO_GROUP).sum())}
        if missing["not rated"] == len(values):
            return Value(0.0, details=missing)
        found = super().score(values, real)
        return Value(found.value, found.low, found.high, {**found.details, **missing})


def rating(reply: str) -> float | None:
    """Mean of the ratings of a reply, to two places as published; None if it holds none."""
    ends = [line.strip().split(": ") for line in reply.splitlines()]
    found = [int(end[1]) for end in ends if len(end) == 2 and end[1] in map(str, RATINGS)]
    return round(sum(found) / len(found), 2) if found else None
