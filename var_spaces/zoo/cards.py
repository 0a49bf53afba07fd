"""Cards: what models exist and what they are, read from ``card.json`` files without torch.

A card lives in a folder of its own, beside the weights, in ``assets/models`` or in one of the
folders that the environment variable ``VAR_SPACES_MODELS`` lists (separated as in PATH).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from var_spaces import codecs
from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean
from var_spaces.schedule import ScaleSchedule
from var_spaces.validation import FrozenDict, FrozenModel, freeze
from var_spaces.zoo.families import FAMILIES, Family

CARD = "card.json"
FOLDERS_VARIABLE = "VAR_SPACES_MODELS"
EMBEDDED = Path(__file__).resolve().parents[2] / "assets" / "models"
MAX_CARD_BYTES = 1024 * 1024

JsonObject = Annotated[dict[str, Any], AfterValidator(freeze)]


class Card(FrozenModel):
    """One model. Keys of ``card.json`` that are not listed here are ignored."""

    model_config = ConfigDict(extra="ignore")

    format: Literal[1]
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    title: str = Field(min_length=1, max_length=200)
    family: str
    role: Literal["generator", "tokenizer"]
    architecture: JsonObject
    tokenizer: str | None = None
    text_encoder: JsonObject | None = None
    classes: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    resolution: int = Field(ge=1, le=8192, description="pixels along a side")
    licence: str = ""
    defaults: JsonObject = FrozenDict()
    training: JsonObject = FrozenDict()
    metrics: JsonObject = FrozenDict()
    weights_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    folder: Path = Field(Path(), exclude=True, strict=False)

    @classmethod
    def described_as(cls) -> str:
        return "model card"

    @model_validator(mode="after")
    def _check(self) -> Card:
        if self.family not in FAMILIES:
            near = did_you_mean(self.family, FAMILIES)
            raise VarSpacesError(f"unknown family '{self.family}'.{near}")
        if self.role != self.kind.role:
            raise VarSpacesError(f"family '{self.family}' is a {self.kind.role}, not {self.role}.")
        if self.role == "generator" and not self.tokenizer:
            raise VarSpacesError("a generator needs the id of its 'tokenizer'.")
        if ("text" in self.kind.offers) != bool(self.text_encoder):
            raise VarSpacesError(
                f"a model of family '{self.family}' must "
                f"{'name' if not self.text_encoder else 'not have'} a 'text_encoder'."
            )
        for key, names in (("num_classes", self.classes), ("num_styles", self.styles)):
            size, different = self.architecture.get(key, len(names)), len(set(names))
            if not size == len(names) == different:
                raise VarSpacesError(
                    f"architecture.{key} is {size}, but {different} different names are given."
                )
        _ = self.schedule
        return self

    @property
    def kind(self) -> Family:
        """The family with its capabilities."""
        return FAMILIES[self.family]

    @property
    def schedule(self) -> ScaleSchedule:
        """The model's own scale schedule."""
        try:
            return ScaleSchedule.square(self.architecture["patch_nums"])
        except (KeyError, TypeError, ValueError) as error:
            reason = error if isinstance(error, VarSpacesError) else "it must list whole numbers"
            raise VarSpacesError(f"architecture.patch_nums: {reason}") from None


def read_card(path: str | Path) -> Card:
    """Read one ``card.json``.

    Raises:
        VarSpacesError: one line that names the file.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_CARD_BYTES + 1)
        data = codecs.parse_json(text, "It", MAX_CARD_BYTES)
        if not isinstance(data, dict):
            raise VarSpacesError("It must be a JSON object.")
        card = Card(**{**data, "folder": path.parent})
        if card.id != path.parent.name:
            raise VarSpacesError(f"its id '{card.id}' differs from its folder's name.")
    except OSError as error:
        raise VarSpacesError(f"Cannot read model card {path}: {error.strerror}.") from None
    except VarSpacesError as error:
        raise VarSpacesError(f"Bad model card {path}: {error}") from None
    return card


def folders() -> list[Path]:
    """Where models are looked for; a model of an earlier folder hides one of the same id."""
    extra = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    return [EMBEDDED, *(Path(entry).expanduser() for entry in extra if entry)]


def cards(role: str | None = None) -> dict[str, Card]:
    """All readable cards by id, sorted; of one role if given."""
    found = {}
    for path in _paths():
        try:
            card = read_card(path)
        except VarSpacesError:
            continue  # see problems()
        if role in (None, card.role):
            found.setdefault(card.id, card)
    return dict(sorted(found.items()))


def problems() -> list[str]:
    """One line for every card that cannot be read."""
    lines = []
    for path in _paths():
        try:
            read_card(path)
        except VarSpacesError as error:
            lines.append(str(error))
    return lines


def get_card(model: str, role: str | None = None) -> Card:
    """The card of a model.

    Raises:
        UnknownName: if there is none; names the nearest one.
        VarSpacesError: if the card is damaged or the model has another role.
    """
    path = next((path for path in _paths() if path.parent.name == model), None)
    if path is None:
        known = list(cards(role))
        listed = ", ".join(known) or f"none (set {FOLDERS_VARIABLE} to a folder of models)"
        near = did_you_mean(model, known)
        raise UnknownName(f"Unknown model '{model[:80]}'.{near} Available: {listed}.")
    card = read_card(path)
    if role not in (None, card.role):
        raise VarSpacesError(
            f"Model '{model}' is a {card.role}, not a {role}: choose one of "
            f"{', '.join(cards(role)) or 'none'}."
        )
    return card


def _paths() -> Iterator[Path]:
    for folder in folders():
        if folder.is_dir():
            yield from sorted(
                path / CARD
                for path in folder.iterdir()
                if not path.name.startswith(".") and (path / CARD).is_file()
            )
