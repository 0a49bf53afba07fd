"""First stage of a text model with a refiner: learn from captions alone which word is whose.

Pictures say this only slowly: a model that sees pairs of things draws both, each somewhere, long
before it draws them where they were asked for. A caption and what it says of each of its words cost
no picture, so the refiner learns it in minutes (:mod:`var_spaces.training.data.word_tags`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.backbones.text_refiner import TextRefiner
from var_spaces.conditioning.packed_encoder import PackedEncoder
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import unpack
from var_spaces.training.data.captions import CaptionWriter
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.data.word_tags import TAGS, token_tags
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import matrix_groups
from var_spaces.training.engine.recipe import Recipe

EVAL_SEED = 7_000_033  # never a training seed
SPREAD = 0.02  # of the first weights of what the refiner adds
MODEST = 0.15  # weight of the size of what it adds, in squares of what is there


class Captioned(Protocol):
    """What this stage needs of the recipe of a text model, which follows."""

    model: Infinity
    encoder: PackedEncoder
    atlas: Atlas
    scenes: SceneSampler
    writer: CaptionWriter
    seed: int
    budget_share: float


class WordTags(nn.Module):
    """A refiner, and a linear layer that reads the tags of every token from what it gives."""

    def __init__(self, refiner: TextRefiner) -> None:
        super().__init__()
        self.refiner = refiner
        self.norm = nn.RMSNorm(refiner.leave.out_features, eps=1e-6)
        self.head = nn.Linear(refiner.leave.out_features, sum(TAGS.values()))

    def forward(self, text: TextFeatures) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Refined features ``(tokens, E)`` and logits ``(tokens, values)`` of each of ``TAGS``."""
        refined = self.refiner(text).packed
        return refined, self.head(self.norm(refined)).split(list(TAGS.values()), dim=-1)


class TextReaderStage(Recipe):
    """Trains the refiner of a text model; what follows trains all of it.

    Args:
        text: the recipe of the text model, whose scenes, captions and refiner it takes.
        share: of the budget, 0..1.
    """

    stage, compiles = "reader", False

    def __init__(self, text: Captioned, share: float) -> None:
        self.text, self.budget_share, self.seed = text, share, text.seed
        refiner = text.model.text_refiner
        nn.init.normal_(refiner.leave.weight, std=SPREAD)
        self.model = WordTags(refiner)

    def try_out(self, stages: Sequence[Any]) -> None:
        self.text.try_out(stages)

    def following(self, model: WordTags) -> Captioned:
        """The text model, with the averaged weights of the refiner."""
        self.text.model.text_refiner.load_state_dict(model.refiner.state_dict())
        self.text.budget_share = 1 - self.budget_share
        return self.text

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        keep = ("head", "enter.") if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    @torch.no_grad()
    def batch(self, seed: int, start: int, count: int) -> tuple[TextFeatures, Tensor, Tensor]:
        """Features of captions, numbers ``(n,)`` of tokens and their tags ``(n, tags)``."""
        atlas, encoder = self.text.atlas, self.text.encoder
        scenes = unpack(atlas, self.text.scenes.batch(seed, start, count).to("cpu"))
        written = self.text.writer.written(scenes, seed, start)
        texts = [one.caption.text for one in written]
        text = TextFeatures.of(encoder(texts))
        read = encoder.tokenizer(
            texts, truncation=True, max_length=encoder.max_length, return_offsets_mapping=True
        )
        tokens, tags, before = [], [], 0
        for one, offsets in zip(written, read["offset_mapping"], strict=True):
            for number, tag in token_tags(one, offsets):
                tokens.append(before + number)
                tags.append(tag)
            before += len(offsets)
        device = text.packed.device
        return text, torch.tensor(tokens, device=device), torch.tensor(tags, device=device)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        text, tokens, tags = self.batch(self.seed, start, count)
        refined, logits = model(text)
        # What the text model already knows of the features must still be found there.
        added = (refined - text.packed).square().sum() / text.packed.square().sum()
        terms = [F.cross_entropy(x[tokens], tags[:, i]) for i, x in enumerate(logits)]
        return torch.stack(terms).sum() + MODEST * added, {"added": added.detach()}

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Share (0..1) of tokens whose tag is right, among those of which the caption says it."""
        text, tokens, tags = self.batch(EVAL_SEED, 0, 256)
        metrics = {}
        for number, (name, logits) in enumerate(zip(TAGS, model(text)[1], strict=True)):
            said = tags[:, number] > 0
            right = logits[tokens].argmax(-1) == tags[:, number]
            metrics[f"reads_{name}"] = right[said].float().mean().item()
        return metrics

    def sample_grid(self, model: nn.Module) -> None:
        """Nothing: this stage draws no pictures."""
