"""Straight-through vector quantisation, as VQ-VAE and VQ-GAN train it."""

from __future__ import annotations

from dataclasses import dataclass

from var_spaces.tokenizers.residual_vq import ResidualVQConfig
from var_spaces.training.codebooks.base import CodebookMethod, codebook_method, option
from var_spaces.training.codebooks.quantizer import TrainingQuantizer, uniform_codes


@codebook_method
@dataclass(frozen=True)
class Vanilla(CodebookMethod):
    """Only chosen codes get a gradient, so most of a large codebook is never used."""

    name, title = "vanilla", "Straight-through estimator, nothing else"
    paper = "https://arxiv.org/abs/1711.00937"

    spread: float = option(1.0, "codes start uniformly in +-spread / V", low=1e-6, high=1e6)

    def quantizer(self, config: ResidualVQConfig) -> TrainingQuantizer:
        quantizer = TrainingQuantizer(config)
        uniform_codes(quantizer, self.spread)
        return quantizer
