"""``RunRecord``: what a run did, frozen: its spec, cost per scale, hashes and environment."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

import var_spaces
from var_spaces import codecs
from var_spaces.checkout import current_commit
from var_spaces.errors import VarSpacesError
from var_spaces.spec import RunSpec
from var_spaces.validation import FrozenModel

MAX_RECORD_BYTES = 1024 * 1024

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(ge=0)]


class ScaleRow(FrozenModel):
    """Cost of one scale of the whole batch."""

    scale: int = Field(ge=0, description="index in the schedule")
    size: tuple[int, int] = Field(description="(h, w) in tokens")
    tokens: int = Field(ge=1, description="tokens of the scale per image")
    seconds: Seconds
    kv_bytes: int = Field(ge=0, description="bytes the KV cache holds after the scale")


class Environment(FrozenModel):
    """Where a run happened."""

    python: str
    torch: str
    device: str = Field(description="cpu, or the name of the accelerator")
    threads: int = Field(ge=1)
    package: str = Field(description="version of var_spaces")
    commit: str | None = Field(None, description="see var_spaces.checkout")

    @classmethod
    def current(cls, device: str, threads: int) -> Environment:
        """The environment of this process."""
        import torch

        return cls(
            python=platform.python_version(),
            torch=torch.__version__,
            device=device,
            threads=threads,
            package=var_spaces.__version__,
            commit=current_commit(),
        )


class RunRecord(FrozenModel):
    """Result of a run; ``id`` is the id of its spec."""

    version: Literal[1] = 1
    spec: Annotated[RunSpec, BeforeValidator(lambda s: RunSpec(**s) if isinstance(s, dict) else s)]
    id: str
    scales: tuple[
        Annotated[ScaleRow, BeforeValidator(lambda r: ScaleRow(**r) if isinstance(r, dict) else r)],
        ...,
    ]
    seconds: Seconds = Field(description="wall clock of the whole run")
    token_sha256: tuple[Sha256, ...] = Field(description="of the ids of every image")
    image_sha256: tuple[Sha256, ...] = Field(description="of the pixels of every image")
    weights_sha256: Sha256 = Field(description="of the weights of the model")
    environment: Annotated[
        Environment, BeforeValidator(lambda e: Environment(**e) if isinstance(e, dict) else e)
    ]

    @classmethod
    def described_as(cls) -> str:
        return "run record"

    @model_validator(mode="after")
    def _check(self) -> RunRecord:
        if self.id != self.spec.id:
            raise VarSpacesError(f"the id {self.id} is not the id {self.spec.id} of its spec.")
        for label, hashes in (("token", self.token_sha256), ("image", self.image_sha256)):
            if len(hashes) != self.spec.count:
                raise VarSpacesError(
                    f"{len(hashes)} {label} hashes for {self.spec.count} images of the spec."
                )
        return self

    def to_json(self) -> str:
        """Canonical JSON."""
        return codecs.canonical(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str | bytes) -> RunRecord:
        data = codecs.parse_json(text, "The run record", MAX_RECORD_BYTES)
        if not isinstance(data, dict):
            raise VarSpacesError("The run record must be a JSON object.")
        return cls(**data)


def cpu_name() -> str:
    """Model name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
