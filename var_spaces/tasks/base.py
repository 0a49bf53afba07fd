"""Tasks: what a person asks for (a class, an edit, ...), as fields of one class per task.

A task checks its inputs against the model's card before any weight is read, then says what the
scale loop needs: the condition and, for edits, tokens that replace drawn ones. No torch here.

What a task is conditioned on comes from a base class of its own: ``ClassTask`` (generate.py) or
``TextTask`` (text_to_image.py). Any task may take pictures: fields made by :func:`picture`, which
hold content hashes, while the pixels travel beside the spec.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from var_spaces.decoding.base import Part
from var_spaces.decoding.search.scoring import Asked
from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean
from var_spaces.methods import PICTURES, cli_options

if TYPE_CHECKING:
    import numpy as np

    from var_spaces.decoding.setup import Blending, Conditioning, Substitution
    from var_spaces.schedule import ScaleSchedule
    from var_spaces.zoo.cards import Card

# Pictures that a spec refers to by content hash: hash -> (H, W, 3) or (H, W) uint8
Pictures = Mapping[str, "np.ndarray"]
SHA256 = r"^[0-9a-f]{64}$"
MOST_DIGITS = 9  # of the number of a class
MAIN = "source"  # the field of the one picture that a task is about; people call it "picture"


def picture(description: str, content: str = "picture", optional: bool = False) -> Any:
    """A field of a task that holds the content hash of a picture.

    Args:
        content: how its pixels are read: "picture" in colour, "mask" as bright or dark.
        optional: None stands for no picture.
    """
    return Field(
        None if optional else ...,
        pattern=SHA256,
        description=description,
        json_schema_extra={"content": content},
    )


class Task(Part):
    """Base class of tasks; fields are the inputs of the run spec."""

    kind = "task"
    tab: ClassVar[str] = "generate"  # where the page offers it; empty: nowhere
    # field that may be given several times: runs of which each starts from the result before
    step: ClassVar[str] = ""
    # whether a result is another version of the picture it starts from
    edits: ClassVar[bool] = False

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

    @classmethod
    def asks_for(cls, field: str) -> str:
        if field in cls.picture_fields():
            return f"There is no {_word(field)} yet: hand one in."
        known = cls.model_fields.get(field)
        if known is None or not known.is_required():
            return ""
        wanted = (known.json_schema_extra or {}).get("ask", known.description)
        return f"The {_word(field)} is missing: {wanted}."

    @classmethod
    def picture_fields(cls) -> dict[str, str]:
        """How the pixels of every picture are read ("picture", "mask"), by field."""
        return _picture_fields(cls)

    def pictures(self) -> dict[str, str]:
        """Content hash of every picture it was given, by field."""
        found = {name: getattr(self, name) for name in self.picture_fields()}
        return {name: key for name, key in found.items() if key is not None}

    @classmethod
    def take(cls, given: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, np.ndarray]]:
        """Read pictures that are handed in.

        Args:
            given: by field: a path, the bytes of a file, a PIL image or an array.

        Returns:
            Content hashes by field, as inputs of the run spec; pixels by content hash.

        Raises:
            VarSpacesError: if one cannot be used.
        """
        from var_spaces import pictures

        hashes, pixels, sizes = {}, {}, set()
        for name, content in cls.picture_fields().items():
            if name not in given:
                continue
            value, what = given[name], f"The {_word(name)}"
            is_file = isinstance(value, str | bytes | Path)
            image = pictures.read(value, what) if is_file else value
            found = pictures.READERS[content](image, what)
            if found.shape[:2] not in sizes:  # a mask has the shape of the picture that it lies on
                pictures.check_ratio(found, what)
            sizes.add(found.shape[:2])
            hashes[name] = pictures.digest(found)
            pixels[hashes[name]] = found
        return hashes, pixels

    @property
    def offers(self) -> frozenset[str]:
        """An adapter that looks at a picture needs ``"picture:FIELD"``."""
        return frozenset(f"picture:{name}" for name in self.picture_fields())

    @property
    def starts_from(self) -> str:
        """Field of the picture that people compare the result with; empty if there is none."""
        return MAIN if MAIN in self.pictures() else ""

    def seen(self, name: str, height: int, width: int, pictures: Pictures) -> np.ndarray | None:
        """A picture as the adapter of a run sees it, ``(h, w, 3)`` or ``(h, w)`` uint8.

        By default the middle of it in the size ``(height, width)`` of what is drawn; None if it
        was not given.
        """
        from var_spaces.pictures import fit

        key = getattr(self, name)
        return None if key is None else fit(pictures[key], height, width)

    def beside(self, height: int, width: int, pictures: Pictures) -> np.ndarray | None:
        """The picture that people compare a result ``(height, width)`` with, in its size."""
        field = self.starts_from
        return self.seen(field, height, width, pictures) if field else None

    def kept(self, height: int, width: int, pictures: Pictures) -> np.ndarray | None:
        """What a result keeps of that picture, ``(height, width)`` bool; None: nothing says."""
        return None

    def check_pictures(self, schedule: ScaleSchedule, downsample: int, pictures: Pictures) -> None:
        """Refuse pictures from which nothing can be drawn, before any work.

        Args:
            downsample: pixels per token along a side.

        Raises:
            VarSpacesError: with what to hand in instead.
        """

    def read_pictures(self, handed: Mapping[str, Any]) -> Pictures:
        """Pixels of the pictures that the task names.

        Args:
            handed: PIL images or arrays by content hash; others may be among them.

        Raises:
            VarSpacesError: if one is missing or is another than its hash says, or none was asked
                for.
        """
        if handed and not self.picture_fields():
            raise VarSpacesError(f"Task '{self.name}' takes no pictures; leave them out.")
        named = self.pictures()
        for name, key in named.items():
            if key not in handed:
                raise VarSpacesError(
                    f"The {_word(name)} with content hash {key[:16]}... is missing: hand it in "
                    "again."
                )
        hashes, pixels = self.take({name: handed[key] for name, key in named.items()})
        for name, key in named.items():
            if hashes[name] != key:
                raise VarSpacesError(f"A picture is not the one its hash {key[:16]}... names.")
        return pixels

    def longest_side(self, card: Card, pictures: Pictures) -> int:
        """Of a finished image, in pixels."""
        return card.resolution

    def substitution(
        self, tokenizer: Any, schedule: ScaleSchedule, pictures: Pictures
    ) -> Substitution | None:
        """Tokens that replace drawn ones."""
        return None

    def blending(
        self, tokenizer: Any, schedule: ScaleSchedule, pictures: Pictures
    ) -> Blending | None:
        """Latents that are mixed into those of the run."""
        return None

    def finish(self, image: np.ndarray, pictures: Pictures) -> np.ndarray:
        """Last touch on an image ``(H, W, 3)`` uint8."""
        return image


@cache
def _picture_fields(cls: type[Task]) -> dict[str, str]:
    return {o.field: o.content for o in cli_options(cls) if o.content in PICTURES}


def _word(field: str) -> str:
    """How people call a picture of a task."""
    return "picture" if field == MAIN else field.replace("_", " ")


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
    if text.isdecimal() and len(text) <= MOST_DIGITS and int(text) < len(names):
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
