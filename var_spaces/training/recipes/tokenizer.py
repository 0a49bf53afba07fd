"""Recipe: train a multi-scale residual VQ tokenizer on scenes of the open image set or a folder.

Losses: L1, squared error, L1 of image gradients, the quantiser's codebook and commitment terms
(VAR, https://arxiv.org/abs/2404.02905, §3.2), and if asked for a perceptual and an adversarial one.
How the codebook is kept in use is a method of its own (:mod:`var_spaces.training.codebooks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from var_spaces.errors import VarSpacesError
from var_spaces.ranges import Bounds, Multiple
from var_spaces.tokenizers.autoencoder import initialise
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
from var_spaces.training.codebooks import base as codebooks
from var_spaces.training.codebooks.expansion import continue_from
from var_spaces.training.codebooks.picture import codebook_picture
from var_spaces.training.codebooks.quantizer import fold
from var_spaces.training.codebooks.statistics import CodebookStatistics
from var_spaces.training.codebooks.window import UsageWindow
from var_spaces.training.engine.amounts import Batches, Count, Positive, Share, Some, Weight
from var_spaces.training.engine.annealing import annealing, check_shape
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import MuonAdamW, matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import Recipe, training_recipe
from var_spaces.training.engine.trainer import METRICS
from var_spaces.training.images.reconstructions import (
    probe_psnr,
    reconstruction_sheet,
    shown_scales,
)
from var_spaces.training.images.sources import ImageSource, SceneSource
from var_spaces.training.losses.adversarial import Adversary
from var_spaces.training.losses.perceptual import PerceptualLoss, trunk_loss
from var_spaces.training.recipes.warm_start import take_autoencoder

CODEBOOK_PICTURE = "codebook.png"


@dataclass(frozen=True)
class TokenizerConfig:
    """Settings of the tokenizer recipe.

    Args:
        scenes: name of the scene recipe that training images come from.
        l1, mse, gradient, vq: weights of the loss terms.
        codebook: how the codebook is trained; its parameters stand in [codebook].
        start: id of a trained tokenizer to continue from, e.g. on own images; empty for none.
        autoencoder: id of a trained tokenizer, VQ or bitwise, of which only encoder and decoder are
            taken to begin with; empty for none.
        annealing: "linear" or "cosine" learning annealing of FVQ, which takes the place of [train]
            constant and final_lr; empty follows [train].
        warmup_steps: steps as a plain autoencoder before quantisation starts.
        reset_every: steps between resets of dead codes, for methods that reset any.
        reset_until: share of the run after which codes are left alone, 0..1.
        truncate: share of each batch whose decoder input stops at a random scale, so that early
            scales alone give a readable picture.
        perceptual: id of the evaluator whose features the perceptual loss compares, a judge or a
            CLIP; empty for none.
        perceptual_weight: weight of that loss.
        adversarial: weight of the patch discriminator's loss; 0 for none.
        adversarial_start: steps before the discriminator begins.
        adversarial_lr, adversarial_ch: its peak learning rate, and channels of its first layer.
        eval_images: images per evaluation probe.
        usage_images: images over which codebook usage is evaluated, a multiple of 64.
    """

    scenes: str = "wide"
    l1: Weight = 1.0
    mse: Weight = 2.0
    gradient: Weight = 0.5
    vq: Weight = 1.0
    codebook: str = "resets"
    start: str = ""
    autoencoder: str = ""
    annealing: str = ""
    warmup_steps: Some = 60
    reset_every: Count = 50
    reset_until: Share = 0.6
    truncate: Share = 0.1
    perceptual: str = ""
    perceptual_weight: Weight = 1.0
    adversarial: Weight = 0.0
    adversarial_start: Some = 20_000
    adversarial_lr: Positive = 1e-4
    adversarial_ch: Annotated[int, Bounds(low=8), Multiple(8)] = 64
    eval_images: Count = 192
    usage_images: Batches = 2048

    def __post_init__(self) -> None:
        if self.annealing:
            check_shape(self.annealing)
        if self.start and self.autoencoder:
            raise VarSpacesError("[recipe] start takes all of a tokenizer: leave autoencoder out.")


@training_recipe
class TokenizerRecipe(Recipe):
    """Trains :class:`ResidualVQ`.

    Args:
        method: how the codebook is trained; None builds ``config.codebook`` with its defaults.
        source: training images; None draws scenes.
        start: the trained tokenizer to continue from, if any; then quantisation starts at once.
        autoencoder: the trained tokenizer whose encoder and decoder are taken, if any.
        perceptual: the network of the perceptual loss, if any.
        folder: the run folder, where the picture of the codebook is kept up to date.
    """

    name, title = "tokenizer", "multi-scale residual VQ tokenizer"
    paper = "https://arxiv.org/abs/2404.02905"
    family, role = "residual-vq", "tokenizer"
    settings, network = TokenizerConfig, ResidualVQConfig
    takes_images = True

    def __init__(
        self,
        model: ResidualVQConfig,
        config: TokenizerConfig,
        seed: int,
        device: torch.device,
        *,
        method: codebooks.CodebookMethod | None = None,
        source: ImageSource | None = None,
        start: ResidualVQ | None = None,
        autoencoder: nn.Module | None = None,
        perceptual: PerceptualLoss | None = None,
        folder: Path | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device, self.folder = config, seed, device, folder
        self.method = method or codebooks.get(config.codebook)()
        self.model = ResidualVQ(model)
        initialise(self.model)
        quantizer = self.method.quantizer(model)
        quantizer.quant_resi.load_state_dict(self.model.quantize.quant_resi.state_dict())
        self.model.quantize = quantizer
        self.start = -1 if start else config.warmup_steps
        if start:
            continue_from(self.model, start, seed)
        if autoencoder:
            take_autoencoder(self.model, autoencoder)
        self.size = self.model.schedule.last[0] * self.model.downsample
        self.source = source or SceneSource(config.scenes, self.size, device)
        self.perceptual = perceptual.to(device) if perceptual else None
        self.adversary = (
            Adversary(config.adversarial_lr, config.adversarial_ch, self.size, device)
            if config.adversarial
            else None
        )
        self.statistics = CodebookStatistics(model.vocab_size, device)
        self.window = UsageWindow(model.vocab_size, device)

    @classmethod
    def build(cls, plan: Plan) -> TokenizerRecipe:
        model, config = plan.network, plan.settings
        size, begun_with = model.patch_nums[-1] * model.downsample, config.autoencoder
        return cls(
            model,
            config,
            plan.seed,
            plan.device,
            method=plan.codebook(config.codebook),
            source=plan.image_source(size),
            start=plan.model(config.start, "residual-vq") if config.start else None,
            autoencoder=begun_with and plan.model(begun_with, "residual-vq", "bitwise"),
            perceptual=trunk_loss(plan, config.perceptual) if config.perceptual else None,
            folder=plan.folder,
        )

    def finish(self, model: nn.Module) -> nn.Module:
        return fold(model)

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        self.train = train
        keep = ("embedding", "qbridge") if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    def images(self, start: int, count: int) -> Tensor:
        return self.source.batch(self.seed, start, count)

    def before_step(self, step: int, progress: float, optimizer: MuonAdamW) -> None:
        config = self.config
        self._set_rates(progress, optimizer)
        if step < self.start:
            return
        counted = step > max(self.start, 0)  # before, every code looks dead
        due = counted and step % config.reset_every == 0 and progress < config.reset_until
        work = codebooks.Upkeep(
            step=step,
            start=self.start,
            reset_due=due,
            latents=partial(self._latents_before, step),
            statistics=self.statistics,
            optimizer=optimizer,
            generator=torch.Generator().manual_seed(self.seed * 1_000_003 + step),
        )
        self.method.upkeep(self.model.quantize, work)

    @torch.no_grad()
    def _latents_before(self, step: int) -> Tensor:
        """Latents of images that every process draws alike, so that all make the same change."""
        return self.model.latent(self.images(max(step - 1, 0) * 64, 64))

    def _set_rates(self, progress: float, optimizer: MuonAdamW) -> None:
        """One schedule for all optimisers: FVQ's own, or what the trainer has just set."""
        train, rate = self.train, optimizer.param_groups[0]["lr"]
        if self.config.annealing:
            rate = train.lr * annealing(self.config.annealing, progress, 1.0, warmup=train.warmup)
            for group in optimizer.param_groups:
                group["lr"] = rate
        self.rate = rate
        if self.adversary:
            self.adversary.rate(rate / train.lr)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        config = self.config
        images = self.images(start, count)
        if step < self.start:
            recon, vq, _ = model(images, quantized=False)
            codes = {}
        else:
            all_scales = self.model.schedule.num_scales
            scales = shown_scales(all_scales, config.truncate, self.seed, step, start, count)
            recon, vq, ids = model(images, scales=scales.to(self.device))
            self.statistics.update(ids)
            self.window.update(ids)
            codes = self.window.logs()
        recon = recon.float()
        l1, mse = F.l1_loss(recon, images), F.mse_loss(recon, images)
        gradient = sum(F.l1_loss(recon.diff(dim=d), images.diff(dim=d)) for d in (-1, -2))
        total = config.l1 * l1 + config.mse * mse + config.gradient * gradient + config.vq * vq
        logs = {"l1": l1.detach(), "mse": mse.detach(), "vq": vq.detach(), "lr": self.rate}
        if self.perceptual:
            distance = self.perceptual(recon, images)
            total = total + config.perceptual_weight * distance
            logs["perceptual"] = distance.detach()
        if self.adversary and step >= config.adversarial_start:
            logs["discriminator"] = self.adversary.learn(images, recon)
            fooled = self.adversary.judge(recon)
            total = total + config.adversarial * fooled
            logs["adversarial"] = fooled.detach()
        return total, logs | codes

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """PSNR (dB, mean over images) on images that are never trained on, and codebook usage."""
        metrics = probe_psnr(model, self.source, self.config.eval_images)
        hits = torch.zeros(model.vocab_size, dtype=torch.bool, device=self.device)
        name, batches = self.source.usage_probe(self.config.usage_images)
        for images in batches:
            hits[torch.cat([i.flatten() for i in model.encode(images)])] = True
        metrics[f"codebook_usage_{name}"] = hits.float().mean().item()
        return metrics

    @torch.no_grad()
    def sample_grid(self, model: nn.Module) -> Image.Image:
        """Pairs of rows, original above reconstruction, of images never trained on.

        The picture of the codebook is drawn beside it, into the run folder.
        """
        if self.folder:
            picture = codebook_picture(self.window, self.folder / METRICS)
            picture.save(self.folder / CODEBOOK_PICTURE)
        return reconstruction_sheet(model, self.source)

    def card(self) -> dict[str, Any]:
        """What the model's card says about its size and data."""
        return {"resolution": self.size, **self.source.describe()}

    def state(self) -> dict[str, Any]:
        state = {"counts": self.statistics.counts, "window": self.window.state()}
        return state | ({"adversary": self.adversary.state()} if self.adversary else {})

    def load_state(self, state: dict[str, Any]) -> None:
        self.statistics.counts.copy_(state["counts"])
        if "window" in state:  # runs of before the window begin with an empty one
            self.window.load_state(state["window"])
        if self.adversary and "adversary" in state:
            self.adversary.load_state(state["adversary"])
