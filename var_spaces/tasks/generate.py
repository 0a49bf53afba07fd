"""Generate images of a class, in a style if the model has styles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field

from var_spaces.decoding.scoring import Asked
from var_spaces.methods import register
from var_spaces.tasks.base import Task, index_of, pick

if TYPE_CHECKING:
    from var_spaces.decoding.conditioning import ClassConditioning
    from var_spaces.zoo.cards import Card


class ClassTask(Task):
    """A task whose condition is a class and a style of the model's card."""

    label: int | str | None = Field(
        None, alias="class", description="class by name or number; none is unconditional"
    )
    style: int | str | None = Field(None, description="style by name or number; none is any")

    @property
    def needs(self) -> dict[str, str]:
        return {"class-labels": "it asks for a class"}

    def resolve(self, card: Card) -> Self:
        label = pick("class", self.label, card.classes, card.id)
        style = pick("style", self.style, card.styles, card.id)
        return self.model_copy(update={"label": label, "style": style})

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


@register
class Generate(ClassTask):
    """New images of a class."""

    name = "generate"
    title = "Generate a class"
    paper = "https://arxiv.org/abs/2404.02905"
