"""How well images follow the control maps that they were drawn along.

The map is extracted from the drawn image as it was from the picture, and both are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from leaderboard.metrics.base import Batch, Context, Metric, Value
from var_spaces import methods

if TYPE_CHECKING:
    from leaderboard.item import Item
    from leaderboard.references.base import RealFeatures

NO_KIND = -1.0  # position of an image whose control is none of the metric's


class ControlScore(Metric):
    """Base class: the plain mean over kinds of control, each the mean of its images.

    ``measure`` gives ``(B, 3)``: the score, the position of the kind, and the score that the
    tokenizer's reconstruction of the picture has, which no model that draws its tokens can be asked
    to exceed. Every kind is a detail, and so is its ceiling.

    Attributes:
        kinds: names of the controls that it scores, in a fixed order.
    """

    paper = "https://arxiv.org/abs/2510.14882"
    facts = ("picture",)
    kinds: ClassVar[tuple[str, ...]]

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        rows = [
            self._measure(item, image, context)
            for item, image in zip(batch.items, batch.images, strict=True)
        ]
        return np.array(rows, np.float64)

    def _measure(
        self, item: Item, image: np.ndarray, context: Context
    ) -> tuple[float, float, float]:
        if item.inputs["control"] not in self.kinds:
            return 0.0, NO_KIND, 0.0
        from var_spaces.pictures import fit

        kind = methods.parse("control", item.inputs["control"])
        task = methods.parse("task", {"name": "control", **item.inputs})
        size = image.shape[:2]
        given = context.pictures[getattr(task, task.handed)]
        wanted = task.control_map(given, *size)
        picture = fit(context.pictures[item.facts["picture"]], *size)
        best = kind.agreement(wanted, context.reconstruct(picture[None])[0])
        return kind.agreement(wanted, image), float(self.kinds.index(kind.name)), best

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        from leaderboard.metrics.bootstrap import grouped_interval

        parts = {name: values[values[:, 1] == position] for position, name in enumerate(self.kinds)}
        parts = {name: part for name, part in parts.items() if len(part)}
        low, high = grouped_interval([part[:, 0] for part in parts.values()])
        found = {name: float(part[:, 0].mean()) for name, part in parts.items()}
        ceilings = {f"{name} ceiling": float(part[:, 2].mean()) for name, part in parts.items()}
        return Value(float(np.mean(list(found.values()))), low, high, {**found, **ceilings})
