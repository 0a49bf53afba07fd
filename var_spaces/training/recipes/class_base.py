"""What recipes of class- and style-conditional transformers share: scenes, labels and judgement.

Images are drawn and tokenised on the device as they are needed, so nothing is ever seen twice.
Label dropping follows VAR (https://arxiv.org/abs/2404.02905, §4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.var import VAR
from var_spaces.tokenizers.residual_vq import ResidualVQ
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import SceneBatch
from var_spaces.training.data.recipes import Recipe as SceneRecipe
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.engine.amounts import Count, DropPath, Share
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import Recipe
from var_spaces.training.images.samples import sample_sheet
from var_spaces.training.losses.tokens import loss_per_scale, token_losses

EVAL_SEED = 7_000_003  # never a training seed
DEFAULTS = {
    "sampling": {"name": "top-k-top-p", "top_k": 100, "top_p": 0.95},
    "guidance": {"name": "linear", "scale": 2.5},
}


@dataclass(frozen=True)
class ClassTraining:
    """What all recipes of class-conditional transformers share.

    Args:
        tokenizer: id of the frozen tokenizer.
        scenes: name of the scene recipe; its concepts are the classes, its styles the styles.
        drop_label: share of samples trained without class and style (for guidance), 0..1.
        drop_style: share of samples trained with the class alone, 0..1.
        label_smoothing: 0..1.
        eval_images: images per validation probe.
        samples: images on the sheet of samples, one a class.
    """

    tokenizer: str = "vq-tokenizer"
    scenes: str = "easy"
    drop_label: Share = 0.1
    drop_style: Share = 0.05
    label_smoothing: Share = 0.0
    eval_images: Count = 256
    samples: Count = 64


@dataclass(frozen=True)
class NetworkConfig(ClassTraining):
    """Settings of recipes that make a new network.

    Args:
        depth, width, heads: size of the network.
        shared_aln: share the condition projection between blocks.
        drop_path: stochastic depth of the last block, 0..0.5; grows linearly from 0.
    """

    depth: Count = 6
    width: Count = 256
    heads: Count = 4
    shared_aln: bool = False
    drop_path: DropPath = 0.0


class ClassRecipe(Recipe):
    """Trains a class-conditional transformer.

    Args:
        start: a trained model to continue from; None makes one of the configured size.
    """

    family, role = "var", "generator"

    def __init__(
        self,
        tokenizer: ResidualVQ,
        config: ClassTraining,
        seed: int,
        device: torch.device,
        start: VAR | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, device
        self.tokenizer = tokenizer.to(device).eval().requires_grad_(False)
        self.schedule = tokenizer.schedule
        self.size = self.schedule.last[0] * tokenizer.downsample
        self.atlas = Atlas.load().to(device)
        self.recipe = trained_classes(self.atlas, recipe(config.scenes))
        self.scenes = SceneSampler(self.atlas, self.recipe)
        self.model = start or self._fresh()

    def card(self) -> dict[str, Any]:
        classes, styles = self.scenes.names()
        return {
            "resolution": self.size,
            "tokenizer": self.config.tokenizer,
            "classes": classes,
            "styles": styles,
            "defaults": DEFAULTS,
        }

    def _fresh(self) -> VAR:
        return VAR(VARConfig(**self.sizes()))

    def sizes(self) -> dict[str, Any]:
        """Sizes of a new model, as its configuration names them."""
        config, tokenizer = self.config, self.tokenizer
        return {
            "depth": config.depth,
            "width": config.width,
            "heads": config.heads,
            "vocab_size": tokenizer.vocab_size,
            "latent_dim": tokenizer.latent_dim,
            "num_classes": len(self.scenes.concepts),
            "num_styles": len(self.scenes.styles),
            "patch_nums": tokenizer.config.patch_nums,
            "shared_aln": config.shared_aln,
            "drop_path": config.drop_path,
        }

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        muon = ("emb", "pos_", "head.", "word_embed")
        keep = muon if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    @torch.no_grad()
    def batch(
        self, scenes: SceneSampler, seed: int, start: int, count: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Labels ``(B,)``, styles ``(B,)``, token ids ``(B, L)``, inputs ``(B, L - l_0, z)``."""
        drawn = scenes.batch(seed, start, count, self.device)
        labels, styles = scenes.labels(drawn)
        with torch.autocast(self.device.type, enabled=False):
            ids = self.tokenizer.encode(self.images(drawn, start), self.schedule)
            tokens = self.tokenizer.teacher_forcing(ids, self.schedule)
        return labels, styles, torch.cat(ids, dim=1), tokens

    def images(self, drawn: SceneBatch, start: int) -> Tensor:
        """Pictures of scenes ``start ..`` of a stream, ``(B, 3, H, W)``."""
        return render(self.atlas, drawn, self.size)

    def training_batch(self, start: int, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As :meth:`batch` for images ``start .. start + count``, some without style or class."""
        labels, styles, ids, tokens = self.batch(self.scenes, self.seed, start, count)
        generator = torch.Generator().manual_seed(self.seed * 9_176_263 + start)
        chance = torch.rand(count, generator=generator).to(self.device)
        config = self.config
        labels = torch.where(chance < config.drop_label, self.model.null_label, labels)
        without_style = chance < config.drop_label + config.drop_style
        styles = torch.where(without_style, self.model.null_style, styles)
        return labels, styles, ids, tokens

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Nats per token with the true labels, for trained and for unseen (class, style) pairs."""
        metrics: dict[str, Any] = {}
        for name, split in (("trained_pairs", "train"), ("unseen_pairs", "unseen_pairs")):
            losses = self.losses(model, split)
            metrics[f"nats_{name}"] = losses.mean().item()
            per_scale = loss_per_scale(losses, model.schedule)
            metrics[f"nats_{name}_per_scale"] = [round(x, 4) for x in per_scale]
        return metrics

    @torch.no_grad()
    def losses(self, model: nn.Module, split: str, **routing: Any) -> Tensor:
        """Cross-entropy ``(eval_images, L)`` in nats with the true labels, on held-out seeds.

        Args:
            split: of the (class, style) pairs, "train" or "unseen_pairs".
            routing: further arguments of the model's forward.
        """
        scenes = SceneSampler(self.atlas, replace(self.recipe, split=split))
        losses = []
        for start, count in parts(self.config.eval_images):
            labels, styles, ids, tokens = self.batch(scenes, EVAL_SEED, start, count)
            losses.append(token_losses(model(labels, tokens, styles, **routing), ids))
        return torch.cat(losses)

    def sample_grid(self, model: nn.Module) -> Image.Image:
        """One unselected image per class, styles in turn, fixed seed."""
        labels = range(min(self.config.samples, model.num_classes))
        styles = [label % model.num_styles for label in labels]
        return sample_sheet(self.tokenizer, model, labels, styles, **self.sample_settings())

    def sample_settings(self) -> dict[str, Any]:
        """How the sample grid is drawn, beside the usual."""
        return {}


def parts(images: int) -> list[tuple[int, int]]:
    """Starts and counts of the batches of an evaluation."""
    return [(start, min(64, images - start)) for start in range(0, images, 64)]


def trained_classes(atlas: Atlas, scenes: SceneRecipe) -> SceneRecipe:
    """The same scenes with only the concepts that training shows as classes."""
    seen = SceneSampler(atlas, scenes).pairs[:, 0].unique().tolist()
    names = scenes.concepts or tuple(concept.name for concept in atlas.concepts)
    shown = {atlas.concepts[index].name for index in seen}
    return replace(scenes, concepts=tuple(name for name in names if name in shown))


class ContinuedRecipe(ClassRecipe):
    """Continues from the trained VAR that ``[recipe] start`` names."""

    @classmethod
    def build(cls, plan: Plan) -> ContinuedRecipe:
        return cls(*continued(plan))


def continued(plan: Plan) -> tuple[ResidualVQ, Any, int, torch.device, VAR]:
    """What recipes that continue are made of: tokenizer, settings, seed, device, start."""
    config = plan.settings
    tokenizer = plan.model(config.tokenizer, "residual-vq")
    start = plan.model(config.start, "var").requires_grad_(True)
    return tokenizer, config, plan.seed, plan.device, start
