"""Recipe: the scene parser, which checks whether a picture shows what its prompt said.

It is trained on real scenes of all (concept, style) pairs and, once it can read them, on
reconstructions of every tokenizer too, so that it does not take softness for a mistake. Its
accuracy on scenes it never saw and on their reconstructions is the ceiling for generated pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from var_spaces.evaluators.claims import POSITIONS
from var_spaces.evaluators.parser_network import NONE, PLACES, Labels, Parser, ParserConfig
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import SceneBatch
from var_spaces.training.data.palette import BACKGROUNDS, HUES, INKS
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.engine.amounts import Count, Share
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import MuonAdamW, matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import Recipe, training_recipe
from var_spaces.training.images.pictures import grid
from var_spaces.training.images.reconstructed import TOKENIZERS, soften

EVAL_SEED = 7_000_017  # never a training seed
USUAL_INK = next(iter(INKS))
# Tints and inks by name. Black ink is what an ink drawing has of its own.
COLOURS = (*HUES, *(ink for ink in INKS if ink not in HUES and ink != USUAL_INK))
_ANCHORS = torch.tensor(list(POSITIONS.values())) / 4 + 0.25
NOTES = """It covers the scene recipe named above: one large thing in the middle, or two or three
small ones at the corners and the middle, on plain backgrounds or vertical gradients. Things
anywhere else are read as if they stood at the nearest of these places. "Reconstructed" is its
accuracy on the same scenes after a tokenizer, the ceiling for generators of that tokenizer.
"""


@dataclass(frozen=True)
class ParserTraining:
    """Settings of the recipe.

    Args:
        scenes: name of the scene recipe.
        tokenizers: ids of tokenizers whose reconstructions it also sees.
        reconstructed: share of training images that pass through a tokenizer, 0..1, in the later
            part of the run.
        sharp: share of the run that shows real scenes only, 0..1.
        width, layers, hidden, looks: sizes of the network, see :class:`ParserConfig`.
        eval_images: scenes per evaluation.
    """

    scenes: str = "composed"
    tokenizers: tuple[str, ...] = ("vq-tokenizer", "bit-tokenizer")
    reconstructed: Share = 0.25
    sharp: Share = 0.4
    width: Count = 24
    layers: tuple[Count, Count, Count] = (1, 1, 1)
    hidden: Count = 256
    looks: Count = 1
    eval_images: Count = 512


@training_recipe
class ParserRecipe(Recipe):
    """Trains :class:`Parser`.

    Args:
        tokenizers: frozen image tokenizers, as named in ``config``.
    """

    name, title = "parser", "scene parser that checks pictures"
    family, role = "parser", "evaluator"
    settings = ParserTraining

    def __init__(
        self,
        tokenizers: list[nn.Module],
        config: ParserTraining,
        seed: int,
        device: torch.device,
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, device
        self.tokenizers = [t.to(device).eval().requires_grad_(False) for t in tokenizers]
        self.atlas = Atlas.load().to(device)
        self.scenes = SceneSampler(self.atlas, replace(recipe(config.scenes), split="all"))
        self.share = 0.0
        self.model = Parser(
            ParserConfig(
                concepts=len(self.scenes.concepts),
                styles=len(self.scenes.styles),
                colours=len(COLOURS),
                backgrounds=len(BACKGROUNDS),
                width=config.width,
                layers=config.layers,
                hidden=config.hidden,
                looks=config.looks,
            )
        )

    @classmethod
    def build(cls, plan: Plan) -> ParserRecipe:
        tokenizers = [plan.model(name, *TOKENIZERS) for name in plan.settings.tokenizers]
        return cls(tokenizers, plan.settings, plan.seed, plan.device)

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        heads = ("concept", "style", "colour", "background", "where", "slot")
        keep = heads if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    def before_step(self, step: int, progress: float, optimizer: MuonAdamW) -> None:
        self.share = self.config.reconstructed if progress >= self.config.sharp else 0.0

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        drawn = self.scenes.batch(self.seed, start, count, self.device)
        images = soften(render(self.atlas, drawn), self.tokenizers, self.share, step)
        losses = parser_losses(model(images), truth(self.scenes, drawn))
        return sum(losses.values()), {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Accuracy (0..1) on real scenes and on their reconstructions: the ceilings."""
        kinds = {"real": None} | dict(zip(self.config.tokenizers, self.tokenizers, strict=True))
        found: dict[str, list[dict]] = {kind: [] for kind in kinds}
        for start in range(0, self.config.eval_images, 64):
            drawn = self.scenes.batch(EVAL_SEED, start, 64, self.device)
            images, right = render(self.atlas, drawn), truth(self.scenes, drawn)
            for kind, tokenizer in kinds.items():
                shown = tokenizer.reconstruct(images) if tokenizer else images
                found[kind].append(hits(model(shown), right))
        return {
            f"{what}_{'real' if kind == 'real' else f'reconstructed_by_{kind}'}": torch.cat(
                [part[what] for part in parts]
            )
            .float()
            .mean()
            .item()
            for kind, parts in found.items()
            for what in parts[0]
        }

    @torch.no_grad()
    def sample_grid(self, model: nn.Module) -> Image.Image:
        """What it looks at: real scenes above their reconstructions."""
        images = render(self.atlas, self.scenes.batch(EVAL_SEED, 0, 16, self.device))
        rows = [images, *(tokenizer.reconstruct(images) for tokenizer in self.tokenizers)]
        return grid(torch.cat(rows), columns=16)

    def card(self) -> dict[str, Any]:
        concepts, styles = self.scenes.names()
        return {
            "tokenizers": list(self.config.tokenizers),
            "concepts": concepts,
            "styles": styles,
            "colours": list(COLOURS),
            "backgrounds": list(BACKGROUNDS),
            "places": list(PLACES),
            "notes": NOTES,
        }


