"""``Entry``: what is ranked. A model and its methods; the suite decides what is drawn with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from var_spaces import codecs, methods
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.spec import PARTS, RunSpec, method_field
from var_spaces.validation import FrozenModel, freeze
from var_spaces.zoo.cards import Card, get_card, known

MAX_NAME, MAX_VALUE = 256, 120  # characters of a name, and of a value in a label


class Entry(FrozenModel):
    """A model with a schedule, sampling, guidance, a cache policy and a decoding strategy.

    Raises:
        VarSpacesError: for an unknown name or parameter.
    """

    model: str = Field(min_length=1, max_length=256)
    schedule: Annotated[
        tuple[tuple[int, int], ...] | None, Field(description="None is the model's own")
    ] = None
    sampling: method_field("sampling")
    guidance: method_field("guidance")
    cache: method_field("cache")
    decoding: method_field("decoding")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"

    @classmethod
    def described_as(cls) -> str:
        return "entry"

    @classmethod
    def of(cls, model: str, **parts: Any) -> Entry:
        """An entry whose missing parts are the defaults of the model's card.

        Args:
            parts: fields of the entry; a method as its name, as ``{"name": ..., parameters}`` or
                None for the default.
        """
        card = get_card(model, "generator")
        given = {key: value for key, value in parts.items() if value is not None}
        parts = {kind: card.default(kind) for kind in PARTS} | given
        sizes = parts.get("schedule")
        schedule = ScaleSchedule(sizes) if sizes else card.schedule
        decoding = methods.parse("decoding", parts["decoding"])
        parts["decoding"] = decoding.resolve(card, schedule, partial(known, "generator"))
        return cls(model=model, **parts)

    def spec(
        self, task: str, inputs: Mapping[str, Any], *, seed: int, first: int, count: int
    ) -> RunSpec:
        """The run spec that draws images of a suite with this entry.

        What the suite leaves open of its task is as the model's card has it.
        """
        parts = {kind: getattr(self, kind) for kind in (*PARTS, "schedule")}
        card = _card(self.model)
        inputs = card.usual_inputs(task) | dict(inputs) if card else inputs
        return RunSpec(
            task=task, model=self.model, inputs=inputs, seed=seed, first=first, count=count, **parts
        )

    def plain(self) -> Entry:
        """The same with the full cache and plain decoding: what fidelity is measured against."""
        usual = {kind: RunSpec.model_fields[kind].default for kind in ("cache", "decoding")}
        return Entry(**{**self.model_dump(mode="json"), **usual})

    def to_json(self) -> str:
        """Canonical JSON."""
        return codecs.canonical(self.model_dump(mode="json"))

    @property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """In a few words: the model and what differs from its defaults."""
        return label(self.model_dump(mode="json"))


Usual = Callable[[str], Mapping[str, Any]]  # the default parts of a model


def usual_parts(model: str) -> dict[str, Any]:
    """The parts, as JSON, that an entry of a model has by default; none if it is not known here."""
    return Entry.of(model).model_dump(mode="json") if _card(model) else {}


def _card(model: str) -> Card | None:
    """The card of a model; None if it is not known here, or not on offer."""
    try:
        return get_card(model, "generator") if model in known("generator") else None
    except VarSpacesError:
        return None


def label(entry: Mapping[str, Any], usual: Usual = usual_parts) -> str:
    """In a few words: the model of an entry (as JSON) and what differs from its defaults.

    Args:
        usual: gives them; of many entries one that remembers.
    """
    model = entry["model"]
    defaults = usual(model)
    # an entry read from a file is frozen, lists and all; one that was just made is not
    other = [kind for kind in PARTS if freeze(entry[kind]) != freeze(defaults.get(kind))]
    parts = [model, *(part_label(kind, entry[kind]) for kind in other)]
    if entry["schedule"] is not None:
        parts.append(f"{len(entry['schedule'])} scales")
    if entry["dtype"] != "float32":
        parts.append(entry["dtype"])
    return " + ".join(parts)


def part_label(kind: str, part: Mapping[str, Any]) -> str:
    """A method of an entry with its budget and what else is not default: ``hack(budget=0.3)``."""
    usual = {}
    if part["name"] in methods.names(kind):  # the result of another machine may name one more
        options = methods.cli_options(methods.get(kind, part["name"]))
        usual = {option.field: option.default for option in options}
    told = {k: v for k, v in part.items() if k == "budget" or freeze(v) != usual.get(k)}
    inside = ", ".join(f"{k}={_short(v)}" for k, v in told.items() if k != "name")
    return f"{part['name']}({inside})" if inside else part["name"]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = "/".join(map(_short, value)) if isinstance(value, tuple | list) else str(value)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 3]}..."


def check_entry(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse what is no entry as JSON, whether its methods are known here or not.

    Raises:
        VarSpacesError: says what is wrong.
    """
    missing = {"model", "schedule", "dtype", *PARTS} - set(entry)
    if missing:
        raise VarSpacesError(f"the entry lacks {', '.join(sorted(missing))}.")
    for kind in PARTS:
        part = entry[kind]
        if not isinstance(part, Mapping) or not _is_name(part.get("name")):
            raise VarSpacesError(f"the entry's {kind} must be an object with a name.")
    for key in ("model", "dtype"):
        if not _is_name(entry[key]):
            raise VarSpacesError(f"the entry's {key} must be a name.")
    schedule = entry["schedule"]
    if schedule is not None and not isinstance(schedule, list | tuple):
        raise VarSpacesError("the entry's schedule must be a list of sizes, or null.")
    return entry


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME
