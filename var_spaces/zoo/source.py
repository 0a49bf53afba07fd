"""Where the weights of a published model lie on the Hugging Face Hub, and on what terms."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from var_spaces.errors import VarSpacesError, printable
from var_spaces.validation import FrozenDict, FrozenModel, freeze, shorten

# Owner and name as the Hub allows them; neither begins with a dot, so neither leads upwards.
REPOSITORY = r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,95}"
REVISION = r"(?!.*\.\.)[A-Za-z0-9_./-]{1,200}"
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Source(FrozenModel):
    """Files of a Hub repository.

    Attributes:
        repository: ``owner/name``.
        files: weight files; an index file (``*.index.json``) stands before its shards. Empty where
            a repository holds many checkpoints of one layout, or their names are not known.
        revision: branch, tag or commit.
        bytes: of all files together, as published or as the layout makes them; None is unknown.
        sha256: digests of files, checked beside those that the Hub itself names.
    """

    repository: str = Field(max_length=200)
    files: tuple[Annotated[str, Field(max_length=200)], ...] = Field(max_length=256)
    revision: str = Field("main", max_length=200)
    bytes: int | None = Field(None, ge=1)
    sha256: Annotated[dict[str, Digest], AfterValidator(freeze)] = FrozenDict()

    @classmethod
    def described_as(cls) -> str:
        return "source"

    def model_post_init(self, context: Any) -> None:
        for what, text, pattern in (
            ("repository", self.repository, REPOSITORY),
            ("revision", self.revision, REVISION),
        ):
            if not re.fullmatch(pattern, text):
                example = "owner/name" if what == "repository" else "a branch, tag or commit"
                raise VarSpacesError(f"{what} = {shorten(text)} must be {example}.")
        for name in self.files:
            parts = name.split("/")
            odd = {".", ".."} & {*parts} or any(char in name for char in "\\:")
            if not all(parts) or odd or not name.isprintable():  # nor another drive
                raise VarSpacesError(f"source.files: '{name[:80]}' must be a path in a repository.")


class Terms(FrozenModel):
    """A licence that a person must accept before a download.

    Attributes:
        url: where it is written.
        summary: what it asks, in a few words.
    """

    url: str = Field(pattern=r"^https://", max_length=300)
    summary: Annotated[str, AfterValidator(printable)] = Field(min_length=1, max_length=200)

    @classmethod
    def described_as(cls) -> str:
        return "terms"


def optional(kind: type[FrozenModel]) -> Any:
    """Type of an optional card field that JSON gives as an object."""
    make = BeforeValidator(lambda value: kind(**value) if isinstance(value, dict) else value)
    return Annotated[kind | None, make]