def parser_losses(logits: Labels, right: Labels) -> dict[str, Tensor]:
    """Cross-entropies; style and colour count where there is a thing."""
    used = right.concept != NONE
    masks = {"concept": ..., "style": used, "colour": used, "background": ...}
    return {
        name: F.cross_entropy(
            getattr(logits, name)[mask].flatten(0, -2).float(), getattr(right, name)[mask].flatten()
        )
        for name, mask in masks.items()
    }


def truth(scenes: SceneSampler, drawn: SceneBatch) -> Labels:
    """Ids of what stands at every place of the scenes; style and colour are 0 at empty places."""
    concepts, styles = scenes.slot_labels(drawn)
    used = concepts >= 0
    centres = torch.stack([drawn.cx, drawn.cy], -1)
    far = (centres[:, :, None] - _ANCHORS.to(centres.device)).square().sum(-1)
    # An empty slot writes into a place beyond the last, which is cut off.
    place = torch.where(used, far.argmin(-1), len(PLACES))
    empty = place.new_zeros(len(place), len(PLACES) + 1)

    def placed(ids: Tensor) -> Tensor:
        return empty.scatter(1, place, ids)[:, : len(PLACES)]

    return Labels(placed(concepts + 1), placed(styles), placed(colour_ids(drawn)), drawn.background)


def colour_ids(drawn: SceneBatch) -> Tensor:
    """(B, K): 0 for a thing's own colours, else 1 + position in ``COLOURS``."""
    names = list(INKS)
    table = torch.tensor([COLOURS.index(n) + 1 if n in COLOURS else 0 for n in names])
    inks = torch.tensor(list(INKS.values()), dtype=torch.float32, device=drawn.ink.device)
    nearest = (drawn.ink[:, :, None] - inks).abs().sum(-1).argmin(-1)
    inked = drawn.ink[..., 0] >= 0
    return torch.where(inked, table.to(nearest.device)[nearest], drawn.tint + 1)


def hits(logits: Labels, right: Labels) -> dict[str, Tensor]:
    """Whether (bool) each thing, and each scene as a whole, is read right."""
    found = Labels(*(part.argmax(-1) for part in logits))
    used = right.concept != NONE
    same = Labels(*(a == b for a, b in zip(found, right, strict=True)))
    scene = (same.concept & (same.style & same.colour | ~used)).all(1) & same.background.all(1)
    return {
        "concept": same.concept[used],
        "style": same.style[used],
        "colour": same.colour[used],
        "count": (found.concept != NONE).sum(1) == used.sum(1),
        "places": ((found.concept != NONE) == used).all(1),
        "background": same.background.all(1),
        "whole_scene": scene,
    }
