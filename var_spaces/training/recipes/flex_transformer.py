"""Recipe: train FlexVAR on scenes of the open image set, each step on another schedule.

As published (https://arxiv.org/abs/2502.20313) schedules are random, so that one model draws any
size in any number of steps. Ours: some steps show pictures of other shapes, scenes that were
continued by their background, so that objects keep their proportions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.backbones.flexvar import FlexVAR
from var_spaces.backbones.flexvar_config import FlexVARConfig
from var_spaces.backbones.var import VAR
from var_spaces.ranges import Bounds
from var_spaces.tokenizers.flex_vq import FlexVQ
from var_spaces.training.data.batch import SceneBatch
from var_spaces.training.data.render import render
from var_spaces.training.engine.amounts import Count, Share
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import training_recipe
from var_spaces.training.losses.tokens import token_losses
from var_spaces.training.recipes.class_base import ClassRecipe, NetworkConfig
from var_spaces.training.recipes.flex_schedules import RandomSchedules
from var_spaces.training.recipes.flex_start import start_transformer

DEFAULTS = {
    "sampling": {"name": "flexvar", "top_k": 100, "top_p": 0.95, "max_side": 1024, "drawn": []},
    "guidance": {"name": "flexvar", "scale": 2.5, "max_side": 1024},
}


@dataclass(frozen=True)
class FlexTransformerConfig(NetworkConfig):
    """Settings of the FlexVAR recipe, beside those of :class:`NetworkConfig`.

    Args:
        start: id of a trained VAR on the tokenizer that the scalable one began with; empty: none.
        fit_images: images from which the output layer is fitted after a start.
        pos_grid: rows and columns of the grid of positions.
        usual_share, middle, late, budget, keep_last, stretch, aspect: of the random schedules, see
            :class:`RandomSchedules`.
    """

    tokenizer: str = "flex-tokenizer"
    start: str = ""
    fit_images: Count = 128
    pos_grid: Count = 32
    usual_share: Share = 0.05
    middle: tuple[int, int, int] = (3, 10, 5)
    late: tuple[int, int, int] = (11, 15, 2)
    budget: Count = 680
    keep_last: bool = True
    stretch: Share = 0.5
    aspect: Annotated[float, Bounds(low=1)] = 2.0


@training_recipe
class FlexTransformerRecipe(ClassRecipe):
    """Trains :class:`FlexVAR`.

    Args:
        start: the trained VAR to begin with, if any.
    """

    name, title = "flex-transformer", "FlexVAR, for any size in any number of steps"
    paper = "https://arxiv.org/abs/2502.20313"
    family = "flexvar"
    settings = FlexTransformerConfig

    def __init__(
        self,
        tokenizer: FlexVQ,
        config: FlexTransformerConfig,
        seed: int,
        device: torch.device,
        start: VAR | None = None,
    ) -> None:
        super().__init__(tokenizer, config, seed, device)
        self.schedules = RandomSchedules(
            usual=tokenizer.config.patch_nums,
            usual_share=config.usual_share,
            middle=config.middle,
            late=config.late,
            budget=config.budget,
            keep_last=config.keep_last,
            stretch=config.stretch,
            aspect=config.aspect,
        )
        self.model.to(device)
        if start:
            batch = self.batch(self.scenes, seed, 0, config.fit_images)
            start_transformer(self.model, start.to(device), self.tokenizer, *batch)

    @classmethod
    def build(cls, plan: Plan) -> FlexTransformerRecipe:
        config = plan.settings
        tokenizer = plan.model(config.tokenizer, "flex-vq")
        start = plan.model(config.start, "var") if config.start else None
        return cls(tokenizer, config, plan.seed, plan.device, start)

    def _fresh(self) -> FlexVAR:
        return FlexVAR(FlexVARConfig(**self.sizes(), pos_grid=self.config.pos_grid))

    def card(self) -> dict[str, Any]:
        return super().card() | {"defaults": DEFAULTS}

    def images(self, drawn: SceneBatch, start: int) -> Tensor:
        """As for VAR, in the shape of the last map of the current schedule."""
        height, width = (side * self.tokenizer.downsample for side in self.schedule.last)
        return continued(render(self.atlas, drawn, min(height, width)), height, width, start)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        usual = self.schedule
        self.schedule = self.schedules.draw(random.Random(f"{self.seed} {step}"))
        try:
            labels, styles, ids, tokens = self.training_batch(start, count)
            logits = model(labels, tokens, styles, schedule=self.schedule)
        finally:
            self.schedule = usual
        return token_losses(logits, ids, self.config.label_smoothing).mean(), {}


def continued(images: Tensor, height: int, width: int, seed: int) -> Tensor:
    """Square images as part of larger ones, placed at random; the rim repeats the outermost pixels.

    Scenes have plain backgrounds there, so this is a larger scene.

    Args:
        images: ``(B, 3, S, S)`` with ``S = min(height, width)``.
    """
    down, across = height - images.shape[-2], width - images.shape[-1]
    if not down and not across:
        return images
    generator = random.Random(f"place {seed}")
    top, left = generator.randint(0, down), generator.randint(0, across)
    return F.pad(images, (left, across - left, top, down - top), mode="replicate")
