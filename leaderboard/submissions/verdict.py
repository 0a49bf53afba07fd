"""``Verdict``: what running a part of a result again found, as a small JSON file beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from leaderboard.result import JsonFile, Short, built
from var_spaces.record import Environment
from var_spaces.validation import FrozenModel

MAX_BYTES = 256 * 1024
FLAGGED = "mismatch"


class Check(FrozenModel):
    """A metric on the images of the probe: what the result says, and what was found."""

    metric: str = Field(max_length=400)
    claimed: float
    found: float
    tolerance: float = Field(ge=0)

    @property
    def holds(self) -> bool:
        return abs(self.claimed - self.found) <= self.tolerance


class Verdict(JsonFile):
    """The stamp of a result.

    Attributes:
        result: id of the result.
        verdict: ``verified``: all tokens of the probe are those of the result, and all numbers
            hold; ``consistent``: all numbers hold within their tolerance, but tokens differ (on
            another kind of device, say) or no commit holds what made the result; ``mismatch``:
            something does not hold, see ``reason``.
        images: positions in the suite that were drawn again.
        equal_tokens, equal_pixels: how many of them came out the same.
        checks: numbers that were computed again.
        unchecked: metrics that a part of the images cannot tell, such as a Frechet distance.
        environment: where the probe ran.
        created: UTC.
        worker: who ran it.
    """

    version: Literal[1] = 1
    result: Short
    verdict: Literal["verified", "consistent", "mismatch"]
    images: tuple[int, ...]
    equal_tokens: int = Field(ge=0)
    equal_pixels: int = Field(ge=0)
    checks: tuple[Annotated[Check, built(Check)], ...] = ()
    unchecked: tuple[str, ...] = ()
    reason: str = Field("", max_length=500)
    environment: Annotated[Environment | None, built(Environment)] = None
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    worker: str = Field("", max_length=96)

    @classmethod
    def described_as(cls) -> str:
        return "verdict"

    @classmethod
    def from_json(cls, text: str | bytes) -> Verdict:
        """Read untrusted JSON of at most 256 kB."""
        return cls.parse(text, MAX_BYTES)

    @property
    def path(self) -> str:
        return path_of(self.result)

    @property
    def file(self) -> dict[str, bytes]:
        """The change of a store that writes it."""
        return {self.path: self.to_json().encode() + b"\n"}


def path_of(result: str) -> str:
    """Where the verdict on a result lies."""
    return f"verdicts/{result}.json"
