"""What a run reports while it walks the scales.

``Started``, then ``ScaleDone`` per scale, ``ImageReady`` per image, ``Finished``: the app, the
command line and the benchmark all read these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # listing and reading events needs neither torch nor numpy
    import numpy as np
    import torch

    from var_spaces.record import RunRecord
    from var_spaces.schedule import ScaleSchedule
    from var_spaces.spec import RunSpec


@dataclass(frozen=True, eq=False)
class Started:
    """The run was accepted and its model is loaded.

    Attributes:
        notes: sentences for the person who asked: a prompt was cut, a word is not known, a budget
            is too small for what a cache policy keeps.
    """

    spec: RunSpec
    id: str
    schedule: ScaleSchedule
    model: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates of one image that a search chose from after a scale.

    Attributes:
        image: position in the batch of the run, from 0.
        why: "clusters", "resampling" or "best".
        previews: all of them as they are at this scale, ``(N, H, W, 3)`` uint8.
        rewards: one per candidate, or empty where no reward was asked for.
        kept: which of them live on, in their new order; one that is named twice goes on twice.
    """

    image: int
    why: str
    previews: np.ndarray
    rewards: tuple[float, ...]
    kept: tuple[int, ...]

    @property
    def dropped(self) -> tuple[int, ...]:
        """Candidates that end here."""
        return tuple(n for n in range(len(self.previews)) if n not in self.kept)


class Measured(Protocol):
    """Of one scale.

    Attributes:
        seconds: that it took.
        entropy: mean of the drawn distributions in nats; NaN if something was not finite.
        ready: whether both can be read without waiting.
    """

    @property
    def seconds(self) -> float: ...

    @property
    def entropy(self) -> float: ...

    @property
    def ready(self) -> bool: ...


@dataclass(frozen=True, eq=False)
class ScaleDone:
    """One scale of all images of the batch has been sampled.

    Attributes:
        scale: index in the schedule, from 0.
        size: ``(h, w)`` of the token map.
        tokens: tokens of this scale per image, ``l = h * w``.
        kv_bytes: bytes that the KV cache holds after this scale.
        kv_full_bytes: bytes that it would hold if every token had been kept.
        kv_pinned_bytes: those of them that stand in front of all tokens: of a source picture, say.
        ids: sampled ids ``(B, l)`` int64, or ``(B, l, d)`` for bitwise tokens.
        preview: images so far, ``(B, H, W, 3)`` uint8, or ``None`` if not asked for.
        measured: gives :attr:`seconds` and :attr:`entropy`; on a GPU, reading them waits for it.
        rows: candidates that the scale was drawn for, all images together.
        candidates: what a search chose from after this scale, per image; empty if it did not.
    """

    scale: int
    size: tuple[int, int]
    tokens: int
    kv_bytes: int
    kv_full_bytes: int
    ids: torch.Tensor
    preview: np.ndarray | None
    measured: Measured
    rows: int = 1
    candidates: tuple[Candidates, ...] = ()
    kv_pinned_bytes: int = 0

    @property
    def seconds(self) -> float:
        """Wall-clock time of this scale."""
        return self.measured.seconds

    @property
    def entropy(self) -> float:
        """Mean entropy of the sampled distributions in nats."""
        return self.measured.entropy


@dataclass(frozen=True, eq=False)
class ImageReady:
    """A finished image ``(H, W, 3)`` uint8; ``index`` counts from the ``first`` of the spec."""

    index: int
    image: np.ndarray


@dataclass(frozen=True, eq=False)
class Finished:
    """The run is over: its record, all images, ``(H, W, 3)`` uint8 each, and their ids per scale,
    ``(B, l[, d])`` int64."""

    record: RunRecord
    images: list[np.ndarray]
    ids: Sequence[torch.Tensor] = ()


Event: TypeAlias = Started | ScaleDone | ImageReady | Finished
