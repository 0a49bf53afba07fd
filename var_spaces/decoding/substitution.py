"""Zero-shot editing, in two ways.

By tokens, as in VAR's editing demo (arXiv 2404.02905, §5): at every scale, drawn codes at kept
positions are replaced by those of a source image before they are accumulated. The source is kept
per scale, not in ``f_hat`` or in pixels, so kept regions are close to the source but not equal:
upsampling, phi and the decoder mix neighbours.

By latents, as in CoDe's public code (arXiv 2411.17787): tokens are drawn everywhere, and after
every scale ``f_hat`` at kept positions is that of the source. So it is at the end, exactly; only
the decoder mixes neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.decoding.backbone import Tokenizer
from var_spaces.schedule import ScaleSchedule

WHOLE_SCALE_TOKENS = 3  # scales of so few tokens come from the source entirely


def keep_masks(mask: Tensor, schedule: ScaleSchedule) -> list[Tensor]:
    """Which positions of every scale keep the source, ``[(B, l_k) bool]``.

    The mask is resized bilinearly (half-pixel centres, no antialiasing) and kept above 0.5.

    Args:
        mask: ``(h, w)`` or ``(B, h, w)`` at the resolution of the last scale; 1 = keep the source.
    """
    mask = mask.float().reshape(-1, 1, *mask.shape[-2:])
    masks = []
    for size, tokens in zip(schedule.sizes, schedule.lengths, strict=True):
        keep = F.interpolate(mask, size=size, mode="bilinear").flatten(1) > 0.5
        masks.append(keep | (tokens <= WHOLE_SCALE_TOKENS))
    return masks


class TokenSubstitution:
    """Puts source tokens where the mask keeps them.

    Args:
        tokenizer: embeds the source ids.
        source: ids of the source image per scale, ``[(B or 1, l_k)]``, or bits, ``[(B or 1, l_k,
            n)]``.
        mask: as for :func:`keep_masks`; ``(B, h, w)`` for a mask per image of the run.
    """

    def __init__(
        self, tokenizer: Tokenizer, source: Sequence[Tensor], mask: Tensor, schedule: ScaleSchedule
    ) -> None:
        self.tokenizer, self.source = tokenizer, source
        self.keep = keep_masks(mask.to(source[0].device), schedule)

    def __call__(
        self, scale: int, ids: Tensor, codes: Tensor, images: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        source = _of_images(self.source[scale], images)
        keep = self.kept(scale, images)
        given = self.tokenizer.embed(source)
        whole = keep if ids.ndim == keep.ndim else keep[..., None]  # tokens of several bits
        return torch.where(whole, source, ids), torch.where(keep[..., None], given, codes)

    def kept(self, scale: int, images: Sequence[int]) -> Tensor:
        """Where the source stays, ``(B or 1, l)`` bool."""
        return _of_images(self.keep[scale], images)


class CoarseScales(TokenSubstitution):
    """Puts all source tokens of the first scales in place: what is drawn are the details.

    Args:
        tokenizer, source: as for :class:`TokenSubstitution`.
        scales: how many come from the source.
    """

    def __init__(self, tokenizer: Tokenizer, source: Sequence[Tensor], scales: int) -> None:
        self.tokenizer, self.source = tokenizer, source
        self.keep = [
            torch.full(ids.shape[:2], k < scales, device=ids.device) for k, ids in enumerate(source)
        ]


class LatentBlending:
    """Puts the latent of a source where the mask keeps it, after every scale, the first included.

    Args:
        tokenizer: accumulates the codes of the source.
        source: ids or bits of the source image per scale, as for :class:`TokenSubstitution`.
        mask: ``(h, w)`` or ``(B, h, w)``, 1 = keep the source; resized to latents by nearest.
    """

    @torch.no_grad()
    def __init__(
        self, tokenizer: Tokenizer, source: Sequence[Tensor], mask: Tensor, schedule: ScaleSchedule
    ) -> None:
        device = source[0].device
        self.keep = mask.to(device).float().reshape(-1, 1, *mask.shape[-2:])
        self.source, f_hat = [], tokenizer.new_latent(len(source[0]), schedule, device)
        for scale, ids in enumerate(source):
            f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(ids), scale, schedule)
            self.source.append(f_hat)

    def __call__(self, scale: int, f_hat: Tensor, images: Sequence[int]) -> Tensor:
        keep = F.interpolate(self.keep, size=f_hat.shape[-2:], mode="nearest") > 0.5
        return torch.where(_of_images(keep, images), _of_images(self.source[scale], images), f_hat)


def _of_images(rows: Tensor, images: Sequence[int]) -> Tensor:
    """Row of every image, or the one row that all images share."""
    return rows[list(images)] if rows.shape[0] > 1 else rows
