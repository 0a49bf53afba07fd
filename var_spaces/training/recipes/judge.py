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

from var_spaces.evaluators.judge import Judge, JudgeNetwork, hits
from var_spaces.tokenizers.residual_vq import ResidualVQ
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.engine.amounts import Count, Share
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import Recipe, training_recipe
from var_spaces.training.images.pictures import grid
from var_spaces.training.images.reconstructed import TOKENIZERS

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
    size: tuple[Share, Share] = (0.7, 0.96)
    jitter: Share = 0.06
    reconstructed: Share = 0.5
    eval_images: Count = 640


@training_recipe
class JudgeRecipe(Recipe):
    """Trains :class:`Judge`."""

    name, title = "judge", "classifier of concept and style"
    family, role = "judge", "judge"
    settings = JudgeConfig

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

    @classmethod
    def build(cls, plan: Plan) -> JudgeRecipe:
        tokenizer = plan.model(plan.settings.tokenizer, *TOKENIZERS)
        return cls(tokenizer, plan.settings, plan.seed, plan.device)

    def card(self) -> dict[str, Any]:
        classes, styles = self.scenes.names()
        return {"tokenizer": self.config.tokenizer, "classes": classes, "styles": styles}

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        keep = ("concept", "style") if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

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
