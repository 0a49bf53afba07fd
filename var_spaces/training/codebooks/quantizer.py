"""The quantiser while it trains: its codes may be a function of raw codes, and it can be folded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.autoencoder import area_pool
from var_spaces.tokenizers.residual_vq import MultiScaleQuantizer, ResidualVQ, ResidualVQConfig
from var_spaces.tokenizers.vqbridge import entropy_loss

MAX_DISTANCES = 1 << 28  # numbers in one block of the distance matrix, 1 GiB


class TrainingQuantizer(MultiScaleQuantizer):
    """A plain quantiser, always in float32: in bfloat16 small codes would tie.

    One scale without ``phi`` (``patch_nums`` of one entry, ``quant_resi = 0``) is a plain VQ-VAE.
    """

    def __init__(self, config: ResidualVQConfig) -> None:
        super().__init__(config)
        self.schedule = ScaleSchedule.square(config.patch_nums)

    def codes(self) -> Tensor:
        """The codes ``(V, z)`` in use; subclasses compute them from raw codes, with gradient."""
        return self.embedding.weight

    def quantize(self, f: Tensor, schedule: ScaleSchedule) -> tuple[list[Tensor], list[Tensor]]:
        with torch.autocast(f.device.type, enabled=False):
            return super().quantize(f.float(), schedule)

    def nearest(self, vectors: Tensor, codebook: Tensor | None = None) -> Tensor:
        """As the plain quantiser, in blocks that bound the memory of large codebooks."""
        nearest = super().nearest
        rows = max(MAX_DISTANCES // len(self.embedding.weight), 1)
        if len(vectors) <= rows:
            return nearest(vectors, codebook)
        return torch.cat([nearest(part, codebook) for part in vectors.split(rows)])

    def start_from(self, codes: Tensor) -> None:
        """Take over trained codes ``(V, z)``, where they can be set at all."""
        self.embedding.weight.copy_(codes)

    def residuals(self, f: Tensor, latents: Sequence[Tensor]) -> list[Tensor]:
        """What every scale had to quantise: vectors ``[(B l_k, z)]``; gradients reach ``f``."""
        before = [torch.zeros_like(f), *(latent.detach() for latent in latents[:-1])]
        maps = [area_pool(f - b, size) for b, size in zip(before, self.schedule.sizes, strict=True)]
        return [y.permute(0, 2, 3, 1).reshape(-1, y.shape[1]) for y in maps]


class ProjectedQuantizer(TrainingQuantizer):
    """Codes are ``projector(raw codes)``, computed once per pass and used at every scale.

    Args:
        projector: module from raw codes ``(V, z)`` to codes ``(V, z)``.
        entropy: weight of :func:`entropy_loss`, averaged over scales.
    """

    def __init__(self, config: ResidualVQConfig, projector: nn.Module, entropy: float = 0) -> None:
        super().__init__(config)
        self.qbridge = projector
        self.entropy = entropy

    def codes(self) -> Tensor:
        with torch.autocast(self.embedding.weight.device.type, enabled=False):
            return self.qbridge(self.embedding.weight)

    def quantize(self, f: Tensor, schedule: ScaleSchedule) -> tuple[list[Tensor], list[Tensor]]:
        # The plain algorithm, with mapped codes in the place of the raw ones.
        return functional_call(self, {"embedding.weight": self.codes()}, (f, schedule))

    def forward(self, f: Tensor, schedule: ScaleSchedule) -> tuple[list[Tensor], list[Tensor]]:
        return super().quantize(f, schedule)

    def start_from(self, codes: Tensor) -> None:
        """No raw codes are known that the projector maps to these."""

    def vq_loss(self, f: Tensor, latents: Sequence[Tensor]) -> Tensor:
        loss = super().vq_loss(f, latents)
        if not self.entropy:
            return loss
        codes = self.codes()
        terms = [entropy_loss(y, codes) for y in self.residuals(f, latents)]
        return loss + self.entropy * torch.stack(terms).mean()


def uniform_codes(quantizer: MultiScaleQuantizer, spread: float = 1.0) -> None:
    """The usual start of a VQ-VAE: codes uniform in ``+-spread / V``."""
    bound = spread / len(quantizer.embedding.weight)
    nn.init.uniform_(quantizer.embedding.weight, -bound, bound)


@torch.no_grad()
def fold(model: ResidualVQ) -> ResidualVQ:
    """A plain tokenizer with the codes of a trained one, for inference.

    Same ids and same images, no projector, and the parameter names of any VAR tokenizer.
    """
    with torch.random.fork_rng(devices=[]):
        plain = ResidualVQ(model.config)
    trained = model.state_dict()
    state = {name: trained[name] for name in plain.state_dict()}
    state["quantize.embedding.weight"] = model.quantize.codes()
    plain.load_state_dict(state)
    return plain.to(model.codebook.device).eval()
