"""Codes as moving averages of the vectors that chose them, with restarts of dead codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.residual_vq import ResidualVQConfig
from var_spaces.training.codebooks.base import CodebookMethod, Upkeep, codebook_method, option
from var_spaces.training.codebooks.quantizer import TrainingQuantizer
from var_spaces.training.codebooks.statistics import initialise_codebook, reset_dead_codes


class AveragingQuantizer(TrainingQuantizer):
    """Counts, while it trains, which vectors chose which code. Codes get no gradient."""

    def __init__(self, config: ResidualVQConfig) -> None:
        super().__init__(config)
        self.embedding.weight.requires_grad_(False)
        for name in ("hits", "mean_hits"):
            self.register_buffer(name, torch.zeros(config.vocab_size))
        for name in ("sums", "mean_sums"):
            self.register_buffer(name, torch.zeros(config.vocab_size, config.z_channels))

    def quantize(self, f: Tensor, schedule: ScaleSchedule) -> tuple[list[Tensor], list[Tensor]]:
        ids, latents = super().quantize(f, schedule)
        if self.training and torch.is_grad_enabled():
            self._count(f.detach().float(), ids, latents)
        return ids, latents

    @torch.no_grad()
    def _count(self, f: Tensor, ids: list[Tensor], latents: list[Tensor]) -> None:
        vectors = torch.cat(self.residuals(f, latents))
        chosen = torch.cat([i.flatten() for i in ids])
        self.hits.index_add_(0, chosen, torch.ones_like(vectors[:, 0]))
        self.sums.index_add_(0, chosen, vectors)

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Take what was counted into the moving averages, and the codes from them."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(self.hits)
            torch.distributed.all_reduce(self.sums)
        self.mean_hits.lerp_(self.hits, 1 - decay)
        self.mean_sums.lerp_(self.sums, 1 - decay)
        self.hits.zero_()
        self.sums.zero_()
        # A code that was not chosen for long has no mean to speak of and stays where it is.
        alive = self.mean_hits > 1e-5
        means = self.mean_sums / self.mean_hits.clamp_min(1e-5)[:, None]
        self.embedding.weight.copy_(torch.where(alive[:, None], means, self.embedding.weight))

    @torch.no_grad()
    def forget(self, moved: Tensor) -> None:
        """Restart the averages of codes that were put elsewhere: as if chosen once, there."""
        self.mean_hits[moved] = 1.0
        self.mean_sums[moved] = self.embedding.weight[moved]


@codebook_method
@dataclass(frozen=True)
class MovingAverages(CodebookMethod):
    """Moving-average codes (VQ-VAE-2, appendix A.1) with the restarts of ``resets``."""

    name, title = "ema", "Moving averages of the chosen latents; dead codes are restarted"
    paper = "https://arxiv.org/abs/1906.00446"

    decay: float = option(0.99, "of the moving averages", low=0, high=0.99999)

    def quantizer(self, config: ResidualVQConfig) -> AveragingQuantizer:
        return AveragingQuantizer(config)

    def upkeep(self, quantizer: AveragingQuantizer, work: Upkeep) -> None:
        if work.first:
            initialise_codebook(quantizer, work.latents(), work.generator)
            quantizer.forget(torch.arange(len(quantizer.embedding.weight)))
            return
        quantizer.average(self.decay)
        if work.reset_due:
            before = quantizer.embedding.weight.clone()
            reset_dead_codes(
                quantizer, work.latents(), work.statistics, work.optimizer, work.generator
            )
            moved = (quantizer.embedding.weight != before).any(1)
            quantizer.forget(moved.nonzero().squeeze(1))
