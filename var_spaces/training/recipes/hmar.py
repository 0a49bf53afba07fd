"""Recipe: make a trained VAR into an HMAR (https://arxiv.org/abs/2506.04421, public code).

Two stages, each with a learning rate and a weight average of its own. The first fine-tunes the VAR
to predict the next scale without history, under re-weighted scales. The second copies the last
blocks and the head into the mask branch and trains only that: to predict some tokens of a scale
from the others.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.hmar import HMAR
from var_spaces.backbones.hmar_config import HMARConfig, merge
from var_spaces.backbones.var import VAR
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.residual_vq import ResidualVQ
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.engine.amounts import Count, Share
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.models import read_card
from var_spaces.training.engine.optim import matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import training_recipe
from var_spaces.training.losses.tokens import position_weights, token_losses, var_loss
from var_spaces.training.recipes.class_base import (
    DEFAULTS,
    EVAL_SEED,
    ClassRecipe,
    NetworkConfig,
    parts,
)

ADAMW = ("emb", "pos_", "head.")  # matrices that Muon leaves alone
MASK_RATE = 0.5  # of the validation probe


@dataclass(frozen=True)
class HMARTraining:
    """Settings of the HMAR recipe.

    Args:
        start: id of the VAR to begin with.
        branch: blocks that exist twice.
        masked_share: part of the budget for the second stage, 0..1.
        loss_weights: of scales in the first stage: uniform, equal or lognorm.
        scenes: name of the scene recipe; its classes and styles are those of ``start``.
        tokenizer: id of the frozen tokenizer.
        drop_label, drop_style, eval_images, samples: as for :class:`NetworkConfig`.
    """

    start: str = "var-base"
    branch: Count = 2
    masked_share: Share = 0.4
    loss_weights: str = "lognorm"
    scenes: str = "easy"
    tokenizer: str = "vq-tokenizer"
    drop_label: Share = 0.1
    drop_style: Share = 0.05
    eval_images: Count = 256
    samples: Count = 64


@training_recipe
class HMARRecipe(ClassRecipe):
    """Both stages; ``stage`` is "next-scale" or "masked" and names the folder of the run."""

    name, title = "hmar", "HMAR from a trained VAR"
    paper = "https://arxiv.org/abs/2506.04421"
    family = "hmar"
    settings = HMARTraining

    @classmethod
    def build(cls, plan: Plan) -> HMARRecipe:
        settings = plan.settings
        tokenizer = plan.model(settings.tokenizer, "residual-vq")
        start = plan.model(settings.start, "var")
        recipe = cls(tokenizer, start, settings, plan.seed, plan.device)
        card = read_card(plan.options.models / settings.start)
        if [card["classes"], card["styles"]] != list(recipe.scenes.names()):
            raise VarSpacesError(
                f"The scenes '{settings.scenes}' do not show the classes and styles of "
                f"'{settings.start}': choose the scenes that it was trained on."
            )
        return recipe

    def __init__(
        self,
        tokenizer: ResidualVQ,
        start: VAR,
        settings: HMARTraining,
        seed: int,
        device: torch.device,
    ) -> None:
        super().__init__(tokenizer, _of_var(settings, start.config), seed, device)
        self.settings, self.stage = settings, "next-scale"
        self.budget_share = 1 - settings.masked_share
        self.model = HMAR(HMARConfig.branching(start.config, settings.branch))
        state = start.state_dict()
        masked = state | {"mask_embed.weight": self.model.mask_embed.weight}
        self.model.load_state_dict(merge(state, masked, settings.branch))
        self._freeze(self.model.masked_parameters())
        weights = position_weights(settings.loss_weights, self.model.schedule)
        self.weights = weights.float().to(device)

    def following(self, model: HMAR) -> HMARRecipe | None:
        """The stage after this one, which begins with the averaged weights of this one."""
        if self.stage == "masked":
            return None
        torch.manual_seed(self.seed)
        after = copy.copy(self)
        after.stage, after.budget_share = "masked", self.settings.masked_share
        after.model = copy.deepcopy(model)
        after.model.start_masked_branch()
        trained = {id(parameter) for parameter in after.model.masked_parameters()}
        after.model.requires_grad_(True)
        after._freeze(p for p in after.model.parameters() if id(p) not in trained)
        return after

    @staticmethod
    def _freeze(parameters: Any) -> None:
        for parameter in parameters:
            parameter.requires_grad_(False)

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        keep = ADAMW if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        labels, styles, ids, tokens = self.training_batch(start, count)
        if self.stage == "next-scale":
            return var_loss(model(labels, tokens, styles), ids, weights=self.weights), {}
        generator = torch.Generator().manual_seed(self.seed * 7_368_787 + start)
        rate = torch.rand((), generator=generator).item()
        masked = masked_positions(self.model.schedule, rate, generator).to(self.device)
        return self._masked_loss(model, labels, styles, ids, tokens, masked), {"mask_rate": rate}

    def _masked_loss(
        self,
        model: nn.Module,
        labels: Tensor,
        styles: Tensor,
        ids: Tensor,
        tokens: Tensor,
        masked: Tensor,
    ) -> Tensor:
        """Mean cross-entropy of the positions ``masked (L - l_0,)``."""
        schedule = self.model.schedule
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            own = self.tokenizer.own_inputs(ids.split(schedule.lengths, 1))
        logits = model(labels, tokens, styles, own, masked[None])
        rest = schedule.lengths[0]
        return token_losses(logits[:, rest:][:, masked], ids[:, rest:][:, masked]).mean()

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Nats per token as of a VAR and, in the second stage, with half of the tokens masked."""
        metrics = super().evaluate(model)
        if self.stage == "next-scale":
            return metrics
        generator = torch.Generator().manual_seed(EVAL_SEED)
        masked = masked_positions(self.model.schedule, MASK_RATE, generator).to(self.device)
        for name, split in (("trained_pairs", "train"), ("unseen_pairs", "unseen_pairs")):
            scenes = SceneSampler(self.atlas, replace(self.recipe, split=split))
            losses = [
                self._masked_loss(
                    model, *self.batch(scenes, EVAL_SEED, start, count), masked
                ).item()
                for start, count in parts(self.config.eval_images)
            ]
            metrics[f"nats_half_masked_{name}"] = sum(losses) / len(losses)
        return metrics

    def sample_settings(self) -> dict[str, Any]:
        """How the sample grid is drawn."""
        from var_spaces.cache.none import NoCache
        from var_spaces.decoding.strategies.masked import MaskedDecoding
        from var_spaces.decoding.strategies.plain import PlainDecoding

        plain = self.stage == "next-scale"
        return {"cache": NoCache(), "decoding": PlainDecoding() if plain else MaskedDecoding()}

    def card(self) -> dict[str, Any]:
        return super().card() | {
            "paper": self.paper,
            "defaults": DEFAULTS | {"cache": {"name": "none"}, "decoding": {"name": "masked"}},
        }


def masked_positions(
    schedule: ScaleSchedule, rate: float, generator: torch.Generator | None = None
) -> Tensor:
    """Random positions of all scales but the first, ``(L - l_0,)`` bool: of each scale of *l*
    tokens ``ceil(rate * l)``."""
    parts = []
    for length in schedule.lengths[1:]:
        count = math.ceil(rate * length)
        parts.append(torch.randperm(length, generator=generator) < count)
    return torch.cat(parts)


def _of_var(settings: HMARTraining, start: VARConfig) -> NetworkConfig:
    """The settings of the VAR recipe that fit."""
    sizes = {key: getattr(start, key) for key in ("depth", "width", "heads", "shared_aln")}
    shared = ("tokenizer", "scenes", "drop_label", "drop_style", "eval_images", "samples")
    return NetworkConfig(**sizes, **{key: asdict(settings)[key] for key in shared})
