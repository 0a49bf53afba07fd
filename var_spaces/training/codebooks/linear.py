"""SimVQ: frozen random codes behind one learned linear map."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from var_spaces.tokenizers.residual_vq import ResidualVQConfig
from var_spaces.training.codebooks.base import CodebookMethod, codebook_method
from var_spaces.training.codebooks.quantizer import ProjectedQuantizer


@codebook_method
@dataclass(frozen=True)
class LinearProjector(CodebookMethod):
    """Every step moves the whole codebook, but only as one linear map can."""

    name, title = "linear", "Linear projector over frozen codes (SimVQ)"
    paper = "https://arxiv.org/abs/2411.02038"

    def quantizer(self, config: ResidualVQConfig) -> ProjectedQuantizer:
        z = config.z_channels
        quantizer = ProjectedQuantizer(config, nn.Linear(z, z))
        nn.init.normal_(quantizer.embedding.weight, std=z**-0.5)
        quantizer.embedding.weight.requires_grad_(False)
        return quantizer
