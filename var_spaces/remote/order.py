"""What travels between a page and the computers that draw for it, beside the events of runs.

Both sides are one program of one owner: messages are pickled by Ray and not meant for strangers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

APP = ENGINE = "var-spaces"  # names of the application and of its deployment


@dataclass(frozen=True, eq=False)
class Order:
    """A run that is asked for.

    Attributes:
        spec: canonical JSON.
        weights: SHA-256 of the model's weights, where its card says it.
        version: of the program that asks.
        pictures: that the spec names, by content hash.
        previews: decode the images after every scale.
        watched: names of intermediate results that are sent, too.
    """

    spec: str
    weights: str
    version: str
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    previews: bool = True
    watched: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Watched:
    """An intermediate result, as an observer is told it."""

    what: str
    scale: int
    tensor: Any


@dataclass(frozen=True)
class Ended:
    """The last message of a run that could not be finished.

    Attributes:
        message: one line.
        refused: whether it is a refusal; else something went wrong there, and its log says what.
    """

    message: str
    refused: bool
