"""Recipe: train CLIP (https://arxiv.org/abs/2103.00020) on captioned scenes.

First the image tower alone learns to name what a scene holds (cross-entropy), then both towers are
aligned on captions, in groups of scenes that share background and style. Without either, background
and layout are all that a small budget teaches.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from var_spaces.conditioning.packed_encoder import MINILM, PackedEncoder, load_minilm
from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.clip_network import Clip, ClipConfig
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import SceneBatch, unpack
from var_spaces.training.data.captions import Caption, CaptionWriter
from var_spaces.training.data.clip_batches import GroupedScenes, truth
from var_spaces.training.data.palette import BACKGROUNDS, HUES
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.data.tables import SLOTS
from var_spaces.training.data.words import article
from var_spaces.training.engine.amounts import Count, Share, Weight
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import MuonAdamW, matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import Recipe, training_recipe
from var_spaces.training.images.pictures import grid
from var_spaces.training.images.reconstructed import TOKENIZERS, soften

EVAL_SEED = 7_000_013  # never a training seed
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
NOTES = """open_clip loads this folder by itself:

```python
import open_clip

folder = "local-dir:assets/evaluators/clip"
model, _, preprocess = open_clip.create_model_and_transforms(folder)
tokenizer = open_clip.get_tokenizer(folder)
features = model.eval().encode_image(preprocess(picture)[None])
words = model.encode_text(tokenizer(["a red apple on a blue background"]))
```

