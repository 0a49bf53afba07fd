"""Decoding strategies: which backbone runs at a scale, which blocks, how often, which rows live on.

Scale *k* of a run: the strategy turns the scale's input into logits and hands them to ``draw``,
which applies guidance and sampling; the loop adds the codes to ``f_hat`` and makes the next input.
This file imports no torch, so that parameters and specs can be read without it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from var_spaces.decoding.base import Part

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.decoding.base import Drawn, Guidance
    from var_spaces.decoding.search.scoring import Asked
    from var_spaces.decoding.setup import RunSetup
    from var_spaces.events import Candidates
    from var_spaces.schedule import ScaleSchedule


class Draw(Protocol):
    """Guidance and sampling of the running scale, for a strategy to call once or several times."""

    def __call__(
        self,
        logits: Tensor,
        *,
        part: int = 0,
        weight: float | None = None,
        setup: RunSetup | None = None,
    ) -> Drawn:
        """Tokens from raw logits ``(R B, l, V)`` of R named rows.

        Args:
            logits: the block of the full condition first.
            part: number of the pass within the scale; every pass has its own noise.
            weight: guidance weight ``t`` in place of that of the guidance method.
            setup: in place of the run's own, where sampling or guidance differ.
        """
        ...


class DecodingSession:
    """A strategy at work on one batch. It owns the caches; the loop owns ``f_hat`` and the rows."""

    rows_per_image: int = 1  # candidates that start for every image
    candidates: tuple[Candidates, ...] = ()  # what the last selection chose from, per image

    def predict(self, scale: int, tokens: Tensor | None, draw: Draw) -> Drawn:
        """Tokens of one scale.

        Args:
            scale: index of the scale.
            tokens: its input ``(B, l_k, z)`` from the tokenizer; None at scale 0.
            draw: guidance and sampling of this scale.
        """
        raise NotImplementedError

    def select(self, scale: int, f_hat: Tensor) -> Tensor | None:
        """Rows that live on after a scale, ``(B',)`` int64 with repeats allowed; None keeps all.

        After the last scale exactly one row per image must be left.
        """
        return None

    def gather_rows(self, index: Tensor) -> None:
        """Reorder everything the session keeps per row; follows a selection, and images that leave
        a batch of several runs."""
        raise NotImplementedError

    @property
    def kv_bytes(self) -> int:
        """Bytes that the caches hold now."""
        return 0

    @property
    def kv_pinned_bytes(self) -> int:
        """Bytes of what an adapter pinned in front of all tokens; a part of the full cache."""
        return 0

    def kv_full_bytes(self, scale: int) -> int:
        """Bytes that caches of all that is pinned and of all tokens up to and including ``scale``
        would hold."""
        return 0

    def refresh(self, setup: RunSetup, images: Sequence[int]) -> bool:
        """Take what another run like this asks for, every tensor where it is.

        For strategies that repeat (:attr:`DecodingStrategy.repeats`).

        Returns:
            False, and nothing is changed, if that has other shapes.
        """
        return False

    def buffers(self) -> list[Tensor]:
        """What the caches write to."""
        return []

    def close(self) -> None:
        """Free the caches."""


@dataclass(frozen=True)
class ScaleWork:
    """What a strategy does at one scale, for estimates of memory and time.

    Attributes:
        model: id of the further model that draws it; empty is the run's own. Where it changes, the
            new one reads all earlier scales first.
        rows: candidates per image that it is drawn for.
        passes: through the blocks.
        blocks: those that run, ascending; None is all.
        looks: whether candidates are decoded and looked at after it.
    """

    model: str = ""
    rows: int = 1
    passes: int = 1
    blocks: tuple[int, ...] | None = None
    looks: bool = False


class DecodingStrategy(Part):
    """Decides per scale which backbone runs, which blocks, how many passes and which rows stay."""

    kind = "decoding"
    # Whether all runs of it do the same, whatever they draw; then a run's work may be recorded.
    repeats: ClassVar[bool] = False

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of models it needs beside the run's own; they are in ``setup.extra`` at run time."""
        return ()

    def resolve(
        self, card: Any, schedule: ScaleSchedule, offered: Callable[[], Mapping[str, Any]]
    ) -> Self:
        """The same with every choice made that it leaves to the model and the scales of a run.

        Args:
            card: of the run's model.
            offered: gives the cards of all generators by id.

        Raises:
            VarSpacesError: if there is nothing to choose.
        """
        return self

    def check(self, cards: Mapping[str, Any]) -> None:
        """Refuse models that do not fit together, before any weight is read.

        Args:
            cards: the cards of :attr:`models` by id, and the run's own under ``""``.

        Raises:
            VarSpacesError: saying which two things differ.
        """

    def check_asked(self, asked: Asked, schedule: ScaleSchedule) -> None:
        """Refuse what images are to show if it looks at that and cannot read it.

        Raises:
            VarSpacesError: saying what it can read.
        """

    def work(self, schedule: ScaleSchedule, depth: int) -> tuple[ScaleWork, ...]:
        """What it does at every scale; plain decoding if a strategy does not say.

        Args:
            depth: blocks of the run's own model.
        """
        return (ScaleWork(),) * schedule.num_scales

    def guiding(self, guidance: Guidance, model: str) -> Guidance:
        """The guidance of scales that a model draws, by its id; empty is the run's own."""
        return guidance

    def guidances(self, guidance: Guidance) -> dict[str, Guidance]:
        """The guidance of every model that draws, by its id; the run's own is ``""`` and first."""
        return {name: self.guiding(guidance, name) for name in ("", *self.models)}

    @abstractmethod
    def session(self, setup: RunSetup, images: Sequence[int]) -> DecodingSession:
        """Start a run of some of its images.

        Args:
            setup: the run.
            images: positions in the run of the images of this batch.
        """
