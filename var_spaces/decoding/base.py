"""What plugs into the scale loop: guidance and sampling, and beside them ``strategy.py``.

This file imports no torch, so that parameters and specs can be read without it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from var_spaces.methods import Method

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule

# (tokens, vocabulary) -> standard Gumbel noise (B, tokens, vocabulary) on the logits' device
Gumbel = Callable[[int, int], "Tensor"]


# a tensor, or what works it out when somebody asks
Later = "Tensor | Callable[[], Tensor]"


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
            VarSpacesError: if parameters name scales that it lacks, or are given per scale and not
                as many as its scales.
        """


@dataclass(frozen=True, eq=False)
class Drawn:
    """Tokens of one scale.

    Attributes:
        ids: ``(B, l)`` int64, or ``(B, l, d)`` for bitwise tokens.
        codes: what the tokenizer accumulates, ``(B, l, z)``.
        given: :attr:`logits`, or what works them out.
    """

    ids: Tensor
    codes: Tensor
    given: Later

    @property
    def logits(self) -> Tensor:
        """Guided, filtered logits they were drawn from, ``(B, l, V)``; removed = -inf."""
        return self.given() if callable(self.given) else self.given


@dataclass(frozen=True, eq=False)
class Sampled:
    """What a sampler returns: ids, filtered logits and, for soft codes, weights ``(B, l, V)``.

    Few ask for the logits: a sampler that has no need of them itself may give what works them out.
    """

    ids: Tensor
    logits: Later
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

    def check_codes(self, count: int) -> None:
        """Refuse a model of that many codes, before any weight is read.

        Raises:
            VarSpacesError: if parameters name codes that it lacks.
        """

    def entropy(self, logits: Tensor) -> Tensor:
        """Mean entropy in nats of ``softmax(logits)``, ``(B,)``: of the guided logits, before any
        filter.

        On the device, and not waited for; NaN if a logit is NaN or infinite.
        """
        log_p = logits.log_softmax(-1)
        return -(log_p.exp() * log_p).sum(-1).flatten(1).mean(1)


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
