"""Recipe: train FlexVAR's scalable VQ tokenizer on scenes of the open image set.

The latent is decoded and supervised at its own size and, as published, at random smaller ones
(https://arxiv.org/abs/2502.20313, §3.2), so that the codes of every scale are a picture. Losses:
L1, squared error, L1 of image gradients, codebook and commitment terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.autoencoder import area_pool, initialise
from var_spaces.tokenizers.flex_vq import CosineQuantizer, FlexVQ, FlexVQConfig
from var_spaces.tokenizers.residual_vq import ResidualVQ
from var_spaces.training.codebooks.statistics import CodebookStatistics, move_codes
from var_spaces.training.engine.amounts import Batches, Count, Share, Some, Weight
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import MuonAdamW, matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import Recipe, training_recipe
from var_spaces.training.images.reconstructions import probe_psnr, reconstruction_sheet
from var_spaces.training.images.sources import ImageSource, SceneSource
from var_spaces.training.recipes.flex_start import start_from

Size = tuple[int, int]
FIRST_COUNT = 0.05  # uses per batch that a fresh code is credited with


@dataclass(frozen=True)
class FlexTokenizerConfig:
    """Settings of the scalable tokenizer recipe.

    Args:
        scenes: name of the scene recipe that training images come from.
        start: id of a trained residual tokenizer whose autoencoder to begin with; empty for none.
        freeze: keep the encoder of ``start`` and the codes fitted to it; only the decoder learns.
        l1, mse, gradient, vq: weights of the loss terms.
        scales: random smaller sizes per step at which pictures are supervised too.
        scale_weight: weight of each of them, where the full size has 1.
        fit_images: images, a multiple of 64, whose latents the codebook is fitted to.
        warmup_steps: steps without codebook; none after a start.
        reset_every: steps between resets of dead codes.
        reset_until: share of the run after which codes are left alone, 0..1.
        eval_images: images per evaluation probe.
        usage_images: images over which codebook usage is evaluated, a multiple of 64.
    """

    scenes: str = "wide"
    start: str = ""
    freeze: bool = False
    l1: Weight = 1.0
    mse: Weight = 2.0
    gradient: Weight = 0.5
    vq: Weight = 1.0
    scales: Some = 1
    scale_weight: Weight = 0.5
    fit_images: Batches = 512
    warmup_steps: Some = 60
    reset_every: Count = 50
    reset_until: Share = 0.6
    eval_images: Count = 192
    usage_images: Batches = 2048

    def __post_init__(self) -> None:
        if self.freeze and not self.start:
            raise VarSpacesError("[recipe] freeze needs a start whose encoder can stay as it is.")


@training_recipe
class FlexTokenizerRecipe(Recipe):
    """Trains :class:`FlexVQ`.

    Args:
        source: training images; None draws scenes.
        start: the trained tokenizer to begin with, if any.
    """

    name, title = "flex-tokenizer", "FlexVAR's scalable VQ tokenizer"
    paper = "https://arxiv.org/abs/2502.20313"
    family, role = "flex-vq", "tokenizer"
    settings, network = FlexTokenizerConfig, FlexVQConfig
    takes_images = True

    def __init__(
        self,
        model: FlexVQConfig,
        config: FlexTokenizerConfig,
        seed: int,
        device: torch.device,
        *,
        source: ImageSource | None = None,
        start: ResidualVQ | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, device
        self.model = FlexVQ(model)
        initialise(self.model)
        self.side = self.model.schedule.last[0]
        self.size = self.side * self.model.downsample
        self.source = source or SceneSource(config.scenes, self.size, device)
        self.statistics = CodebookStatistics(model.vocab_size, device)
        self.statistics.counts.fill_(FIRST_COUNT)
        self.model.to(device)
        self.first = -1 if start else config.warmup_steps
        if start:
            start_from(self.model, start.to(device), self.source.batch(seed, 0, 64))
            self._fit_codes(0)
        if config.freeze:
            for part in (self.model.encoder, self.model.quant_conv, self.model.quantize):
                part.requires_grad_(False)

    @classmethod
    def build(cls, plan: Plan) -> FlexTokenizerRecipe:
        config, network = plan.settings, plan.network
        return cls(
            network,
            config,
            plan.seed,
            plan.device,
            source=plan.image_source(network.patch_nums[-1] * network.downsample),
            start=plan.model(config.start, "residual-vq") if config.start else None,
        )

    def card(self) -> dict[str, Any]:
        return {"resolution": self.size, **self.source.describe()}

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        keep = ("embedding",) if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    def before_step(self, step: int, progress: float, optimizer: MuonAdamW) -> None:
        config = self.config
        if step == self.first:
            self._fit_codes(step)
        elif config.freeze or progress >= config.reset_until:
            return
        elif step > self.first and step % config.reset_every == 0:
            dead, vectors = self.statistics.dead(), self._vectors(step, 64)
            pick = torch.randint(len(vectors), (len(dead),), generator=self._generator(step))
            moved = vectors[pick.to(vectors.device)]
            move_codes(self.model.quantize.embedding.weight, dead, moved, optimizer)
            self.statistics.revive(dead)

    def _fit_codes(self, step: int) -> None:
        vectors = self._vectors(step, self.config.fit_images)
        start_codes(self.model.quantize, vectors, self._generator(step))

    def _generator(self, step: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed * 1_000_003 + step)

    @torch.no_grad()
    def _vectors(self, step: int, count: int) -> Tensor:
        """Unit latents ``(N, z)`` of images that all processes draw alike, at all usual scales."""
        starts = range(step * count, (step + 1) * count, 64)
        parts = [self.source.batch(self.seed, start, 64) for start in starts]
        f = torch.cat([self.model.latent(part).float() for part in parts])
        maps = [area_pool(f, size).flatten(2) for size in self.model.schedule.sizes]
        return F.normalize(torch.cat(maps, 2).transpose(1, 2).flatten(0, 1), dim=-1)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        config = self.config
        images = self.source.batch(self.seed, start, count)
        sizes = self.sizes(step)
        pictures, vq, ids = model(images, sizes, quantized=step >= self.first)
        if ids:
            self.statistics.update(ids)
        total = config.vq * vq
        logs = {"vq": vq.detach()}
        for place, picture in enumerate(pictures):
            wanted = images if place == 0 else resized(images, picture.shape[-2:])
            terms = self._terms(picture.float(), wanted)
            weight = 1.0 if place == 0 else config.scale_weight
            total = total + weight * sum(getattr(config, name) * t for name, t in terms.items())
            if place == 0:
                logs |= {name: term.detach() for name, term in terms.items()}
        return total, logs

    @staticmethod
    def _terms(recon: Tensor, images: Tensor) -> dict[str, Tensor]:
        return {
            "l1": F.l1_loss(recon, images),
            "mse": F.mse_loss(recon, images),
            "gradient": sum(F.l1_loss(recon.diff(dim=d), images.diff(dim=d)) for d in (-1, -2)),
        }

    def sizes(self, step: int) -> Sequence[Size]:
        """Maps to decode at a step, the full one first; the same in all processes."""
        generator = torch.Generator().manual_seed(self.seed * 7_368_787 + step)
        some = torch.randint(1, self.side, (self.config.scales,), generator=generator).tolist()
        return [(self.side, self.side), *((side, side) for side in some)]

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """PSNR (dB) on images never trained on, and codebook usage over all usual scales."""
        metrics = probe_psnr(model, self.source, self.config.eval_images)
        hits = torch.zeros(model.vocab_size, dtype=torch.bool, device=self.device)
        name, batches = self.source.usage_probe(self.config.usage_images)
        for images in batches:
            hits[torch.cat([ids.flatten() for ids in model.encode(images)])] = True
        metrics[f"codebook_usage_{name}"] = hits.float().mean().item()
        return metrics

    def sample_grid(self, model: nn.Module) -> Image.Image:
        """Pairs of rows, original above reconstruction, of images never trained on."""
        return reconstruction_sheet(model, self.source)

    def state(self) -> dict[str, Any]:
        return {"counts": self.statistics.counts}

    def load_state(self, state: dict[str, Any]) -> None:
        self.statistics.counts.copy_(state["counts"])


def resized(images: Tensor, size: Size) -> Tensor:
    """Images at another size, bilinear with antialiasing."""
    return F.interpolate(images, size=tuple(size), mode="bilinear", antialias=True)


@torch.no_grad()
def start_codes(
    quantizer: CosineQuantizer, vectors: Tensor, generator: torch.Generator, rounds: int = 8
) -> None:
    """Fill the codebook by spherical k-means of unit latents ``(N, z)``."""
    weight = quantizer.embedding.weight
    pick = torch.randint(len(vectors), (len(weight),), generator=generator).to(vectors.device)
    codes = vectors[pick]
    for _ in range(rounds):
        nearest = torch.cat([(part @ codes.T).argmax(1) for part in vectors.split(16384)])
        sums = torch.zeros_like(codes).index_add_(0, nearest, vectors)
        empty = sums.square().sum(1, keepdim=True) == 0
        codes = torch.where(empty, codes, F.normalize(sums, dim=-1))
    weight.copy_(codes)
