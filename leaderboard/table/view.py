"""``View``: what of the table is looked at, as a small frozen model that travels in the address."""

from __future__ import annotations

import json
from typing import Annotated, Self
from urllib.parse import parse_qs, urlencode

from pydantic import Field

from var_spaces.errors import VarSpacesError
from var_spaces.validation import FrozenModel

MAX_QUERY = 2000  # characters

Key = Annotated[str, Field(pattern=r"^([0-9a-f]{8})?$")]
Names = Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=50)]


class View(FrozenModel):
    """What is shown. Empty fields filter nothing; columns go by the key of their metric.

    Attributes:
        protocol: whose rows; a suite's name is its newest one, "" the one with most rows.
        search: words that a row must hold, anywhere.
        models, caches, decodings: allowed names; of methods without parameters.
        verified: only rows that were verified.
        sort: column to rank by; "" is the first score.
        columns: that are shown; empty shows all.
        x, y: columns of the Pareto plot; "" are the usual ones.
    """

    protocol: str = Field("", max_length=120)
    search: str = Field("", max_length=200)
    models: Names = ()
    caches: Names = ()
    decodings: Names = ()
    verified: bool = False
    columns: Annotated[tuple[Key, ...], Field(max_length=50)] = ()
    sort: Key = ""
    x: Key = ""
    y: Key = ""

    @classmethod
    def described_as(cls) -> str:
        return "view of the table"

    def to_query(self) -> str:
        """What differs from the defaults, as a query string without ``?``."""
        told = self.model_dump(mode="json", exclude_defaults=True)
        return urlencode(
            [
                (key, one if isinstance(one, str) else json.dumps(one))
                for key, value in told.items()
                for one in (value if isinstance(value, list) else [value])
            ]
        )

    @classmethod
    def from_query(cls, query: str) -> Self:
        """Read an untrusted query string; keys that are not its own are left alone.

        Raises:
            VarSpacesError: if a value is refused.
        """
        if len(query) > MAX_QUERY:
            raise VarSpacesError(
                f"The address is longer than {MAX_QUERY} characters: it is not one of this page."
            )
        given = parse_qs(query)
        data = {}
        for key, values in given.items():
            if key in ("models", "caches", "decodings", "columns"):
                data[key] = tuple(values)
            elif key == "verified":
                data[key] = values[-1] == "true"
            elif key in cls.model_fields:
                data[key] = values[-1]
        return cls(**data)
