"""Watches which tokens the cache of a run keeps, for pictures of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from var_spaces.ui.run import pixels

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule

HEIGHT = 96  # of a map, in pixels


class Kept:
    """An observer of a run (see ``decoding/loop/run.py``)."""

    watches = ("kept",)  # what of it an engine elsewhere has to send

    def __init__(self, schedule: ScaleSchedule) -> None:
        self.schedule = schedule
        self._held: Tensor | None = None

    def __call__(self, what: str, scale: int, tensor: Tensor) -> None:
        # What the last scale looks back on, of the first image and the first model that has it.
        if what == "kept" and scale == self.schedule.num_scales - 2 and self._held is None:
            self._held = tensor

    def pictures(self, image: np.ndarray) -> tuple[str, ...]:
        """A map of kept tokens over an image per scale, as data URIs; none if all or none were."""
        held = self._held
        if held is None or held.all() or not held.any():
            return ()
        from var_spaces.cache.retention import retention_pictures

        return tuple(map(pixels.preview, retention_pictures(held, self.schedule, image, HEIGHT)))
