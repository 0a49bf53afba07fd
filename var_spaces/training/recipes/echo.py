"""Recipe: teach a frozen text-to-image transformer to draw the thing of a reference picture.

EchoGen (https://arxiv.org/abs/2509.26127, section 3): only what is added learns. A reference shows
one thing of a scene, from the very same sprite, elsewhere (``training/data/subjects.py``); the
caption names its kind and not how it looks. Words, what the picture shows and how it looks are
dropped independently, so that guidance can tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from var_spaces.adapters.echo_network import EchoNetwork
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.conditioning.packed_encoder import PackedEncoder
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.bitwise import Bitwise
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import unpack
from var_spaces.training.data.captions import CaptionWriter
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.data.subjects import SUBJECT_CAPTIONS, SubjectSampler
from var_spaces.training.engine.amounts import Count, DropPath, Share
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import Recipe, training_recipe
from var_spaces.training.images.pictures import grid
from var_spaces.training.images.text_samples import draw_prompts
from var_spaces.training.losses.bits import bit_losses
from var_spaces.training.losses.self_correction import BitFlips
from var_spaces.training.recipes.bit_steps import BitStepConfig, BitSteps
from var_spaces.training.recipes.text_base import text_base

if TYPE_CHECKING:
    from var_spaces.adapters.echo import Echo
    from var_spaces.adapters.echo_run import Seen

EVAL_SEED = 7_000_029  # never a training seed
BATCH = 32
DEFAULTS = {
    "task": {"name": "subject"},
    "sampling": {"name": "bits", "temperature": 0.7, "top_p": 0.97},
    "guidance": {"name": "conditions", "scale": 2.5, "condition": 2.5},
}


@dataclass(frozen=True)
class EchoTraining(BitStepConfig):
    """Settings of the recipe, beside those of :class:`BitStepConfig`.

    Flips matter here: given true coarse scales a model could read the thing from them and not from
    the reference.

    Args:
        base: id of the frozen text-to-image model.
        start: id of such an adapter, trained on an earlier state of the base, whose weights
            training begins with; empty for none.
        scenes: name of the scene recipe.
        semantic, content, exact_start: of the adapter; see :class:`var_spaces.adapters.echo.Echo`.
        image_encoder: its image encoder.
        text_tokens: word pieces that are read of a caption.
        drop_semantic, drop_content: shares of samples trained without; these and ``drop_text`` are
            each drawn on its own.
        drop_path: share of samples that skip a branch of the image's last block, less in those
            before; published 0.1.
        eval_images: images per validation probe.
        samples: references whose things are drawn.
    """

    base: str = "t2i-bit"
    start: str = ""
    scenes: str = "composed"
    semantic: bool = True
    content: bool = True
    exact_start: bool = True
    image_encoder: str = "clip-trunk"
    text_tokens: Count = 64
    drop_semantic: Share = 0.1
    drop_content: Share = 0.1
    drop_path: DropPath = 0.0
    reweight: bool = True
    eval_images: Count = 128
    samples: Count = 8


class Batch(NamedTuple):
    """Captions, their features, bits ``(B, L, n)``, inputs ``(B, L - 1, n)``, references
    ``(B, 3, S, S)`` in [-1, 1], and what is known of them."""

    captions: list[str]
    text: TextFeatures
    bits: Tensor
    tokens: Tensor
    references: Tensor
    seen: Seen


class Echoing(nn.Module):
    """The frozen base model and what is added to it."""

    def __init__(self, backbone: Infinity, own: EchoNetwork) -> None:
        super().__init__()
        self.backbone, self.own = backbone.requires_grad_(False), own

    @property
    def schedule(self) -> ScaleSchedule:
        return self.backbone.schedule

    def forward(
        self,
        batch: Batch,
        dropped: Tensor | None = None,
        semantic: Tensor | None = None,
        content: Tensor | None = None,
        drop_path: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Logits ``(B, L, n, 2)`` under teacher forcing.

        Args:
            dropped: captions that are not read, ``(B,)`` bool.
            semantic, content: references that are seen in either way, ``(B,)`` bool; None is all.
            drop_path, generator: of the base model.
        """
        from var_spaces.adapters.echo_run import extend

        every = torch.ones(len(batch.text), dtype=torch.bool, device=batch.tokens.device)
        seen = [every if who is None else who for who in (semantic, content)]
        levels = self.backbone.lvl_embed.weight
        return self.backbone(
            batch.text,
            batch.tokens,
            dropped=dropped,
            extend=lambda context: extend(self.own, levels, context, batch.seen, *seen),
            drop_path=drop_path,
            generator=generator,
        )


