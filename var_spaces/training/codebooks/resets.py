"""Codes start as latents, and codes that are hardly used are moved to where latents are."""

from __future__ import annotations

from dataclasses import dataclass

from var_spaces.training.codebooks.base import CodebookMethod, Upkeep, codebook_method
from var_spaces.training.codebooks.quantizer import TrainingQuantizer
from var_spaces.training.codebooks.statistics import initialise_codebook, reset_dead_codes


@codebook_method
@dataclass(frozen=True)
class Resets(CodebookMethod):
    """Straight-through gradients plus random restarts (Jukebox, §3.1)."""

    name, title = "resets", "Codes from latents; dead codes are restarted"
    paper = "https://arxiv.org/abs/2005.00341"

    def upkeep(self, quantizer: TrainingQuantizer, work: Upkeep) -> None:
        if work.first:
            initialise_codebook(quantizer, work.latents(), work.generator)
        elif work.reset_due:
            reset_dead_codes(
                quantizer, work.latents(), work.statistics, work.optimizer, work.generator
            )
