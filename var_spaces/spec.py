"""``RunSpec``: everything that decides what an image looks like, in one small frozen JSON.

It is the payload of the API, the ``?run=`` link, the text chunk of every PNG, the cell of a
benchmark and the key of the leaderboard. Equal specs have equal ids and give equal images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from var_spaces import codecs, methods
from var_spaces.errors import VarSpacesError
from var_spaces.paths import write_file
from var_spaces.schedule import ScaleSchedule
from var_spaces.validation import FrozenDict, FrozenModel, freeze, shorten

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

PARTS = ("sampling", "guidance", "cache", "decoding")  # kinds of methods that every run has
MAX_SEED = 2**63 - 1
MAX_COUNT = 64
MAX_FIRST = 10**9


def method_field(kind: str) -> Any:
    """A dict field that is validated and completed by the method class it names."""

    def complete(value: Any) -> dict[str, Any]:
        return methods.dump(methods.parse(kind, value))

    return Annotated[dict[str, Any], BeforeValidator(complete), AfterValidator(freeze)]


class RunSpec(FrozenModel):
    """One run, frozen.

    Image *i* of a run depends on everything here except ``count`` and ``first``, and on
    ``first + i``: ``{count: 1, first: 3}`` is the fourth image of ``{count: 8}``.

    Raises:
        VarSpacesError: for an unknown field or name and for a value out of its range.
    """

    version: Literal[1] = 1
    task: str = Field("generate", max_length=64)
    model: str = Field(min_length=1, max_length=256)
    inputs: Annotated[
        dict[str, Any], Field(description="what the task asks for"), AfterValidator(freeze)
    ] = FrozenDict()
    schedule: Annotated[
        tuple[tuple[int, int], ...] | None,
        Field(description="(h, w) in tokens per scale; None is the model's own"),
    ] = None
    sampling: method_field("sampling") = FrozenDict(name="top-k-top-p")
    guidance: method_field("guidance") = FrozenDict(name="linear")
    cache: method_field("cache") = FrozenDict(name="full")
    decoding: method_field("decoding") = FrozenDict(name="plain")
    seed: int = Field(0, ge=0, le=MAX_SEED)
    count: int = Field(1, ge=1, le=MAX_COUNT, description="number of images")
    first: int = Field(0, ge=0, le=MAX_FIRST, description="index of the first image")

    @classmethod
    def described_as(cls) -> str:
        return "run spec"

    @model_validator(mode="before")
    @classmethod
    def _complete_inputs(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Let the task class validate and complete its inputs, under its own field names."""
        inputs, task = data.get("inputs", {}), data.get("task", "generate")
        if not isinstance(inputs, Mapping):
            raise VarSpacesError(f"inputs = {shorten(inputs)} must be a JSON object.")
        if "name" in inputs:
            raise VarSpacesError("'name' is no input of a task; write it as \"task\" of the spec.")
        codecs.parse_json(codecs.canonical(inputs), "inputs")  # size and depth
        done = methods.dump(methods.parse("task", {"name": task, **inputs}))
        return {**data, "inputs": {key: done[key] for key in done if key != "name"}}

    @model_validator(mode="after")
    def _check(self) -> RunSpec:
        if self.schedule is not None:
            ScaleSchedule(self.schedule)
        last = self.first + self.count - 1
        if last > MAX_FIRST:
            raise VarSpacesError(
                f"first = {self.first} with count = {self.count} ends at image {last}: allowed is "
                f"{MAX_FIRST}."
            )
        return self

    # --- identity ---------------------------------------------------------------------------

    def to_json(self) -> str:
        """Canonical JSON: equal specs give equal text."""
        return codecs.canonical(self.model_dump(mode="json"))

    @property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def __hash__(self) -> int:
        return hash(self.id)

    def replace(self, **changes: Any) -> RunSpec:
        """Return a validated copy with some fields changed."""
        return RunSpec(**{**self.model_dump(mode="json"), **changes})

    # --- codecs -----------------------------------------------------------------------------

    @classmethod
    def from_json(cls, text: str | bytes) -> RunSpec:
        """Read untrusted JSON; at most 64 kB, nested at most 8 deep."""
        data = codecs.parse_json(text, "The run spec")
        if not isinstance(data, dict):
            raise VarSpacesError("The run spec must be a JSON object.")
        if data.get("version", 1) != 1:
            raise VarSpacesError(
                f"The run spec has version {shorten(data['version'])}; this program reads version "
                "1. Update it."
            )
        return cls(**data)

    def to_link(self) -> str:
        """Text for a URL parameter, at most 2000 characters."""
        return codecs.to_link(self.to_json())

    @classmethod
    def from_link(cls, link: str) -> RunSpec:
        return cls.from_json(codecs.from_link(link))

    def to_file(self, path: str | Path) -> None:
        """Write canonical JSON; the file appears whole or not at all."""
        write_file(path, (self.to_json() + "\n").encode())

    @classmethod
    def from_file(cls, path: str | Path) -> RunSpec:
        """Read a spec from a JSON file or from a PNG that carries one (told by its content)."""
        try:
            with open(path, "rb") as file:
                head = file.read(codecs.MAX_JSON_BYTES + 1)
        except OSError as error:
            raise VarSpacesError(f"Cannot read {path}: {error.strerror}.") from None
        if kind := codecs.other_picture(head):
            raise VarSpacesError(
                f"{path} is {kind} file, which carries no run spec: only PNG files saved here do."
            )
        is_png = head.startswith(codecs.PNG_SIGNATURE[:4]) or str(path).lower().endswith(".png")
        return cls.read_png(path) if is_png else cls.from_json(head)

    def embed_in_png(self, png: bytes | Image.Image) -> bytes:
        """Return PNG bytes that carry this spec; pixels and other chunks stay as they are."""
        if not isinstance(png, bytes):
            import numpy as np

            png = codecs.encode_png(np.asarray(png.convert("RGB")))
        return codecs.write_png_text(png, self.to_json())

    @classmethod
    def read_png(cls, source: bytes | str | Path) -> RunSpec:
        """Read the spec from PNG bytes or a PNG file without decoding its pixels."""
        return cls.from_json(codecs.read_png_text(source))


def save_png(image: np.ndarray, spec: RunSpec, scale: int = 1) -> bytes:
    """PNG bytes of an image ``(H, W, 3)`` uint8 with its spec inside; equal input, equal bytes.

    ``scale`` enlarges every pixel to a crisp square of ``scale`` x ``scale``.
    """
    return spec.embed_in_png(codecs.encode_png(image, scale))
