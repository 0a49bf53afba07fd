"""One card: what a model is.

A card with ``base`` and ``adapter`` describes what is added to another model: its weights are those
of the adapter alone, and all that it does not say is as in the card of its base. With ``adapter``
and no ``base`` all weights are its own, and the adapter, which adds none, says how they run.
"""

from __future__ import annotations

import json
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from var_spaces.errors import VarSpacesError, did_you_mean
from var_spaces.schedule import ScaleSchedule
from var_spaces.spec import RunSpec
from var_spaces.validation import FrozenDict, FrozenModel, freeze, shorten
from var_spaces.zoo.families import FAMILIES, Family
from var_spaces.zoo.folders import MODEL_ID
from var_spaces.zoo.places import PUBLISHED
from var_spaces.zoo.source import Source, Terms, optional

NO_TEXT = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _plain(text: str) -> str:
    """Refuse text that would move a cursor or turn the direction of a line."""
    if any(c in NO_TEXT or unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise VarSpacesError(f"{shorten(text)} holds control characters: write plain text.")
    return text


Text = Annotated[str, AfterValidator(_plain)]
JsonObject = Annotated[dict[str, Any], AfterValidator(freeze)]


@lru_cache(maxsize=16)
def named_classes(name: str) -> tuple[str, ...]:
    """A list of class names that several cards share, e.g. ``"imagenet"``, in label order."""
    lists = {path.stem: path for path in (PUBLISHED / "classes").glob("*.json")}
    if name not in lists:
        raise VarSpacesError(f"no class list '{name[:40]}' ({', '.join(lists)}).")
    return tuple(json.loads(lists[name].read_text("utf-8")))


def _classes(value: Any) -> Any:
    return named_classes(value) if isinstance(value, str) else value


class Card(FrozenModel):
    """One model. Keys of ``card.json`` that are not listed here are ignored.

    Attributes:
        classes: names in label order, or the name of a shared list.
        paper: link.
        metrics: what was measured here; under ``paper``, what its authors report.
        source: where the weights are if they are not in ``folder``.
        terms: what a person must accept before the weights are downloaded.
        featured: whether it stands first where people choose, before the alphabet.
        added: whence a person added the card; its weights are then fetched when they are needed.
        entry: keys that lead to the weights inside a ``.pth``, e.g. those of an EMA copy.
        base: id of the model that an adapter extends; empty where all weights are the card's own.
        adapter: the method of kind "adapter" that extends the base, or these weights if it adds
            none to them, ``{"name": ..., **parameters}``.
    """

    model_config = ConfigDict(extra="ignore")

    format: Literal[1]
    id: str = Field(pattern=f"^{MODEL_ID}$")
    title: Text = Field(min_length=1, max_length=200)
    family: str
    role: Literal["generator", "tokenizer"]
    architecture: JsonObject
    base: str = Field("", max_length=64)
    adapter: JsonObject | None = None
    tokenizer: str | None = None
    text_encoder: JsonObject | None = None
    classes: Annotated[tuple[Text, ...], BeforeValidator(_classes)] = ()
    styles: tuple[Text, ...] = ()
    resolution: int = Field(ge=1, le=8192, description="pixels along a side")
    licence: Text = ""
    paper: Text = ""
    defaults: JsonObject = FrozenDict()
    training: JsonObject = FrozenDict()
    metrics: JsonObject = FrozenDict()
    source: optional(Source) = None
    terms: optional(Terms) = None
    featured: bool = False
    entry: tuple[str, ...] = ()
    added: Text = Field("", max_length=500)
    weights_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    folder: Path = Field(Path(), exclude=True, strict=False)

    @classmethod
    def described_as(cls) -> str:
        return "model card"

    @model_validator(mode="after")
    def _check(self) -> Card:
        if self.base and not self.adapter:
            raise VarSpacesError(f"it must say which 'adapter' extends its base '{self.base}'.")
        if self.family not in FAMILIES:
            near = did_you_mean(self.family, FAMILIES)
            raise VarSpacesError(f"unknown family '{self.family}'.{near}")
        if self.role != self.kind.role:
            raise VarSpacesError(f"family '{self.family}' is a {self.kind.role}, not {self.role}.")
        if self.role == "generator" and not self.tokenizer:
            raise VarSpacesError("a generator needs the id of its 'tokenizer'.")
        if self.kind.reads_text != bool(self.text_encoder):
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

    def default(self, kind: str) -> Any:
        """The method of a kind that suits the model, or the task: its own, else that of every run
        spec."""
        return self.defaults.get(kind) or freeze(RunSpec.model_fields[kind].default)

    @property
    def default_task(self) -> str:
        """Name of the task that the model is for."""
        task = self.default("task")
        return task if isinstance(task, str) else task["name"]

    def usual_inputs(self, task: str) -> dict[str, Any]:
        """Inputs of a task that suit the model, where its card names some."""
        usual = self.default("task")
        if isinstance(usual, str) or usual["name"] != task:
            return {}
        return {name: value for name, value in usual.items() if name != "name"}

    @property
    def offers(self) -> frozenset[str]:
        """What its family can do, and "people" where they are drawn: by published models alone."""
        return self.kind.offers | ({"people"} if self.source else frozenset())

    @property
    def lineage(self) -> tuple[str, ...]:
        """Its id, and that of its base."""
        return (self.id, self.base) if self.base else (self.id,)

    @property
    def kv_layout(self) -> tuple[int, int] | None:
        """Attention layers and heads of the KV cache, where the architecture names them."""
        sizes = [self.architecture.get(name) for name in ("depth", "heads")]
        whole = "kv-cache" in self.offers and all(isinstance(n, int) for n in sizes)
        return tuple(sizes) if whole else None
