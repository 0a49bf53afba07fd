"""Recipe: a classifier that names concept and style of a picture, apart from any generator.

It is trained on real sprites of every pair, half of them as the tokenizer reconstructs them, so
that it does not mistake the tokenizer's softness for a wrong concept. Its accuracy on real pictures
and on reconstructions is the ceiling for generated ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from var_spaces.tokenizers.autoencoder import Encoder, NetworkSizes, initialise
from var_spaces.tokenizers.residual_vq import ResidualVQ
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import MuonAdamW, matrix_groups
from var_spaces.training.images.pictures import grid

EVAL_SEED = 7_000_005  # never a training seed


@dataclass(frozen=True)
class JudgeConfig:
    """Settings of the judge.

    Args:
        tokenizer: id of the tokenizer whose reconstructions it also sees.
        scenes: scene recipe that defines concepts and styles.
        size: range of object sizes it learns to accept, shares of the side.
        jitter: largest shift of the object, share of the side.
        reconstructed: share of training images that pass through the tokenizer, 0..1.
        eval_images: real images per evaluation.
    """

    tokenizer: str = "vq-tokenizer"
    scenes: str = "easy"
    size: tuple[float, float] = (0.7, 0.96)
    jitter: float = 0.06
    reconstructed: float = 0.5
    eval_images: int = 640


@dataclass(frozen=True)
class JudgeNetwork:
    """Sizes of the judge.

    Args:
        concepts, styles: number of labels of each kind.
        ch, ch_mult, width: widths of the convolutional trunk and of its output.
        stem_patch: pixels per side that the trunk's first layer reads at once.
    """

    concepts: int
    styles: int
    ch: int = 64
    ch_mult: tuple[int, ...] = (1, 2)
    width: int = 192
    stem_patch: int = 4


class Judge(nn.Module):
    """Convolutional classifier: images ``(B, 3, H, W)`` in [-1, 1] to concept and style logits."""

    def __init__(self, config: JudgeNetwork) -> None:
        super().__init__()
        self.config = config
        sizes = NetworkSizes.of(config, num_res_blocks=1, z_channels=config.width, norm_groups=16)
        self.trunk = Encoder(sizes)
        self.concept = nn.Linear(config.width, config.concepts)
        self.style = nn.Linear(config.width, config.styles)
        initialise(self)

    def features(self, images: Tensor) -> Tensor:
        """Pooled features ``(B, width)``."""
        return self.trunk(images).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)
        return self.concept(features), self.style(features)


class JudgeRecipe:
    """Trains :class:`Judge`; see :class:`var_spaces.training.engine.trainer.Recipe`."""

    def __init__(
        self, tokenizer: ResidualVQ, config: JudgeConfig, seed: int, device: torch.device
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, device
        self.tokenizer = tokenizer.to(device).eval().requires_grad_(False)
        self.atlas = Atlas.load().to(device)
        self.easy = replace(recipe(config.scenes), split="all")
        looser = replace(self.easy, size=config.size, jitter=config.jitter)
        self.scenes = SceneSampler(self.atlas, looser)
        self.model = Judge(JudgeNetwork(len(self.scenes.concepts), len(self.scenes.styles)))

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        keep = ("concept", "style") if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    def before_step(self, step: int, progress: float, optimizer: MuonAdamW) -> None:
        """Nothing changes between steps."""

    @torch.no_grad()
    def batch(self, scenes: SceneSampler, seed: int, start: int, count: int) -> tuple[Tensor, ...]:
        drawn = scenes.batch(seed, start, count, self.device)
        return render(self.atlas, drawn), *scenes.labels(drawn)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        images, concepts, styles = self.batch(self.scenes, self.seed, start, count)
        soft = round(count * self.config.reconstructed)
        if soft:
            with torch.no_grad():
                images[:soft] = self.tokenizer.reconstruct(images[:soft])
        by_concept, by_style = model(images)
        loss = F.cross_entropy(by_concept, concepts, label_smoothing=0.05)
        loss = loss + F.cross_entropy(by_style, styles, label_smoothing=0.05)
        return loss, {}

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Accuracy (0..1) on real pictures and on their reconstructions: the ceilings."""
        scenes = SceneSampler(self.atlas, self.easy)
        real, soft = [], []
        for start in range(0, self.config.eval_images, 64):
            images, concepts, styles = self.batch(scenes, EVAL_SEED, start, 64)
            real.append(hits(model, images, concepts, styles))
            soft.append(hits(model, self.tokenizer.reconstruct(images), concepts, styles))
        return {
            f"{what}_accuracy_{kind}": value
            for kind, parts in (("real", real), ("reconstructed", soft))
            for what, value in zip(
                ("concept", "style"), torch.cat(parts).float().mean(0).tolist(), strict=True
            )
        }

    @torch.no_grad()
    def sample_grid(self, model: nn.Module) -> Image.Image:
        """What it looks at: real pictures above their reconstructions."""
        images, _, _ = self.batch(self.scenes, EVAL_SEED, 0, 32)
        return grid(torch.cat([images, self.tokenizer.reconstruct(images)]), columns=16)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing beside the network needs to be kept."""


@torch.no_grad()
def hits(model: nn.Module, images: Tensor, concepts: Tensor, styles: Tensor) -> Tensor:
    """Whether concept and style are named right, ``(B, 2)`` bool."""
    by_concept, by_style = model(images)
    return torch.stack([by_concept.argmax(1) == concepts, by_style.argmax(1) == styles], 1)
