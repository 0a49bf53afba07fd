"""``Result`` and ``Samples``: what one run of a suite found, as two small JSON files.

The part of a result that does not depend on the clock or the machine (suite, entry, weights, scores
and digests of all images) has a ``fingerprint`` of its own: running again gives the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from leaderboard.entry import check_entry, label
from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.record import Environment, Sha256
from var_spaces.validation import FrozenDict, FrozenModel, freeze

MAX_RESULT_BYTES = 1024 * 1024
MAX_SAMPLES_BYTES = 64 * 1024 * 1024
MEASURED = ("costs", "environment", "created", "submitter", "note", "batch")

LARGEST = 1e15  # of a number: differences and ratios of such are finite
MAX_DETAILS = 100

Short = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
EntryJson = Annotated[dict[str, Any], AfterValidator(check_entry), AfterValidator(freeze)]
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


def _check_details(details: dict[str, Any]) -> dict[str, Any]:
    """Numbers by short names, as they are."""
    if len(details) > MAX_DETAILS or any(len(name) > 120 for name in details):
        raise VarSpacesError(f"details: at most {MAX_DETAILS} numbers with short names.")
    for name, value in details.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not abs(value) <= LARGEST:
            raise VarSpacesError(f"details: {name} must be a number of at most {LARGEST:g}.")
    return details


Details = Annotated[dict[str, Any], AfterValidator(_check_details), AfterValidator(freeze)]


def built(kind: type[FrozenModel]) -> Any:
    """A field of another frozen model, also from its JSON."""
    return BeforeValidator(lambda value: kind(**value) if isinstance(value, dict) else value)


class Score(FrozenModel):
    """One number.

    Attributes:
        metric: its whole identity: name, version, extractor with resize and weights, reference, N.
            Scores are compared only if this text is equal.
        title: for people, with N where it matters: ``Frechet (judge) N=320``.
        low, high: 95 % bootstrap interval over images; None where there is none.
        n: images behind it.
        details: more numbers, e.g. ``bias``: what a Frechet distance owes to its small N.
    """

    metric: str = Field(min_length=1, max_length=400)
    title: str = Field(min_length=1, max_length=120)
    value: Number
    low: Number | None = None
    high: Number | None = None
    n: int = Field(ge=1)
    better: Literal["higher", "lower"]
    unit: str = Field("", max_length=20)
    details: Details = FrozenDict()

    @classmethod
    def described_as(cls) -> str:
        return "score"

    @model_validator(mode="after")
    def _check(self) -> Score:
        if (self.low is None) != (self.high is None):
            raise VarSpacesError("an interval has both ends: give low and high, or neither.")
        if self.low is not None and self.low > self.high:
            raise VarSpacesError(f"low = {self.low:g} is above high = {self.high:g}.")
        return self


Scores = tuple[Annotated[Score, built(Score)], ...]


class JsonFile(FrozenModel):
    """A frozen model that is a canonical JSON file."""

    def to_json(self) -> str:
        return codecs.canonical(self.model_dump(mode="json"))

    @classmethod
    def parse(cls, text: str | bytes, most: int) -> Self:
        data = codecs.parse_json(text, f"The {cls.described_as()}", most)
        if not isinstance(data, dict):
            raise VarSpacesError(f"The {cls.described_as()} must be a JSON object.")
        if data.get("version", 1) != 1:
            raise VarSpacesError(
                f"The {cls.described_as()} has another version than 1: update this program."
            )
        return cls(**data)


class Result(JsonFile):
    """One run of a suite with an entry.

    Attributes:
        protocol: ``<suite> v<version> <hash>``: results of another protocol are another ranking.
        entry: as it was run; ``Entry(**result.entry)`` runs it again. It stays JSON, so that a
            method that has gained a parameter since does not change old results.
        weights: SHA-256 of the weights of every model, by id.
        scores: numbers that running again reproduces.
        costs: measured time and memory; they belong to ``environment``.
        samples_sha256: of the file with the numbers per image.
        batch: images that shared a forward pass where the device allows it.
        created: UTC, ``2026-01-31T12:00:00Z``.
    """

    version: Literal[1] = 1
    suite: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    protocol: str = Field(max_length=120)
    entry: EntryJson
    weights: Annotated[dict[str, Sha256], AfterValidator(freeze)]
    n: int = Field(ge=1, description="images of the suite")
    scores: Scores
    costs: Scores = ()
    samples_sha256: Sha256
    environment: Annotated[Environment, built(Environment)]
    batch: int = Field(ge=1)
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    submitter: str = Field("", max_length=96)
    note: str = Field("", max_length=1000)

    @classmethod
    def described_as(cls) -> str:
        return "result"

    @classmethod
    def from_json(cls, text: str | bytes) -> Result:
        """Read untrusted JSON of at most 1 MB."""
        return cls.parse(text, MAX_RESULT_BYTES)

    @property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of everything."""
        return _digest(self.to_json())[:16]

    @property
    def fingerprint(self) -> str:
        """The same over what running again reproduces."""
        held = self.model_dump(mode="json", exclude=set(MEASURED))
        return _digest(codecs.canonical(held))[:16]

    @property
    def key(self) -> str:
        """What was asked: protocol, entry and weights. Equal keys are the same row of the table."""
        return row_key(self.protocol, self.entry, self.weights)

    @property
    def path(self) -> str:
        return f"results/{self.suite}/{self.key}/{self.id}.json"

    @property
    def samples_path(self) -> str:
        return f"samples/{self.suite}/{self.key}/{self.samples_sha256[:16]}.json"

    @property
    def label(self) -> str:
        return f"{self.suite}: {label(self.entry)}"


class Samples(JsonFile):
    """Per image, in the order of the suite: digests of tokens and pixels, and numbers by metric.

    Digests are the first 16 hex digits of the SHA-256 that a run record holds.
    """

    version: Literal[1] = 1
    tokens: tuple[Short, ...]
    pixels: tuple[Short, ...]
    values: Annotated[dict[str, tuple[Number, ...]], AfterValidator(freeze)] = FrozenDict()

    @classmethod
    def described_as(cls) -> str:
        return "samples"

    @classmethod
    def from_json(cls, text: str | bytes) -> Samples:
        """Read untrusted JSON of at most 64 MB."""
        return cls.parse(text, MAX_SAMPLES_BYTES)

    @property
    def digest(self) -> str:
        return _digest(self.to_json())


def row_key(protocol: str, entry: Mapping[str, Any], weights: Mapping[str, str]) -> str:
    """Key of the row that an entry (as JSON) has with these weights under a protocol."""
    asked = {"protocol": protocol, "entry": entry, "weights": weights}
    return _digest(codecs.canonical(asked))[:16]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
