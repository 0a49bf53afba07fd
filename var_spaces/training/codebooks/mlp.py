"""A perceptron that maps every code by itself."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import nn

from var_spaces.tokenizers.residual_vq import ResidualVQConfig
from var_spaces.training.codebooks.base import CodebookMethod, codebook_method, option
from var_spaces.training.codebooks.quantizer import ProjectedQuantizer, uniform_codes


@codebook_method
@dataclass(frozen=True)
class MlpProjector(CodebookMethod):
    """A baseline of the FVQ paper: shared weights, but codes do not see each other."""

    name, title = "mlp", "Perceptron over each code"
    paper = "https://arxiv.org/abs/2509.10140"

    layers: int = option(5, "linear layers", low=2, high=32)
    width: int = option(0, "hidden channels; 0 takes those of a code", low=0, high=8192)
    spread: float = option(1.0, "raw codes start uniformly in +-spread / V", low=1e-6, high=1e6)

    def quantizer(self, config: ResidualVQConfig) -> ProjectedQuantizer:
        z, width = config.z_channels, self.width or config.z_channels
        sizes = [z, *[width] * (self.layers - 1), z]
        layers: list[nn.Module] = []
        for inner, outer in itertools.pairwise(sizes):
            layers += [nn.Linear(inner, outer), nn.GELU()]
        quantizer = ProjectedQuantizer(config, nn.Sequential(*layers[:-1]))
        uniform_codes(quantizer, self.spread)
        return quantizer
