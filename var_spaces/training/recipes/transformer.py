"""Recipe: train a class- and style-conditional VAR on scenes of the open image set.

The loss follows VAR (https://arxiv.org/abs/2404.02905, §4).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from var_spaces.backbones.var import VAR
from var_spaces.tokenizers.residual_vq import ResidualVQ
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import training_recipe
from var_spaces.training.losses.prefixes import PrefixConfig, Prefixes
from var_spaces.training.losses.tokens import token_losses
from var_spaces.training.recipes.class_base import ClassRecipe, NetworkConfig
from var_spaces.training.recipes.warm_start import take_matching


@dataclass(frozen=True)
class TransformerConfig(NetworkConfig, PrefixConfig):
    """Settings of the transformer recipe, beside those of :class:`NetworkConfig` and
    :class:`PrefixConfig`.

    Args:
        start: id of a trained model whose weights training begins with, where names and shapes are
            the same; empty for none.
    """

    start: str = ""


@training_recipe
class TransformerRecipe(ClassRecipe):
    """Trains :class:`VAR`.

    Args:
        start: a trained model whose weights are taken where they fit.
    """

    name, title = "transformer", "class-conditional next-scale transformer"
    paper = "https://arxiv.org/abs/2404.02905"
    settings = TransformerConfig
    changing = tuple(field.name for field in fields(PrefixConfig))

    def __init__(
        self,
        tokenizer: ResidualVQ,
        config: TransformerConfig,
        seed: int,
        device: torch.device,
        start: VAR | None = None,
    ) -> None:
        super().__init__(tokenizer, config, seed, device)
        if start is not None:
            hint = "give both the same depth, width and heads"
            take_matching(self.model, start.state_dict(), "class-conditional model", hint)
        self.widen(config)

    def widen(self, config: TransformerConfig) -> None:
        self.config = config
        self.prefixes = Prefixes(self.schedule, config)

    @classmethod
    def build(cls, plan: Plan) -> TransformerRecipe:
        config = plan.settings
        tokenizer = plan.model(config.tokenizer, "residual-vq")
        start = plan.model(config.start, "var") if config.start else None
        return cls(tokenizer, config, plan.seed, plan.device, start)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        labels, styles, ids, tokens = self.training_batch(start, count)
        scales = self.prefixes.draw(self.seed, step)
        tokens, ids = self.prefixes.first(scales, tokens, ids)
        logits = model(labels, tokens, styles)
        return token_losses(logits, ids, self.config.label_smoothing).mean(), {"scales": scales}
