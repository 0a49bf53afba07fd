"""FlexVAR, next-scale prediction without residuals (https://arxiv.org/abs/2502.20313, §3.3).

A VAR that predicts at every scale the codes of the picture itself. No scale has an embedding of its
own, and positions are one learned grid that is area-resized to the token map at hand. So one model
draws maps of any size, in any number of steps. The parameter names are those of published files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from var_spaces.backbones.block_attention import block_attend
from var_spaces.backbones.context import RunContext
from var_spaces.backbones.flexvar_config import FlexVARConfig
from var_spaces.backbones.var import VAR, Extend
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.autoencoder import area_pool


@dataclass(frozen=True, eq=False, kw_only=True)
class FlexContext(RunContext[Tensor]):
    """A run on maps of its own; ``places`` are their positions, ``(1, l_k, C)`` each."""

    places: tuple[Tensor, ...]


class FlexVAR(VAR):
    """Transformer over the token maps of any schedule that starts with one token."""

    # Its size follows from the schedule, so it is made anew.
    ignored_keys = (r"attn_bias_for_masking", r"blocks\.\d+\.attn\.zero_k_bias")

    config: FlexVARConfig

    def build_places(self) -> None:
        """One grid, for maps of every size."""
        self.pos_1LC = nn.Parameter(sin_cos_grid(self.config.width, self.config.pos_grid))

    def initialise_places(self, std: float) -> None:
        self.pos_1LC.copy_(sin_cos_grid(self.config.width, self.config.pos_grid))

    def context(self, cond: Tensor, schedule: ScaleSchedule | None = None) -> FlexContext:
        """What all scales of a run share; ``schedule`` None is the usual one.

        Raises:
            VarSpacesError: if the schedule does not start with one token.
        """
        schedule = schedule or self.schedule
        if schedule.lengths[0] != 1:
            raise VarSpacesError(
                f"FlexVAR starts from one token: begin at 1x1, not {schedule.sizes[0]}."
            )
        usual = super().context(cond)
        places = tuple(self.place_of(size) for size in schedule.sizes)
        return FlexContext(
            schedule=schedule, cond=cond, blocks=usual.blocks, head=usual.head, places=places
        )

    def place_of(self, size: tuple[int, int]) -> Tensor:
        """Position embedding ``(1, h w, C)`` float32 of a token map."""
        return area_pool(self.pos_1LC.float(), size).flatten(2).transpose(1, 2)

    def start(self, context: FlexContext) -> Tensor:
        """Input of scale 0, ``(B, 1, C)`` float32: the condition and its position."""
        return self._first(context.cond) + context.places[0]

    def embed_scale(self, tokens: Tensor, scale: int, context: FlexContext) -> Tensor:
        """Input ``(B, l_k, C)`` float32 of scale k >= 1 from the tokenizer's ``(B, l_k, z)``."""
        return self._rest(tokens) + context.places[scale]

    def _first(self, cond: Tensor) -> Tensor:
        return cond.float().unsqueeze(1) + self.pos_start.float()

    def _rest(self, tokens: Tensor) -> Tensor:
        return self.word_embed(tokens.to(self.word_embed.weight.dtype)).float()

    def forward(
        self,
        labels: Tensor,
        tokens: Tensor,
        styles: Tensor | None = None,
        blocks: Sequence[int] | None = None,
        schedule: ScaleSchedule | None = None,
        extend: Extend | None = None,
    ) -> Tensor:
        """Teacher forcing: logits of all scales at once under the block-causal mask.

        Args:
            labels: classes ``(B,)``.
            tokens: tokenizer inputs of scales 1.. concatenated, ``(B, L - 1, z)``; fewer scales
                give logits of those scales only.
            styles: styles ``(B,)`` or None.
            blocks: indices of the blocks to run; None means all.
            schedule: of the token maps; None is the usual one.
            extend: makes what an adapter adds.

        Returns:
            Logits ``(B, L, V)`` float32.

        Raises:
            VarSpacesError: if ``tokens`` does not end where a scale ends.
        """
        schedule = schedule or self.schedule
        length = 1 + tokens.shape[1]
        scales = range(schedule.scales_of(length))
        context = self.context(self.condition(labels, styles), schedule)
        context = self.taught(context if extend is None else context.extended(extend(context)))
        x = torch.cat((self._first(context.cond), self._rest(tokens)), dim=1)
        x = x + torch.cat(context.places[: len(scales)], dim=1)

        first, *others = schedule.lengths[: len(scales)]
        attend = block_attend((context.extension.front + first, *others), "causal")
        return self.logits(self.teach(x, scales, context, attend, blocks=blocks), context)


def sin_cos_grid(width: int, side: int) -> Tensor:
    """The grid ``(1, C, side, side)`` that training starts from.

    Channel ``2j`` is the sine of the row, channel ``2j + 1`` the cosine of the column, both times
    ``10000 ** (-2j / C)``.
    """
    frequencies = 10000.0 ** (-torch.arange(0, width, 2) / width)
    angles = frequencies[:, None] * torch.arange(side)
    rows = angles.sin()[:, :, None].expand(-1, side, side)
    columns = angles.cos()[:, None, :].expand(-1, side, side)
    return torch.stack((rows, columns), 1).flatten(0, 1)[None]
