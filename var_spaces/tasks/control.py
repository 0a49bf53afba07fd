"""Draw what a prompt says along a control map: edges, a sketch, tones, a palette, a silhouette.

After ScaleWeaver (https://arxiv.org/abs/2510.14882). The map is taken from a picture, or it is
handed in ready: made elsewhere, or drawn by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from var_spaces.errors import InputError, VarSpacesError
from var_spaces.methods import names, parse, register
from var_spaces.schedule import MAX_SCALES
from var_spaces.tasks.base import Pictures, picture
from var_spaces.tasks.text_to_image import TextTask

if TYPE_CHECKING:
    import numpy as np

    from var_spaces.schedule import ScaleSchedule
    from var_spaces.zoo.cards import Card

Kind = Literal[tuple(names("control"))]


@register
class Control(TextTask):
    """New images from words, with the lines, tones or shapes of a map."""

    name = "control"
    title = "Draw along a control map"
    paper = "https://arxiv.org/abs/2510.14882"
    tab = "control"

    source: str | None = picture("content hash of a picture to take the map from", optional=True)
    map: str | None = picture("content hash of a ready map", optional=True)
    control: Kind = Field("canny", description="kind of map")
    strength: float = Field(1.0, ge=0, le=2, description="of what the map adds; 0 is off")
    from_scale: int = Field(
        0, ge=0, lt=MAX_SCALES, description="first scale that sees the map, counted from 0"
    )
    to_scale: int | None = Field(
        None, ge=0, lt=MAX_SCALES, description="last scale that sees the map; unset is the last"
    )

    @model_validator(mode="after")
    def _check(self) -> Control:
        if self.source is None and self.map is None:
            raise InputError(
                "There is no picture yet: hand in one to take the map from, or a ready map.",
                [["source", "map"]],
            )
        if self.source is not None and self.map is not None:
            raise InputError(
                "There are both a picture to take the map from and a ready map: leave one out."
            )
        if self.to_scale is not None and self.to_scale < self.from_scale:
            raise VarSpacesError(
                f"to_scale = {self.to_scale} must be at least from_scale = {self.from_scale}."
            )
        return self

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        last = schedule.num_scales - 1
        for name in ("from_scale", "to_scale"):
            if (getattr(self, name) or 0) > last:
                raise VarSpacesError(
                    f"{name} = {getattr(self, name)}: {last + 1} scales are drawn, so allowed is "
                    f"0 to {last}."
                )

    @property
    def needs(self) -> dict[str, str]:
        return {**super().needs, "control": "it draws along a map"}

    @property
    def handed(self) -> str:
        """The field of the picture that was handed in."""
        return "source" if self.map is None else "map"

    @property
    def starts_from(self) -> str:
        return self.handed

    def resolve(self, card: Card) -> Self:
        adapter = parse("adapter", card.adapter) if card.adapter else None
        if adapter is not None and "control" in adapter.offers:
            adapter.number(self.control)  # refuses kinds that it was not trained for
        return super().resolve(card)

    def control_map(self, pixels: np.ndarray, height: int, width: int) -> np.ndarray:
        """The map in the size of the image, ``(height, width)`` or ``(height, width, 3)`` uint8.

        Args:
            pixels: of the picture that was handed in.

        Raises:
            VarSpacesError: if it needs a network whose weights are not there.
        """
        from var_spaces.pictures import fit

        kind, fitted = parse("control", self.control), fit(pixels, height, width)
        return kind.extract(fitted) if self.map is None else kind.read(fitted)

    def seen(self, name: str, height: int, width: int, pictures: Pictures) -> np.ndarray | None:
        """The map as models get to see it, whichever way it was handed in."""
        if name != self.handed:
            return None
        found = self.control_map(pictures[getattr(self, name)], height, width)
        return parse("control", self.control).as_picture(found)
