"""Tasks: what a person asks for (a class, an edit, ...), as fields of one class per task.

A task checks its inputs against the model's card before any weight is read, then says what the
scale loop needs: the condition and, for edits, tokens that replace drawn ones. No torch here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from var_spaces.decoding.base import Part
from var_spaces.decoding.search.scoring import Asked
from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from var_spaces.decoding.setup import Conditioning, Substitution
    from var_spaces.schedule import ScaleSchedule
    from var_spaces.zoo.cards import Card

# Pictures that a spec refers to by content hash: hash -> (H, W, 3) or (H, W) uint8
Pictures = Mapping[str, "np.ndarray"]


class Task(Part):
    """Base class of tasks; fields are the inputs of the run spec."""

    kind = "task"
    tab: ClassVar[str] = "generate"  # where the page offers it

    @abstractmethod
    def resolve(self, card: Card) -> Task:
        """The same task in its one canonical spelling for this model.

        Raises:
            VarSpacesError: if the model cannot do what is asked.
        """

    @abstractmethod
    def conditioning(self, card: Card, count: int) -> Conditioning:
        """The condition of ``count`` images."""

    def asked(self, card: Card) -> Asked:
        """What every image is to show, for rewards."""
        return Asked()

    def schedule(self, card: Card) -> ScaleSchedule:
        """Token maps of the run if the spec names none."""
        return card.schedule

    def check_pictures(self, pictures: Pictures) -> None:
        """Refuse pictures that are missing or unasked for."""
        if pictures:
            raise VarSpacesError(f"Task '{self.name}' takes no pictures; leave them out.")

    def substitution(
        self, tokenizer: Any, schedule: ScaleSchedule, pictures: Pictures
    ) -> Substitution | None:
        """Tokens that replace drawn ones."""
        return None

    def finish(self, image: np.ndarray, pictures: Pictures) -> np.ndarray:
        """Last touch on an image ``(H, W, 3)`` uint8."""
        return image


def pick(what: str, wanted: str | int | None, names: tuple[str, ...], model: str) -> str | None:
    """The canonical name behind a name, a number or digits; None stays None.

    Args:
        what: "class" or "style", for messages.
        names: what the model has, in the order of its labels.

    Raises:
        UnknownName: if the model has no such name or number; names the nearest one.
    """
    if wanted is None:
        return None
    text = str(wanted).strip()
    by_lower = {name.lower(): name for name in names}
    if not isinstance(wanted, int) and text.lower() in by_lower:
        return by_lower[text.lower()]
    if text.isdecimal() and int(text) < len(names):
        return names[int(text)]
    if not names:
        several = "classes" if what == "class" else f"{what}s"
        raise UnknownName(f"Model '{model}' has no {several}: leave the {what} out.")
    near = did_you_mean(text, names)
    some = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise UnknownName(
        f"Model '{model}' has no {what} '{text[:40]}'.{near} It has 0 to {len(names) - 1}: {some}."
    )


def index_of(name: str | None, names: tuple[str, ...]) -> int | None:
    """Label of a resolved name."""
    return None if name is None else names.index(name)
