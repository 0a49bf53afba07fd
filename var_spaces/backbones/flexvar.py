"""FlexVAR, next-scale prediction without residuals (https://arxiv.org/abs/2502.20313, §3.3).

A VAR that predicts at every scale the codes of the picture itself. No scale has an embedding of its
own, and positions are one learned grid that is area-resized to the token map at hand. So one model
draws maps of any size, in any number of steps. The parameter names are those of published files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from var_spaces.backbones.flexvar_config import FlexVARConfig
from var_spaces.backbones.layers import block_causal_bias, compute_dtype, masked_attend
from var_spaces.backbones.var import VAR
from var_spaces.cache.kv import KVCache
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.autoencoder import area_pool


class FlexModulation(NamedTuple):
    """As :class:`var_spaces.backbones.var.Modulation`, and positions ``[(1, l_k, C)]`` of a run."""

    blocks: tuple[Tensor, ...]
    head: Tensor
    places: tuple[Tensor, ...]

    def gather_rows(self, index: Tensor) -> FlexModulation:
        """The modulation of rows ``index (B',)``."""
        return FlexModulation(tuple(m[index] for m in self.blocks), self.head[index], self.places)


class FlexVAR(VAR):
    """Transformer over the token maps of any schedule that starts with one token."""

    # Its size follows from the schedule, so it is made anew.
    ignored_keys = (r"attn_bias_for_masking", r"blocks\.\d+\.attn\.zero_k_bias")

    def __init__(self, config: FlexVARConfig) -> None:
        super().__init__(config)
        del self.lvl_embed, self.levels, self.bias
        self.pos_1LC = nn.Parameter(sin_cos_grid(config.width, config.pos_grid))

    @torch.no_grad()
    def initialise(self, *, gate: float = 1e-3, adaln: float = 0.5, head: float = 0.02) -> None:
        """Draw fresh weights as the published recipe does; ``gate`` is 1e-4 for d24."""
        super().initialise(gate=gate, adaln=adaln, head=head)
        if self.pos_1LC.ndim == 4:  # not while the parent class is being made
            self.pos_1LC.copy_(sin_cos_grid(self.config.width, self.config.pos_grid))

    def modulation(self, cond: Tensor, schedule: ScaleSchedule | None = None) -> FlexModulation:
        """What all scales of a run share; ``schedule`` None is the usual one.

        Raises:
            VarSpacesError: if the schedule does not start with one token.
        """
        schedule = schedule or self.schedule
        if schedule.lengths[0] != 1:
            raise VarSpacesError(
                f"FlexVAR starts from one token: begin at 1x1, not {schedule.sizes[0]}."
            )
        places = tuple(self.place_of(size) for size in schedule.sizes)
        return FlexModulation(*super().modulation(cond), places)

    def place_of(self, size: tuple[int, int]) -> Tensor:
        """Position embedding ``(1, h w, C)`` float32 of a token map."""
        return area_pool(self.pos_1LC.float(), size).flatten(2).transpose(1, 2)

    def start(self, cond: Tensor) -> Tensor:
        """Input of scale 0, ``(B, 1, C)`` float32: the condition, without its position."""
        return cond.float().unsqueeze(1) + self.pos_start.float()

    def embed_scale(self, tokens: Tensor, scale: int) -> Tensor:
        """Input ``(B, l_k, C)`` float32 of scale k >= 1, without its positions.

        Which map they are on is known to the run: :meth:`forward_scale` adds them.
        """
        return self.word_embed(tokens.to(self.word_embed.weight.dtype)).float()

    def forward_scale(
        self,
        x: Tensor,
        cond: Tensor,
        scale: int,
        cache: KVCache,
        blocks: Sequence[int] | None = None,
        modulation: FlexModulation | None = None,
    ) -> Tensor:
        """As :meth:`VAR.forward_scale`; ``modulation`` holds the schedule of the run."""
        modulation = modulation or self.modulation(cond)
        x = x + modulation.places[scale]
        return super().forward_scale(x, cond, scale, cache, blocks, modulation)

    def forward(
        self,
        labels: Tensor,
        tokens: Tensor,
        styles: Tensor | None = None,
        blocks: Sequence[int] | None = None,
        schedule: ScaleSchedule | None = None,
    ) -> Tensor:
        """Teacher forcing: logits of all scales at once under the block-causal mask.

        Args:
            labels: classes ``(B,)``.
            tokens: tokenizer inputs of scales 1.. concatenated, ``(B, L - 1, z)``; fewer scales
                give logits of those scales only.
            styles: styles ``(B,)`` or None.
            blocks: indices of the blocks to run; None means all.
            schedule: of the token maps; None is the usual one.

        Returns:
            Logits ``(B, L, V)`` float32.

        Raises:
            VarSpacesError: if ``tokens`` does not end where a scale ends.
        """
        schedule = schedule or self.schedule
        length = 1 + tokens.shape[1]
        scales = schedule.scales_of(length)
        cond = self.condition(labels, styles)
        modulation = self.modulation(cond, schedule)
        x = torch.cat((self.start(cond), self.embed_scale(tokens, 1)), dim=1)
        x = x + torch.cat(modulation.places[:scales], dim=1)

        bias = block_causal_bias(schedule).to(x.device, compute_dtype(self.head.weight))
        attend = masked_attend(bias[:length, :length])
        for b in range(len(self.blocks)) if blocks is None else blocks:
            x = self.blocks[b](x, modulation.blocks[b], attend)
        return self.logits(x, cond, modulation)


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
