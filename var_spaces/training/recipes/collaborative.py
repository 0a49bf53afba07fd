"""Recipes: a drafter and a refiner that know their scales, CoDe (arXiv 2411.17787, §3.3).

The training code is not published; losses follow the paper, with KL(teacher || student) at
temperature 1 as in the published loss file. Both see ground-truth tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.backbones.var import VAR
from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.residual_vq import ResidualVQ
from var_spaces.training.engine.amounts import Count
from var_spaces.training.engine.optim import MuonAdamW
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import training_recipe
from var_spaces.training.losses.tokens import token_losses
from var_spaces.training.recipes.class_base import ClassTraining, ContinuedRecipe, continued


@dataclass(frozen=True)
class SpecialistConfig(ClassTraining):
    """Settings of both recipes.

    Args:
        start: id of the trained model to continue from.
        drafted: number of first scales that the drafter draws.
        teacher: id of the model that a refiner learns from; a drafter has none.
    """

    start: str = "var-base"
    drafted: Count = 4
    teacher: str = ""


class SpecialistRecipe(ContinuedRecipe):
    """What drafter and refiner share; ``own`` are the positions of the scales it will draw."""

    paper = "https://arxiv.org/abs/2411.17787"
    settings = SpecialistConfig

    def __init__(
        self,
        tokenizer: ResidualVQ,
        config: SpecialistConfig,
        seed: int,
        device: torch.device,
        start: VAR,
    ) -> None:
        super().__init__(tokenizer, config, seed, device, start)
        scales = start.schedule.num_scales
        if not 0 < config.drafted < scales:
            raise VarSpacesError(
                f"drafted is {config.drafted}: of {scales} scales take 1 to {scales - 1}."
            )
        self.split = start.schedule.offsets[config.drafted]
        self.own = slice(0, self.split)

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """As for a plain transformer, and the mean over its own scales on trained pairs."""
        metrics = super().evaluate(model)
        losses, lengths = metrics["nats_trained_pairs_per_scale"], model.schedule.lengths
        per_token = torch.tensor(losses).repeat_interleave(torch.tensor(lengths))
        return {**metrics, "nats_own_scales": per_token[self.own].mean().item()}


@training_recipe
class DrafterRecipe(SpecialistRecipe):
    """Cross-entropy of the first scales only; later ones are not even computed."""

    name, title = "drafter", "VAR that knows the first scales (CoDe)"

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        labels, styles, ids, tokens = self.training_batch(start, count)
        first = self.model.schedule.lengths[0]
        logits = model(labels, tokens[:, : self.split - first], styles)
        smoothing = self.config.label_smoothing
        return token_losses(logits, ids[:, self.own], smoothing).mean(), {}


@training_recipe
class RefinerRecipe(SpecialistRecipe):
    """Distillation of all scales; the weight of the drafted ones falls from 1 to 0.

    Args:
        teacher: a larger model of the same tokens; it stays as it is.
    """

    name, title = "refiner", "VAR that knows the last scales (CoDe)"

    def __init__(self, *args: Any, teacher: VAR) -> None:
        super().__init__(*args)
        self.own = slice(self.split, None)
        self.teacher = teacher.to(self.device).eval().requires_grad_(False)
        self.weight = 1.0

    @classmethod
    def build(cls, plan: Plan) -> RefinerRecipe:
        config = plan.settings
        if not config.teacher:
            raise VarSpacesError("[recipe] teacher is missing: name the model to learn from.")
        return cls(*continued(plan), teacher=plan.model(config.teacher, "var"))

    def before_step(self, step: int, progress: float, optimizer: MuonAdamW) -> None:
        self.weight = 1.0 - progress

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        labels, styles, _, tokens = self.training_batch(start, count)
        with torch.no_grad():
            target = self.teacher(labels, tokens, styles)
        divergence = kl_divergence(target, model(labels, tokens, styles))
        weights = torch.ones(divergence.shape[1], device=self.device)
        weights[: self.split] = self.weight
        return (divergence * weights).mean(), {"weight": self.weight}


def kl_divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """``KL(teacher || student)`` per token in nats, ``(B, L)``, of logits ``(B, L, V)``."""
    student, teacher = student.log_softmax(-1), teacher.log_softmax(-1)
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
