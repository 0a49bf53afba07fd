"""FVQ: the codebook behind a VQBridge, folded away when the tokenizer is exported."""

from __future__ import annotations

from dataclasses import dataclass

from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.residual_vq import ResidualVQConfig
from var_spaces.tokenizers.vqbridge import SIZES, VARIANTS, VQBridgeConfig, bridge, patch_for
from var_spaces.training.codebooks.base import CodebookMethod, Upkeep, codebook_method, option
from var_spaces.training.codebooks.quantizer import ProjectedQuantizer, uniform_codes


@codebook_method
@dataclass(frozen=True)
class Bridge(CodebookMethod):
    """Compress, process, recover: all codes get a gradient through each other at every step."""

    name, title = "vqbridge", "VQBridge: a small transformer over the whole codebook (FVQ)"
    paper = "https://arxiv.org/abs/2509.10140"

    variant: str = option("vit", "projector", choices=tuple(VARIANTS))
    patch: int = option(0, "side of a token in codes; 0 follows the scaling rule", low=0, high=64)
    width: int = option(0, "channels of a token; 0: those of a code, >= 128", low=0, high=8192)
    depth: int = option(2, "transformer blocks", low=1, high=64)
    heads: int = option(4, "attention heads", low=1, high=64)
    mlp_ratio: float = option(2.0, "width of the hidden layer in widths", low=0.25, high=16)
    entropy: float = option(0.0, "weight of the entropy term; 0 in the paper", low=0, high=100)
    spread: float = option(1.0, "raw codes start uniformly in +-spread / V", low=1e-6, high=1e6)

    def quantizer(self, config: ResidualVQConfig) -> ProjectedQuantizer:
        projector = VQBridgeConfig(
            codes=config.vocab_size,
            channels=config.z_channels,
            patch=self.patch or patch_for(config.vocab_size),
            # Published: as wide as a code of 256 channels, and 128 (size B) for VAR's of 32.
            width=self.width or max(config.z_channels, SIZES["B"]),
            depth=self.depth,
            heads=self.heads,
            mlp_ratio=self.mlp_ratio,
            variant=self.variant,
        )
        quantizer = ProjectedQuantizer(config, bridge(projector), self.entropy)
        uniform_codes(quantizer, self.spread)
        return quantizer

    def upkeep(self, quantizer: ProjectedQuantizer, work: Upkeep) -> None:
        # All codes begin at zero. A decoder whose biases are zero too would hand on nothing but
        # zeros, and group normalisation of zeros has gradients that drown all others.
        if work.start == 0:
            raise VarSpacesError(
                "The codebook method 'vqbridge' begins with all codes at zero, after some steps of "
                "plain autoencoder: set [recipe] warmup_steps to 1 or more, e.g. 10."
            )
