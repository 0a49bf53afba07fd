"""Masked refinement inside a scale, as in HMAR (https://arxiv.org/abs/2506.04421, public code).

The first pass of a scale draws all its tokens at once. Further passes hide those that were least
certain and draw them again, seeing the others. How many passes a scale gets is free at run time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from var_spaces.decoding.base import Drawn
from var_spaces.decoding.strategies.plain import PlainSession
from var_spaces.decoding.strategy import DecodingStrategy, Draw, ScaleWork
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register
from var_spaces.schedule import MAX_SCALES, ScaleSchedule

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.decoding.setup import RunSetup

# How the authors split the tokens of a scale over its passes: (tokens, passes) -> tokens of each.
PUBLISHED = {
    (4, 2): (1, 3),
    (9, 3): (1, 3, 5),
    (9, 4): (1, 1, 2, 5),
    (16, 2): (5, 11),
    (16, 3): (3, 5, 8),
}
Steps = Annotated[int, Field(ge=1, le=64)]
Split = Annotated[str, Field(pattern=r"^[0-9]{1,6}(\+[0-9]{1,6}){0,63}$")]


@register
class MaskedDecoding(DecodingStrategy):
    """One pass draws a scale, more passes draw its least certain tokens again.

    ``steps=1`` is next-scale prediction alone. The defaults are those of the published models at
    256 px: 1, 2 and 4 passes for the first three scales, one for all others.
    """

    name = "masked"
    title = "Masked: draws uncertain tokens again"
    paper = "https://arxiv.org/abs/2506.04421"
    repeats = True

    steps: Annotated[tuple[Steps, ...], Field(min_length=1, max_length=MAX_SCALES)] = Field(
        (1, 2, 4), description="passes of each scale; scales beyond the list take one"
    )
    splits: Annotated[tuple[Split, ...], Field(max_length=MAX_SCALES)] = Field(
        (), description="instead of steps: tokens settled by each pass, like 1,1+3,1+1+2+5"
    )
    guidance: float = Field(
        1e-6, ge=0, le=2, description="guidance of masked passes as a share of that of the run"
    )

    @property
    def needs(self) -> dict[str, str]:
        return {"masked-prediction": "it predicts masked tokens of a scale"}

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        given = len(self.splits or self.steps)
        if given > schedule.num_scales:
            raise VarSpacesError(
                f"Masked decoding has passes for {given} scales, the schedule has "
                f"{schedule.num_scales}: give one entry per scale, or fewer."
            )
        for scale, tokens in enumerate(schedule.lengths):
            if sum(self.split(scale, tokens)) != tokens:
                raise VarSpacesError(
                    f"splits[{scale}] = {self.splits[scale]} must add up to the {tokens} tokens of "
                    "its scale."
                )
        if self.splits and "+" in self.splits[0]:
            raise VarSpacesError(f"splits[0] = {self.splits[0]}: the first scale has one pass.")

    def split(self, scale: int, tokens: int) -> tuple[int, ...]:
        """Tokens that each pass of a scale settles; the first scale has one pass."""
        if scale < len(self.splits):
            return tuple(int(part) for part in self.splits[scale].split("+"))
        passes = 1 if self.splits or scale >= len(self.steps) else self.steps[scale]
        return split_tokens(tokens, passes) if scale > 0 else (tokens,)

    def work(self, schedule: ScaleSchedule, depth: int) -> tuple[ScaleWork, ...]:
        passes = (len(self.split(k, tokens)) for k, tokens in enumerate(schedule.lengths))
        return tuple(ScaleWork(passes=count) for count in passes)

    def session(self, setup: RunSetup, images: Sequence[int]) -> MaskedSession:
        return MaskedSession(setup, images)


def split_tokens(tokens: int, passes: int) -> tuple[int, ...]:
    """Tokens that each of some passes settles: the authors' split if there is one, else by the
    cosine rule of MaskGIT (https://arxiv.org/abs/2202.04200, eq. 3), at least one per pass."""
    passes = min(passes, tokens)
    if (tokens, passes) in PUBLISHED:
        return PUBLISHED[tokens, passes]
    left, counts = tokens, []
    for step in range(1, passes):
        after = math.floor(tokens * math.cos(math.pi / 2 * step / passes))
        after = max(min(after, left - 1), passes - step)
        counts.append(left - after)
        left = after
    return (*counts, left)


class MaskedSession(PlainSession):
    """One batch. Positions that an edit keeps are never drawn again."""

    def __init__(self, setup: RunSetup, images: Sequence[int]) -> None:
        super().__init__(setup, images)
        self.setup, self.images = setup, images
        self.strategy: MaskedDecoding = setup.decoding

    def predict(self, scale: int, tokens: Tensor | None, draw: Draw) -> Drawn:
        drawn, fixed = self._substitute(scale, super().predict(scale, tokens, draw))
        settled = self.strategy.split(scale, self.setup.schedule.lengths[scale])
        masked = None
        for step in range(1, len(settled)):
            masked = self._least_certain(scale, drawn, sum(settled[step:]), masked, fixed)
            again = draw(
                self._masked_logits(scale, tokens, drawn, masked), part=step, weight=self._weight
            )
            drawn = _merge(masked, again, drawn)
        return drawn

    def _substitute(self, scale: int, drawn: Drawn) -> tuple[Drawn, Tensor | None]:
        """Tokens with those of an edit's source in place, and where these are."""
        substitution = self.setup.substitution
        if substitution is None:
            return drawn, None
        ids, codes = substitution(scale, drawn.ids, drawn.codes, self.images)
        return Drawn(ids, codes, drawn.logits), substitution.kept(scale, self.images)

    def _least_certain(
        self, scale: int, drawn: Drawn, count: int, before: Tensor | None, fixed: Tensor | None
    ) -> Tensor:
        """Where to draw again, ``(B, l)`` bool: the ``count`` tokens with the lowest probability
        of those that were open ``before``. Of an image that keeps tokens, a share as large."""
        import torch

        open_ = torch.ones_like(drawn.ids, dtype=torch.bool) if before is None else before
        if fixed is not None:
            open_ = open_ & ~fixed
        sure = drawn.logits.softmax(-1).gather(-1, drawn.ids[..., None])[..., 0]
        order = sure.masked_fill(~open_, math.inf).argsort(dim=-1, stable=True)
        if self.setup.observe is not None:  # it is cut to as many as there are: a number is read
            self.setup.report(scale, ranking=order[:, : int(open_.sum(-1).max())])
        length = open_.shape[1]
        free = length if fixed is None else (~fixed).sum(-1, keepdim=True)
        limit = (count * free + length - 1) // length
        rank = order.argsort(-1)
        return open_ & (rank < limit)

    def _masked_logits(self, scale: int, tokens: Tensor, drawn: Drawn, masked: Tensor) -> Tensor:
        run, setup = self.run, self.setup
        own = setup.tokenizer.own_input(drawn.codes, scale, setup.schedule)
        context = run.context.masked
        x = run.repeated(run.backbone.embed_masked(tokens, own, masked, scale, context))
        hidden = run.backbone.forward_scale(x, range(scale, scale + 1), context, run.cache)
        return run.backbone.logits(hidden, context)

    @property
    def _weight(self) -> float:
        """Guidance of a masked pass, from that of the last scale."""
        schedule = self.setup.schedule
        last = self.setup.guidance.weight(schedule.num_scales - 1, schedule)
        return self.strategy.guidance * last


def _merge(where: Tensor, new: Drawn, old: Drawn) -> Drawn:
    """``new`` tokens where ``where (B, l)`` says so, ``old`` ones elsewhere."""
    import torch

    wide = where[..., None]
    return Drawn(
        torch.where(where, new.ids, old.ids),
        torch.where(wide, new.codes, old.codes),
        torch.where(wide, new.logits, old.logits),
    )
