"""How well an edit keeps what was to be kept: PSNR and SSIM with the source outside the mask.

A tokenizer loses some of every picture, so its reconstructions are the most that tokens can keep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from leaderboard import edit_pairs
from leaderboard.metrics.base import Batch, Context
from leaderboard.metrics.edit_done import OPERATIONS
from leaderboard.metrics.grouped import NO_GROUP, Grouped
from var_spaces.methods import register

if TYPE_CHECKING:
    import numpy as np


class EditKept(Grouped):
    """Base class. Edits that may change everything are in no group, so they do not count."""

    better = "higher"
    facts = ("group", "pair")
    groups = OPERATIONS
    measure_of: ClassVar[str]  # function of var_spaces.evaluators.edits

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        from var_spaces.evaluators import edits

        measure: Callable[..., float] = getattr(edits, self.measure_of)
        sources, (_, masks) = edit_pairs.sources(), edit_pairs.truth()
        numbers = [item.facts["pair"] for item in batch.items]
        pairs = zip(numbers, batch.images, strict=True)
        rows = self.with_groups(batch, [measure(image, sources[n], masks[n]) for n, image in pairs])
        rows[[masks[n].all() for n in numbers]] = 0, NO_GROUP
        return rows


@register
class EditKeptPsnr(EditKept):
    """10 log10(255^2 / MSE) in dB, at most 50 per picture; mean over operations."""

    name = "edit-kept-psnr"
    title = "PSNR of what is kept"
    unit = "dB"
    measure_of = "kept_psnr"


@register
class EditKeptSsim(EditKept):
    """Mean of the SSIM map over what is kept; mean over operations."""

    name = "edit-kept-ssim"
    title = "SSIM of what is kept"
    paper = "https://doi.org/10.1109/TIP.2003.819861"
    measure_of = "kept_ssim"
