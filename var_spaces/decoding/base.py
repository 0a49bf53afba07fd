"""What plugs into the scale loop: sampling, guidance and decoding strategies.

Scale *k* of a run: the strategy turns the scale's input into logits and hands them to ``draw``,
which applies guidance and sampling; the loop adds the codes to ``f_hat`` and makes the next input.
This file imports no torch, so that parameters and specs can be read without it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from var_spaces.methods import Method

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.decoding.setup import RunSetup
    from var_spaces.events import Candidates
    from var_spaces.schedule import ScaleSchedule

# (tokens, vocabulary) -> standard Gumbel noise (B, tokens, vocabulary) on the logits' device
Gumbel = Callable[[int, int], "Tensor"]


class Part(Method):
    """A method that takes part in a run and says what it needs from the other parts."""

    @property
    def offers(self) -> frozenset[str]:
        """Capabilities that other parts may ask for."""
        return frozenset()

    @property
    def needs(self) -> Mapping[str, str]:
        """Capabilities that another part must offer, with the reason in plain words."""
        return {}

    @property
    def excludes(self) -> Mapping[str, str]:
        """Capabilities that no other part may have, with the reason in plain words."""
        return {}

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        """Refuse a schedule, before any weight is read.

        Raises:
            VarSpacesError: if parameters that are given per scale are not as many as its scales.
        """


@dataclass(frozen=True, eq=False)
class Drawn:
    """Tokens of one scale.

    Attributes:
        ids: ``(B, l)`` int64, or ``(B, l, d)`` for bitwise tokens.
        codes: what the tokenizer accumulates, ``(B, l, z)``.
        logits: guided and filtered logits they were drawn from, ``(B, l, V)``; removed = -inf.
    """

    ids: Tensor
    codes: Tensor
    logits: Tensor


@dataclass(frozen=True, eq=False)
class Sampled:
    """What a sampler returns: ids, filtered logits and, for soft codes, weights ``(B, l, V)``."""

    ids: Tensor
    logits: Tensor
    weights: Tensor | None = None


class Sampling(Part):
    """Draws token ids from guided logits."""

    kind = "sampling"

    @abstractmethod
    def sample(
        self, logits: Tensor, gumbel: Gumbel, scale: int, schedule: ScaleSchedule
    ) -> Sampled:
        """Draw one token per position.

        Args:
            logits: guided logits ``(B, l, V)`` float32.
            gumbel: source of noise; equal calls give equal numbers.
            scale, schedule: which scale of which schedule is drawn.
        """

    def entropy(self, logits: Tensor) -> Tensor:
        """Mean entropy in nats of ``softmax(logits)``: of the guided logits, before any filter.

        A number on the device, which is not waited for; NaN if a logit is NaN or infinite.
        """
        log_p = logits.log_softmax(-1)
        return -(log_p.exp() * log_p).sum(-1).mean()


class Guidance(Part):
    """Classifier-free guidance: ``(1 + t) l_full - t l_null`` with a weight per scale.

    A batch carries a block of rows per name ("full" all that was asked for, "null" nothing of it);
    a rule that weighs more of them says so in :meth:`rows` and mixes them in :meth:`combine`.
    """

    kind = "guidance"

    @abstractmethod
    def weight(self, scale: int, schedule: ScaleSchedule) -> float:
        """The weight ``t`` of one scale; 0 leaves the logits of the full condition as they are."""

    def is_active(self, schedule: ScaleSchedule) -> bool:
        """Whether any scale needs more than the full condition."""
        return any(self.weight(k, schedule) != 0 for k in range(schedule.num_scales))

    def rows(self, schedule: ScaleSchedule) -> tuple[str, ...]:
        """Names of the rows that a run carries for every image, "full" first."""
        return ("full", "null") if self.is_active(schedule) else ("full",)

    def combine(self, parts: Mapping[str, Tensor], scale: int, schedule: ScaleSchedule) -> Tensor:
        """Guided logits ``(B, l, V)`` of a scale from those of its rows, by name."""
        return guide(parts, self.weight(scale, schedule))

    def hidden_weights(
        self, scale: int, schedule: ScaleSchedule, depth: int
    ) -> Mapping[int, float]:
        """Weights ``t`` of guidance between blocks: block of ``depth`` -> weight after it."""
        return {}


def guide(parts: Mapping[str, Tensor], weight: float) -> Tensor:
    """``(1 + t) l_full - t l_null``, all ``(B, l, V)``."""
    return parts["full"].mul(1 + weight).sub_(parts["null"], alpha=weight)


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
        """Reorder everything the session keeps per row; follows a selection."""

    @property
    def kv_bytes(self) -> int:
        """Bytes that the caches hold now."""
        return 0

    def kv_full_bytes(self, scale: int) -> int:
        """Bytes that caches of all tokens up to and including ``scale`` would hold."""
        return 0

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

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of models it needs beside the run's own; they are in ``setup.extra`` at run time."""
        return ()

    def check(self, cards: Mapping[str, Any]) -> None:
        """Refuse models that do not fit together, before any weight is read.

        Args:
            cards: the cards of :attr:`models` by id, and the run's own under ``""``.

        Raises:
            VarSpacesError: saying which two things differ.
        """

    def work(self, schedule: ScaleSchedule, depth: int) -> tuple[ScaleWork, ...]:
        """What it does at every scale; plain decoding if a strategy does not say.

        Args:
            depth: blocks of the run's own model.
        """
        return (ScaleWork(),) * schedule.num_scales

    @abstractmethod
    def session(self, setup: RunSetup, images: Sequence[int]) -> DecodingSession:
        """Start a run of some of its images.

        Args:
            setup: the run.
            images: positions in the run of the images of this batch.
        """
