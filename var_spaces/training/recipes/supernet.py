"""Recipe: one network whose late scales run at several depths, VARiant (arXiv 2511.16546).

Every iteration is either full (all scales at full depth) or of a sub-network (late scales through
``depth`` blocks, drawn uniformly). The share of sub-network iterations grows in three phases; a
constant share is the baseline that the paper compares with.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from var_spaces.backbones.var import VAR
from var_spaces.depth import sub_network
from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.residual_vq import ResidualVQ
from var_spaces.training.engine.amounts import Count, Share
from var_spaces.training.engine.optim import MuonAdamW
from var_spaces.training.engine.recipe import training_recipe
from var_spaces.training.losses.tokens import loss_per_scale, token_losses
from var_spaces.training.recipes.class_base import ClassTraining, ContinuedRecipe

FIRST_SHARE = 0.2
PHASES = -1.0  # no constant share


@dataclass(frozen=True)
class SupernetConfig(ClassTraining):
    """Settings of the supernet recipe.

    Args:
        start: id of the trained model to continue from.
        bridge: number of first scales that always run at full depth.
        depths: depths of the sub-networks, 2..blocks.
        joint, progressive: ends of the first and the second phase as shares of the run.
        ratio: constant share of sub-network iterations in place of the phases; -1: none.
    """

    start: str = "var-base"
    bridge: Count = 3
    depths: tuple[Count, ...] = (2, 3)
    joint: Share = 0.2
    progressive: Share = 0.8
    ratio: float = PHASES


@training_recipe
class SupernetRecipe(ContinuedRecipe):
    """Trains :class:`VAR` at several depths."""

    name, title = "supernet", "VAR whose late scales run at several depths"
    paper = "https://arxiv.org/abs/2511.16546"
    settings = SupernetConfig

    def __init__(
        self,
        tokenizer: ResidualVQ,
        config: SupernetConfig,
        seed: int,
        device: torch.device,
        start: VAR,
    ) -> None:
        super().__init__(tokenizer, config, seed, device, start)
        self.routes = {depth: sub_network(len(start.blocks), depth) for depth in config.depths}
        if not 0 < config.bridge < start.schedule.num_scales:
            raise VarSpacesError(
                f"bridge is {config.bridge}: of {start.schedule.num_scales} scales take 1 to "
                f"{start.schedule.num_scales - 1}."
            )
        if config.ratio != PHASES and not 0 <= config.ratio <= 1:
            raise VarSpacesError(
                f"ratio is {config.ratio}: a constant share of sub-networks is 0 to 1; without one "
                "there are three phases."
            )
        self.share = 0.0

    def before_step(self, step: int, progress: float, optimizer: MuonAdamW) -> None:
        config = self.config
        self.share = config.ratio
        if config.ratio == PHASES:
            self.share = sub_network_share(progress, config.joint, config.progressive)

    def depth_of(self, step: int) -> int | None:
        """Depth of an iteration, the same on all processes; None is full depth."""
        drawn = random.Random(f"{self.seed} {step}")
        return drawn.choice(self.config.depths) if drawn.random() < self.share else None

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        labels, styles, ids, tokens = self.training_batch(start, count)
        depth = self.depth_of(step)
        logits = model(labels, tokens, styles, self.routes.get(depth), self.config.bridge)
        loss = token_losses(logits, ids, self.config.label_smoothing).mean()
        return loss, {"depth": depth, "share": self.share}

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """As for a plain transformer, and the same on trained pairs for every sub-network."""
        metrics = super().evaluate(model)
        for depth, blocks in self.routes.items():
            losses = self.losses(model, "train", blocks=blocks, bridge=self.config.bridge)
            metrics[f"nats_depth_{depth}"] = losses.mean().item()
            per_scale = loss_per_scale(losses, model.schedule)
            metrics[f"nats_depth_{depth}_per_scale"] = [round(x, 4) for x in per_scale]
        return metrics


def sub_network_share(at: float, joint: float, progressive: float) -> float:
    """Probability of a sub-network iteration at a time, in any unit that the phase ends share.

    0.2 until ``joint``, then linear to 1 at ``progressive``, then 1 (paper: epochs 5 and 20).
    """
    if at < joint:
        return FIRST_SHARE
    if at >= progressive:
        return 1.0
    return FIRST_SHARE + (1 - FIRST_SHARE) * (at - joint) / (progressive - joint)
