"""Recipe: train a multi-scale residual VQ tokenizer on scenes of the open image set.

Losses: L1, squared error, L1 of image gradients, and the quantiser's codebook and commitment
terms (VAR, https://arxiv.org/abs/2404.02905, §3.2). Dead codes are reset early in a run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from var_spaces.tokenizers.autoencoder import initialise
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
from var_spaces.training.codebook import (
    CodebookStatistics,
    initialise_codebook,
    reset_dead_codes,
)
from var_spaces.training.config import TrainConfig
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.optim import MuonAdamW, matrix_groups
from var_spaces.training.pictures import grid

EVAL_SEED = 7_000_001  # never a training seed
# Scenes of sprites that training never shows: concepts held out, and for the easy subset pairs.
PROBES = {"wide": "unseen_concepts", "wide_single": "unseen_concepts", "easy": "unseen_pairs"}


@dataclass(frozen=True)
class TokenizerConfig:
    """Settings of the tokenizer recipe.

    Args:
        scenes: name of the scene recipe that training images come from.
        l1, mse, gradient, vq: weights of the loss terms.
        warmup_steps: steps as a plain autoencoder before the codebook is initialised.
        reset_every: steps between resets of dead codes.
        reset_until: share of the run after which codes are left alone, 0..1.
        truncate: share of each batch whose decoder input stops at a random scale, so that early
            scales alone give a readable picture.
        eval_images: images per evaluation probe.
    """

    scenes: str = "wide"
    l1: float = 1.0
    mse: float = 2.0
    gradient: float = 0.5
    vq: float = 1.0
    warmup_steps: int = 60
    reset_every: int = 50
    reset_until: float = 0.6
    truncate: float = 0.1
    eval_images: int = 192


class TokenizerRecipe:
    """Trains :class:`ResidualVQ`; see :class:`var_spaces.training.trainer.Recipe`."""

    def __init__(
        self, model: ResidualVQConfig, config: TokenizerConfig, seed: int, device: torch.device
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, device
        self.model = ResidualVQ(model)
        initialise(self.model)
        self.atlas = Atlas.load().to(device)
        self.scenes = SceneSampler(self.atlas, recipe(config.scenes))
        self.statistics = CodebookStatistics(model.vocab_size, device)
        self.step = 0

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        keep = ("embedding",) if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    def images(self, start: int, count: int) -> Tensor:
        return render(self.atlas, self.scenes.batch(self.seed, start, count, self.device))

    def before_step(self, step: int, progress: float, optimizer: MuonAdamW) -> None:
        config = self.config
        first = step == config.warmup_steps
        due = step > config.warmup_steps and step % config.reset_every == 0
        if not first and not (due and progress < config.reset_until):
            return
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        # Every process draws the same images here, so that all make the same change.
        with torch.no_grad():
            f = self.model.latent(self.images(max(step - 1, 0) * 64, 64))
        if first:
            initialise_codebook(self.model.quantize, f, generator)
        else:
            reset_dead_codes(self.model.quantize, f, self.statistics, optimizer, generator)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        config = self.config
        images = self.images(start, count)
        if step < config.warmup_steps:
            recon, vq, ids = model(images, quantized=False)
        else:
            recon, vq, ids = model(images, scales=self._scales(step, start, count))
            self.statistics.update(ids)
        recon = recon.float()
        l1, mse = F.l1_loss(recon, images), F.mse_loss(recon, images)
        gradient = sum(F.l1_loss(recon.diff(dim=d), images.diff(dim=d)) for d in (-1, -2))
        total = config.l1 * l1 + config.mse * mse + config.gradient * gradient + config.vq * vq
        logs = {"l1": l1.detach(), "mse": mse.detach(), "vq": vq.detach()}
        if ids:
            logs |= {"usage": self.statistics.usage, "perplexity": self.statistics.perplexity}
        return total, logs

    def _scales(self, step: int, start: int, count: int) -> Tensor:
        """How many scales the decoder sees, ``(B,)``; all of them for most images."""
        generator = torch.Generator().manual_seed(self.seed * 7_368_787 + start + step)
        total = self.model.schedule.num_scales
        cut = torch.rand(count, generator=generator) < self.config.truncate
        some = torch.randint(1, total + 1, (count,), generator=generator)
        return torch.where(cut, some, total).to(self.device)

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """PSNR (dB, mean over images) on scenes of sprites that are never trained on."""
        metrics: dict[str, float] = {}
        for probe in PROBES:
            images = self._probe(probe, self.config.eval_images)
            recon = torch.cat([model.reconstruct(part) for part in images.split(32)])
            metrics[f"psnr_unseen_{probe}"] = psnr(recon, images).mean().item()
        hits = torch.zeros(model.vocab_size, dtype=torch.bool, device=self.device)
        for index in range(8):
            start = index * 64
            images = render(self.atlas, self.scenes.batch(EVAL_SEED + 1, start, 64, self.device))
            hits[torch.cat([i.flatten() for i in model.encode(images)])] = True
        metrics["codebook_usage_512_images"] = hits.float().mean().item()
        return metrics

    def _probe(self, probe: str, count: int) -> Tensor:
        sampler = SceneSampler(self.atlas, replace(recipe(probe), split=PROBES[probe]))
        return render(self.atlas, sampler.batch(EVAL_SEED, 0, count, self.device))

    @torch.no_grad()
    def sample_grid(self, model: nn.Module) -> Image.Image:
        """Pairs of rows, original above reconstruction, of unseen sprites."""
        rows = []
        for probe in PROBES:
            images = self._probe(probe, 16)
            rows += [images, model.reconstruct(images)]
        return grid(torch.cat(rows), columns=16)

    def state(self) -> dict[str, Any]:
        return {"counts": self.statistics.counts}

    def load_state(self, state: dict[str, Any]) -> None:
        self.statistics.counts.copy_(state["counts"])


def psnr(images: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio per image in dB, ``(B,)``; inputs ``(B, 3, H, W)`` in [-1, 1]."""
    mse = (images.clamp(-1, 1).float() - reference.float()).square().flatten(1).mean(1)
    return 10 * torch.log10(4 / mse.clamp_min(1e-10))