The word pieces are those of the pruned MiniLM in `assets/models/minilm`. It knows drawings of the
scenes it was trained on; its scores say nothing about photographs and compare with no other CLIP's.
"""


@dataclass(frozen=True)
class ClipTraining:
    """Settings of the recipe.

    Args:
        scenes: name of the scene recipe.
        tokenizers: ids of tokenizers whose reconstructions it also sees.
        reconstructed: share of training images that pass through a tokenizer, 0..1, once captions
            are read.
        group: scenes per group that share background and style; divides the batch.
        naming: share of the run in which the image tower learns names alone, 0..1.
        naming_weight: weight of naming afterwards.
        eval_images: scenes per evaluation.
    """

    scenes: str = "composed"
    tokenizers: tuple[str, ...] = ("vq-tokenizer",)
    reconstructed: Share = 0.25
    group: Count = 16
    naming: Share = 0.4
    naming_weight: Weight = 0.25
    eval_images: Count = 256

    def __post_init__(self) -> None:
        self.check_whole(self.eval_images, "[recipe] eval_images")

    def check_whole(self, count: int, what: str) -> None:
        """Refuse a number of scenes that is not one of whole groups."""
        if count % self.group:
            raise VarSpacesError(
                f"{what} = {count} must be a multiple of [recipe] group, which is {self.group}: "
                "change one of them."
            )


class NamingClip(nn.Module):
    """CLIP with linear heads on its image features; the heads are for training only."""

    def __init__(self, config: ClipConfig, names: dict[str, int]) -> None:
        super().__init__()
        self.clip = Clip(config)
        heads = {name: nn.Linear(config.embed_dim, count) for name, count in names.items()}
        self.heads = nn.ModuleDict(heads)

    def forward(self, images: Tensor, ids: Tensor | None) -> tuple[dict, Tensor | None]:
        """Logits per kind of name, and of every text (rows) for every image (columns)."""
        features = self.clip.encode_image(images)
        named = {name: head(features) for name, head in self.heads.items()}
        if ids is None:
            return named, None
        texts = F.normalize(self.clip.encode_text(ids), dim=1)
        return named, self.clip.scale() * texts @ F.normalize(features, dim=1).T


@training_recipe
class ClipRecipe(Recipe):
    """Trains :class:`NamingClip`.

    Args:
        tokenizers: frozen image tokenizers, as named in ``config``.
        encoder: the embedded text encoder, whose word pieces and embeddings CLIP starts from.
    """

    name, title = "clip", "CLIP on captioned scenes"
    paper = "https://arxiv.org/abs/2103.00020"
    family, role = "clip", "evaluator"
    settings, network = ClipTraining, ClipConfig

    def __init__(
        self,
        network: ClipConfig,
        tokenizers: list[nn.Module],
        encoder: PackedEncoder,
        config: ClipTraining,
        train: TrainConfig,
        device: torch.device,
    ) -> None:
        torch.manual_seed(train.seed)
        self.config, self.seed, self.device = config, train.seed, device
        self.tokenizers = [t.to(device).eval().requires_grad_(False) for t in tokenizers]
        self.words = encoder.tokenizer
        self.atlas = Atlas.load().to(device)
        self.scenes = SceneSampler(self.atlas, recipe(config.scenes))
        self.groups = GroupedScenes(self.atlas, recipe(config.scenes), config.group)
        self.writer = CaptionWriter(self.atlas)
        self.naming = True
        network = replace(network, vocabulary=len(self.words), end=self.words.sep_token_id)
        concepts, styles = len(self.scenes.concepts), len(self.scenes.styles)
        names = {"concept": concepts, "style": styles, "background": len(BACKGROUNDS)}
        names |= {"tint": len(HUES) + 1, "count": SLOTS}
        self.model = NamingClip(network, names)
        table = encoder.model.get_input_embeddings().weight.detach().float().cpu()
        start_from(self.model.clip.token_embedding, table)

    @classmethod
    def build(cls, plan: Plan) -> ClipRecipe:
        config = plan.settings
        tokenizers = [plan.model(name, *TOKENIZERS) for name in config.tokenizers]
        return cls(plan.network, tokenizers, load_minilm(), config, plan.train, plan.device)

    def check_batch(self, size: int) -> None:
        self.config.check_whole(size, "[train] batch_size / processes")

    def finish(self, model: NamingClip) -> Clip:
        """What open_clip knows of it."""
        return model.clip.eval()

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        # Orthogonalising the square matrices of the pooling would cost more than all the rest.
        muon = ("heads", "attnpool", "positional_embedding", "token_embedding", "text_projection")
        keep = muon if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    def before_step(self, step: int, progress: float, optimizer: MuonAdamW) -> None:
        self.naming = progress < self.config.naming

    def captions(self, drawn: SceneBatch, seed: int, start: int) -> list[Caption]:
        return self.writer.batch(unpack(self.atlas, drawn.to("cpu")), seed, start)

    def ids(self, texts: list[str]) -> Tensor:
        """Word pieces ``(B, L)``, padded to the longest."""
        context = self.model.clip.config.context
        found = self.words(
            texts, padding=True, truncation=True, max_length=context, return_tensors="pt"
        )
        return found["input_ids"].to(self.device)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        drawn = self.groups.batch(self.seed, start, count, self.device)
        images = render(self.atlas, drawn)
        if self.naming:
            named, _ = model(images, None)
            return self.naming_loss(named, drawn), {}
        images = soften(images, self.tokenizers, self.config.reconstructed, step)
        captions = self.captions(drawn, self.seed, start)
        named, logits = model(images, self.ids([caption.text for caption in captions]))
        aligned = contrastive(logits, truth(drawn, captions))
        loss = aligned + self.config.naming_weight * self.naming_loss(named, drawn)
        return loss, {"contrastive": aligned.detach()}

    def naming_loss(self, named: dict[str, Tensor], drawn: SceneBatch) -> Tensor:
        """Cross-entropy with what the scenes hold, all things of a scene in equal parts."""
        used = drawn.concept >= 0
        classes, styles = self.scenes.slot_labels(drawn)
        wanted = {
            "concept": shares(classes, used, named["concept"].shape[1]),
            "style": shares(styles, used, named["style"].shape[1]),
            "tint": shares(drawn.tint + 1, used, named["tint"].shape[1]),
            "background": drawn.background[:, 0],
            "count": used.sum(1) - 1,
        }
        return sum(F.cross_entropy(named[kind].float(), wanted[kind]) for kind in named)

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Retrieval among scenes that share background and style, and naming by prompts."""
        clip = getattr(model, "clip", model)
        drawn = self.groups.batch(EVAL_SEED, 0, self.config.eval_images, self.device)
        captions = self.captions(drawn, EVAL_SEED, 0)
        texts = self.ids([caption.text for caption in captions])
        true = truth(drawn, captions)
        metrics = {}
        soft = self.tokenizers[0].reconstruct if self.tokenizers else None
        for kind, change in (("real", None), ("reconstructed", soft)):
            if kind == "reconstructed" and change is None:
                continue
            images = render(self.atlas, drawn)
            cosines = cosine(clip, change(images) if change else images, texts)
            size = self.config.group
            right = [
                true[at, at].gather(1, cosines[at, at].argmax(1, keepdim=True))
                for at in (slice(i, i + size) for i in range(0, len(true), size))
            ]
            metrics[f"caption_to_image_of_{size}_alike_{kind}"] = mean(torch.cat(right))
            best = true.T.gather(1, cosines.T.argmax(1, keepdim=True))
            metrics[f"image_to_caption_of_{len(true)}_{kind}"] = mean(best)
            metrics[f"cosine_matched_{kind}"] = cosines.diagonal().mean().item()
            metrics[f"cosine_shuffled_{kind}"] = cosines.roll(1, 0).diagonal().mean().item()
        return metrics | self.naming_by_prompt(clip)

    def naming_by_prompt(self, clip: Clip) -> dict[str, float]:
        """Accuracy of the best of the prompts "a picture of a <concept>", one object a scene."""
        names = [self.atlas.concepts[i].name for i in self.scenes.concepts.tolist()]
        texts = self.ids([f"a picture of {article(name)}" for name in names])
        metrics = {}
        for split in ("train", "unseen_pairs"):
            alone = replace(recipe(self.config.scenes), counts=(1.0, 0.0, 0.0), split=split)
            scenes = SceneSampler(self.atlas, replace(alone, tint=0.0))
            drawn = scenes.batch(EVAL_SEED, 0, self.config.eval_images, self.device)
            best = cosine(clip, render(self.atlas, drawn), texts).argmax(0)
            metrics[f"concept_of_{len(names)}_{split}"] = mean(best == scenes.labels(drawn)[0])
        return metrics

    @torch.no_grad()
    def sample_grid(self, model: nn.Module) -> Image.Image:
        """What it looks at: two groups of scenes that share background and style."""
        drawn = self.groups.batch(EVAL_SEED, 0, 2 * self.config.group, self.device)
        return grid(render(self.atlas, drawn), columns=self.config.group)

    def card(self) -> dict[str, Any]:
        return {"tokenizers": list(self.config.tokenizers), "notes": NOTES}

    def files(self) -> dict[str, bytes]:
        """What open_clip needs beside the weights."""
        config = json.dumps(self.model.clip.config.open_clip(), indent=2) + "\n"
        found = {name: (MINILM / name).read_bytes() for name in TOKENIZER_FILES}
        return {"open_clip_config.json": config.encode(), **found}