@training_recipe
class EchoRecipe(Recipe):
    """Trains :class:`EchoNetwork` beside a frozen :class:`Infinity`.

    Args:
        backbone: the frozen base model.
        encoder: the frozen text encoder, on ``device``.
    """

    name, title = "echo", "subject adapter of a text-to-image transformer"
    paper = "https://arxiv.org/abs/2509.26127"
    family, role = "infinity", "generator"
    settings = EchoTraining

    def __init__(
        self,
        tokenizer: Bitwise,
        backbone: Infinity,
        encoder: PackedEncoder,
        config: EchoTraining,
        seed: int,
        device: torch.device,
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, device
        self.tokenizer = tokenizer.to(device).eval().requires_grad_(False)
        self.encoder = encoder
        self.side = tokenizer.schedule.last[0] * tokenizer.downsample
        self.atlas = Atlas.load().to(device)
        self.pairs = SubjectSampler(SceneSampler(self.atlas, recipe(config.scenes)))
        self.writer = CaptionWriter(self.atlas, SUBJECT_CAPTIONS)
        self.adapter = self._adapter()
        own = self.adapter.build(backbone.config).start_from(backbone)
        self.model = Echoing(backbone, own)
        self.steps = BitSteps(backbone.schedule, config, seed, device)

    def _adapter(self) -> Echo:
        """The adapter with the sizes of what it sees."""
        from var_spaces import methods

        config, encoder = self.config, methods.parse("image_encoder", self.config.image_encoder)
        blank = torch.zeros(1, 3, self.side, self.side, device=self.device)
        _, tokens, channels = encoder.load(self.device)(blank).shape
        return methods.parse(
            "adapter",
            {
                "name": "echo",
                "semantic": config.semantic,
                "content": config.content,
                "exact_start": config.exact_start,
                "side": self.side,
                "image_encoder": config.image_encoder,
                "semantic_dim": channels,
                "semantic_tokens": tokens,
                "content_dim": self.tokenizer.bits,
                "content_tokens": (self.side // self.tokenizer.downsample) ** 2,
            },
        )

    @classmethod
    def build(cls, plan: Plan) -> EchoRecipe:
        config = plan.settings
        base = text_base(plan, config.base, config.text_tokens)
        made = cls(*base, config, plan.seed, plan.device)
        plan.begin(made.model.own, config.start)
        return made

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        keep = ("uncond", "gate", "ada_gss") if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model.own, weight_decay=train.weight_decay, keep_adamw=keep)

    @torch.no_grad()
    def batch(
        self,
        pairs: SubjectSampler,
        seed: int,
        start: int,
        count: int,
        flips: BitFlips | None = None,
    ) -> Batch:
        """Pairs ``start .. start + count`` of a stream, captioned and tokenised."""
        drawn = pairs.batch(seed, start, count, self.device)
        written = self.writer.batch(unpack(self.atlas, drawn.scenes.to("cpu")), seed, start)
        captions = [caption.text for caption in written]
        schedule = self.model.schedule
        with torch.autocast(self.device.type, enabled=False):
            latent = self.tokenizer.latent(render(self.atlas, drawn.scenes, self.side))
            bits, latents = self.tokenizer.quantize(latent, schedule, flips)
            tokens = self.tokenizer.inputs(latents, schedule)
            references = render(self.atlas, drawn.references, self.side)
            seen = self.adapter.see(self.tokenizer, references)
        text = TextFeatures.of(self.encoder(captions))
        return Batch(captions, text, torch.cat(bits, dim=1), tokens, references, seen)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        config = self.config
        flips = self.steps.flips(start)
        rates = torch.tensor([config.drop_text, config.drop_semantic, config.drop_content])
        dropped = torch.rand(3, count, generator=flips.generator) < rates[:, None]
        batch = self.batch(self.pairs, self.seed, start, count, flips)
        words, semantic, content = dropped.to(self.device)
        scales = self.steps.scales(step)
        tokens, bits = self.steps.first(scales, batch.tokens, batch.bits)
        seen = batch._replace(tokens=tokens)
        logits = model(seen, words, ~semantic, ~content, config.drop_path, flips.generator)
        return self.steps.loss(logits, bits), {"scales": scales}

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Nats per bit on scenes of unseen (concept, style) pairs: with the reference, with one
        way of it, without it, with that of the next scene, and by the base model."""
        split = replace(recipe(self.config.scenes), split="unseen_pairs")
        pairs = SubjectSampler(SceneSampler(self.atlas, split))
        found: dict[str, list[Tensor]] = {}
        for start in range(0, self.config.eval_images, BATCH):
            count = min(BATCH, self.config.eval_images - start)
            batch = self.batch(pairs, EVAL_SEED, start, count)
            off = torch.zeros(count, dtype=torch.bool, device=self.device)
            logits = {
                "both": model(batch),
                "semantic": model(batch, content=off),
                "content": model(batch, semantic=off),
                "neither": model(batch, semantic=off, content=off),
                "other_reference": model(batch._replace(seen=batch.seen.roll())),
                "base": model.backbone(batch.text, batch.tokens),
            }
            for name, part in logits.items():
                found.setdefault(name, []).append(bit_losses(part, batch.bits))
        return {f"nats_{name}": torch.cat(parts).mean().item() for name, parts in found.items()}

    def sample_grid(self, model: nn.Module) -> Image.Image:
        """References never trained on, what is drawn of them, and what without; fixed seed."""
        from var_spaces.adapters.base import Given, Loaded

        split = replace(recipe(self.config.scenes), split="unseen_pairs")
        pairs = SubjectSampler(SceneSampler(self.atlas, split))
        batch = self.batch(pairs, EVAL_SEED, 0, self.config.samples)
        loaded = Loaded(model.backbone, self.tokenizer, model.own)
        rows: list[list[Tensor]] = [[], []]
        for caption, reference in zip(batch.captions, batch.references.split(1), strict=True):
            for row, pictures in zip(rows, ({"source": reference}, {}), strict=True):
                given = Given(model.schedule, pictures=pictures)
                prepared = self.adapter.prepare(loaded, given)
                options = {"adapter": lambda some, prepared=prepared: prepared}
                parts = (self.tokenizer, model.backbone, self.encoder, [caption], DEFAULTS)
                row.append(draw_prompts(*parts, **options))
        shown = [batch.references.cpu(), *(torch.cat(row) for row in rows)]
        return grid(torch.cat(shown), self.config.samples)

    def finish(self, model: nn.Module) -> nn.Module:
        """What was added alone: the base model is not part of an adapter's folder."""
        return model.own.eval()

    def described(self, model: nn.Module) -> dict[str, Any]:
        from var_spaces.methods import dump

        return {"base": self.config.base, "adapter": dump(self.adapter)}

    def card(self) -> dict[str, Any]:
        return {"defaults": DEFAULTS}
