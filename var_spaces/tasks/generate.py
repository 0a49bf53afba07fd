"""Generate images of a class, in a style if the model has styles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field

from var_spaces.decoding.search.scoring import Asked
from var_spaces.methods import register
from var_spaces.schedule import ScaleSchedule
from var_spaces.steps import resized
from var_spaces.tasks.base import Task, index_of, pick

if TYPE_CHECKING:
    from var_spaces.decoding.conditioning import ClassConditioning
    from var_spaces.zoo.cards import Card


ANY_SCHEDULE = {"needs": "any-schedule"}
MAX_PIXELS = 2048


class ClassTask(Task):
    """A task whose condition is a class and a style of the model's card.

    Models that draw any schedule take a size and a number of steps; sizes become whole tokens.
    """

    label: int | str | None = Field(
        None, alias="class", description="class by name or number; none is unconditional"
    )
    style: int | str | None = Field(None, description="style by name or number; none is any")
    width: int | None = Field(
        None,
        ge=8,
        le=MAX_PIXELS,
        description="pixels; none is the model's own",
        json_schema_extra=ANY_SCHEDULE,
    )
    height: int | None = Field(
        None,
        ge=8,
        le=MAX_PIXELS,
        description="pixels; none is the model's own",
        json_schema_extra=ANY_SCHEDULE,
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=64,
        description="scales to draw; none is as many as suit the size",
        json_schema_extra=ANY_SCHEDULE,
    )

    @property
    def needs(self) -> dict[str, str]:
        needs = {"class-labels": "it asks for a class"}
        if (self.width, self.height, self.steps) != (None, None, None):
            needs["any-schedule"] = "it asks for a size or a number of steps of its own"
        return needs

    def resolve(self, card: Card) -> Self:
        label = pick("class", self.label, card.classes, card.id)
        style = pick("style", self.style, card.styles, card.id)
        height, width = (side * _token(card) for side in self._map(card))
        size = {"width": width, "height": height, "steps": self.steps}
        if self.schedule(card) == card.schedule:
            size = dict.fromkeys(size)
        elif (height, width) == (card.resolution, card.resolution):
            size |= {"width": None, "height": None}
        return self.model_copy(update={"label": label, "style": style, **size})

    def schedule(self, card: Card) -> ScaleSchedule:
        if (self.width, self.height, self.steps) == (None, None, None):
            return card.schedule
        own = [side for side, _ in card.schedule.sizes]
        return resized(own, *self._map(card), self.steps)

    def _map(self, card: Card) -> tuple[int, int]:
        """Rows and columns of the last token map."""
        sides = ((side or card.resolution) / _token(card) for side in (self.height, self.width))
        height, width = (max(1, round(side)) for side in sides)
        return height, width

    def conditioning(self, card: Card, count: int) -> ClassConditioning:
        from var_spaces.decoding.conditioning import ClassConditioning

        task = self.resolve(card)
        return ClassConditioning(
            (index_of(task.label, card.classes),) * count,
            (index_of(task.style, card.styles),) * count,
        )

    def asked(self, card: Card) -> Asked:
        task = self.resolve(card)
        words = filter(None, [task.label, task.style and f"in {task.style} style"])
        return Asked(" ".join(words), task.label, task.style)


def _token(card: Card) -> int:
    """Pixels along the side of a token of the last map."""
    return card.resolution // card.schedule.last[0]


@register
class Generate(ClassTask):
    """New images of a class."""

    name = "generate"
    title = "Generate a class"
    paper = "https://arxiv.org/abs/2404.02905"