@torch.no_grad()
def start_from(embedding: nn.Embedding, table: Tensor, std: float = 0.02) -> None:
    """Word pieces start from another model's ``table`` (V, E), on its main directions.

    So pieces that no caption uses still stand near those that mean about the same.
    """
    centred = table - table.mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)  # smallest first
    projected = centred @ directions[:, -embedding.embedding_dim :]
    embedding.weight.copy_(projected * (std / projected.std()))


def contrastive(logits: Tensor, true: Tensor) -> Tensor:
    """Both cross-entropies of ``(texts, images)`` logits; several answers may be right."""
    answers = true.float()
    rows = F.cross_entropy(logits.float(), answers / answers.sum(1, keepdim=True))
    columns = F.cross_entropy(logits.float().T, (answers / answers.sum(0, keepdim=True)).T)
    return (rows + columns) / 2


def shares(ids: Tensor, used: Tensor, count: int) -> Tensor:
    """Labels ``(B, K)`` of the used slots as a distribution ``(B, count)``."""
    marks = F.one_hot(ids.clamp(min=0), count) * used[..., None]
    return marks.sum(1) / used.sum(1, keepdim=True)


def cosine(clip: Clip, images: Tensor, texts: Tensor) -> Tensor:
    """Cosines ``(texts, images)``."""
    features = torch.cat([clip.encode_image(part) for part in images.split(64)])
    words = torch.cat([clip.encode_text(part) for part in texts.split(64)])
    return F.normalize(words, dim=1) @ F.normalize(features, dim=1).T


def mean(hits: Tensor) -> float:
    return hits.float().mean().item()
