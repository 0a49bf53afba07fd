"""Recipe: train the bitwise tokenizer of Infinity on scenes of the open image set.

Losses: L1, squared error, L1 of image gradients, commitment of the latent to its bits, and the
entropy term of binary spherical quantisation (https://arxiv.org/abs/2406.07548), which wants bits
decided and used equally often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from var_spaces.tokenizers.autoencoder import initialise
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig
from var_spaces.training.engine.amounts import Batches, Count, Positive, Share, Weight
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import Recipe, training_recipe
from var_spaces.training.images.reconstructions import (
    probe_psnr,
    reconstruction_sheet,
    shown_scales,
)
from var_spaces.training.images.sources import ImageSource, SceneSource
from var_spaces.training.recipes.warm_start import take_autoencoder


@dataclass(frozen=True)
class BitwiseTraining:
    """Settings of the bitwise tokenizer recipe.

    Args:
        scenes: name of the scene recipe that training images come from.
        start: id of a trained tokenizer, VQ or bitwise, whose autoencoder training begins with;
            empty for none.
        l1, mse, gradient, commitment, entropy: weights of the loss terms.
        temperature: of the soft bits in the entropy term.
        truncate: share of each batch whose decoder input stops at a random scale, so that early
            scales alone give a readable picture.
        eval_images: images per evaluation probe.
        usage_images: images over which the balance of bits is evaluated, a multiple of 64.
    """

    scenes: str = "wide"
    start: str = ""
    l1: Weight = 1.0
    mse: Weight = 2.0
    gradient: Weight = 0.5
    commitment: Weight = 0.25
    entropy: Weight = 0.02
    temperature: Positive = 0.1
    truncate: Share = 0.1
    eval_images: Count = 192
    usage_images: Batches = 512


@training_recipe
class BitwiseRecipe(Recipe):
    """Trains :class:`Bitwise`."""

    name, title = "bitwise", "bitwise tokenizer of Infinity"
    paper = "https://arxiv.org/abs/2412.04431"
    family, role = "bitwise", "tokenizer"
    settings, network = BitwiseTraining, BitwiseConfig
    takes_images = True

    def __init__(
        self,
        model: BitwiseConfig,
        config: BitwiseTraining,
        seed: int,
        device: torch.device,
        source: ImageSource | None = None,
        start: nn.Module | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, device
        self.model = Bitwise(model)
        initialise(self.model)
        if start is not None:
            take_autoencoder(self.model, start)
        self.size = self.model.schedule.last[0] * self.model.downsample
        self.source = source or SceneSource(config.scenes, self.size, device)

    @classmethod
    def build(cls, plan: Plan) -> BitwiseRecipe:
        config, network = plan.settings, plan.network
        start = plan.model(config.start, "residual-vq", "bitwise") if config.start else None
        size = network.patch_nums[-1] * network.downsample
        source = plan.image_source(size)
        return cls(network, config, plan.seed, plan.device, source, start)

    def card(self) -> dict[str, Any]:
        return {"resolution": self.size, **self.source.describe()}

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        keep = () if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        config = self.config
        images = self.source.batch(self.seed, start, count)
        all_scales = self.model.schedule.num_scales
        scales = shown_scales(all_scales, config.truncate, self.seed, step, start, count)
        recon, commitment, entropy, bits = model(images, scales.to(self.device), config.temperature)
        recon = recon.float()
        terms = {
            "l1": F.l1_loss(recon, images),
            "mse": F.mse_loss(recon, images),
            "gradient": sum(F.l1_loss(recon.diff(dim=d), images.diff(dim=d)) for d in (-1, -2)),
            "commitment": commitment,
            "entropy": entropy,
        }
        total = sum(getattr(config, name) * term for name, term in terms.items())
        logs = {name: term.detach() for name, term in terms.items()}
        return total, logs | {"bit_balance": balance(bits)}

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """PSNR (dB, mean over images) on images never trained on, and how evenly bits are used."""
        metrics = probe_psnr(model, self.source, self.config.eval_images)
        name, batches = self.source.usage_probe(self.config.usage_images)
        bits = [torch.cat(model.encode(images), 1) for images in batches]
        metrics[f"bit_balance_{name}"] = balance(bits).item()
        return metrics

    @torch.no_grad()
    def sample_grid(self, model: nn.Module) -> Image.Image:
        """Pairs of rows, original above reconstruction, of images never trained on."""
        return reconstruction_sheet(model, self.source)


def balance(bits: list[Tensor]) -> Tensor:
    """Mean entropy of the bits of a token in bits per bit, 0..1; 1 if each is set half the time."""
    flat = torch.cat([part.flatten(0, 1) for part in bits]).float()
    p = flat.mean(0).clamp(1e-6, 1 - 1e-6)
    return -(p * p.log2() + (1 - p) * (1 - p).log2()).mean()
