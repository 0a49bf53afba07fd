"""Recipe: teach a text-to-image transformer to edit by instruction (VAREdit, arXiv 2508.15772).

All weights go on from those of the text model; source pictures are seen as the adapter
``scale-aligned-reference`` shows them. Pairs are drawn as they are needed, so nothing is ever seen
twice. Beside VAREdit's recipe the source is left out at times, so that guidance can compare with
that, after InstructPix2Pix (https://arxiv.org/abs/2211.09800).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from var_spaces.adapters.source_reference import (
    SourceReference,
    aligned_positions,
    source_reference,
    source_tokens,
)
from var_spaces.backbones.infinity import Infinity, TextContext
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.conditioning.packed_encoder import PackedEncoder
from var_spaces.tokenizers.bitwise import Bitwise
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.edits import SPLITS, WEIGHTS, Edit, EditSampler, render_edits
from var_spaces.training.data.recipes import recipe
from var_spaces.training.engine.amounts import Count, Share, Weight
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.models import read_card
from var_spaces.training.engine.optim import matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import Recipe, training_recipe
from var_spaces.training.images.pictures import grid
from var_spaces.training.images.text_samples import draw_prompts
from var_spaces.training.losses.bits import bit_losses
from var_spaces.training.losses.changed import changed_weights
from var_spaces.training.losses.self_correction import BitFlips
from var_spaces.training.recipes.bit_steps import STEP_SETTINGS, BitStepConfig, BitSteps
from var_spaces.training.recipes.text_base import text_base

EVAL_SEED = 7_000_021  # never a training seed
DEFAULTS = {
    "task": {"name": "instruct", "restore": 0.12},
    "sampling": {"name": "bits", "temperature": 0.4, "top_p": 0.97},
    "guidance": {"name": "per-scale", "scale": 3.0},
}


@dataclass(frozen=True)
class InstructConfig(BitStepConfig):
    """Settings of the recipe for editing, beside those of :class:`BitStepConfig`.

    Args:
        start: id of the text-to-image model that training goes on from.
        scenes: name of the scene recipe.
        reference: what the first block sees: ``aligned``, ``finest-only``, or ``none`` for a model
            that is never shown the source.
        drop_source: share of samples trained with an empty source, 0..1.
        drop_both: share of samples that lose source and text, part of ``drop_source`` and
            ``drop_text``.
        changed: how much more a token counts where the edit changes the picture; 1 is no more, see
            :func:`changed_weights`.
        operations: how readily operations are chosen, where it differs from ``edits.WEIGHTS``.
        synonym: how often instructions use another name of a thing.
        text_tokens: word pieces that are read of an instruction.
        eval_images: pairs per validation probe.
        samples: pairs on the sheet of samples.
    """

    start: str = "t2i-bit"
    scenes: str = "composed"
    reference: Literal["aligned", "finest-only", "none"] = "aligned"
    drop_source: Share = 0.1
    drop_both: Share = 0.05
    flip_strength: Share = 0.2
    changed: Weight = 1.0
    operations: Mapping[str, Weight] = field(default_factory=dict)
    synonym: Share = 0.25
    text_tokens: Count = 64
    eval_images: Count = 128
    samples: Count = 32


class Batch(NamedTuple):
    """Instructions as features, source tokens ``(B, l_K, n)``, target bits ``(B, L, n)`` and inputs
    ``(B, L - 1, n)``, and where pictures may differ ``(B, 1, H, W)``."""

    text: TextFeatures
    source: Tensor
    bits: Tensor
    tokens: Tensor
    mask: Tensor


@training_recipe
class InstructRecipe(Recipe):
    """Trains :class:`Infinity` with a source picture in front.

    Args:
        start: the text model, whose weights are trained on.
        encoder: the frozen text encoder, on ``device``.
        start_card: of that model.
    """

    name, title = "instruct", "editing by instruction"
    paper = "https://arxiv.org/abs/2508.15772"
    family, role = "varedit", "generator"
    settings = InstructConfig
    changing = (
        "scenes", "operations", "synonym", "drop_source", "drop_both", "changed", *STEP_SETTINGS,
    )  # fmt: skip

    def __init__(
        self,
        tokenizer: Bitwise,
        start: Infinity,
        encoder: PackedEncoder,
        start_card: dict[str, Any],
        config: InstructConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        torch.manual_seed(seed)
        self.final, self.seed, self.device = config, seed, device
        self.tokenizer = tokenizer.to(device).eval().requires_grad_(False)
        self.size = tokenizer.schedule.last[0] * tokenizer.downsample
        self.encoder, self.start_card = encoder, start_card
        self.atlas = Atlas.load().to(device)
        self.model = start.requires_grad_(True)
        self.widen(config)
        sizes = start.config
        self.positions = aligned_positions(
            start.schedule, sizes.head_dim, sizes.rope_extent, device
        )

    def widen(self, config: InstructConfig) -> None:
        self.config = config
        weights = {**WEIGHTS, **config.operations}
        self.edits = EditSampler(self.atlas, recipe(config.scenes), weights, synonym=config.synonym)
        self.steps = BitSteps(self.model.schedule, config, self.seed, self.device)

    @classmethod
    def build(cls, plan: Plan) -> InstructRecipe:
        config = plan.settings
        base = text_base(plan, config.start, config.text_tokens, "infinity", "varedit")
        card = read_card(plan.options.models / config.start)
        return cls(*base, card, config, plan.seed, plan.device)

    def card(self) -> dict[str, Any]:
        adapter = {"name": "scale-aligned-reference", "rope_layout": "aligned"}
        adapter |= {"reference": self.final.reference}
        adapter |= {"source_dropout": self.final.drop_source > 0}
        return {
            "resolution": self.size,
            "tokenizer": self.start_card["tokenizer"],
            "text_encoder": {"name": "minilm", "max_length": self.final.text_tokens},
            "adapter": adapter,
            "defaults": DEFAULTS,
        }

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        muon = ("embed", "pos_", "head.", "cfg_uncond")
        keep = muon if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    @torch.no_grad()
    def batch(self, edits: list[Edit], flips: BitFlips | None = None) -> Batch:
        """Pairs, rendered and tokenised."""
        before, after, mask = render_edits(self.atlas, edits, self.size)
        schedule = self.model.schedule
        with torch.autocast(self.device.type, enabled=False):
            source = source_tokens(self.tokenizer, before, schedule)
            bits, latents = self.tokenizer.quantize(self.tokenizer.latent(after), schedule, flips)
            tokens = self.tokenizer.inputs(latents, schedule)
        text = TextFeatures.of(self.encoder([edit.instruction for edit in edits]))
        return Batch(text, source, torch.cat(bits, dim=1), tokens, mask)

    def extend(
        self, model: nn.Module, source: Tensor
    ) -> Callable[[TextContext], SourceReference] | None:
        """What the source adds, for ``Infinity.forward``."""
        if self.final.reference == "none":
            return None
        network, aligned = getattr(model, "module", model), self.final.reference == "aligned"

        def extend(context: TextContext) -> SourceReference:
            return source_reference(network, context, source, self.positions, aligned)

        return extend

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        config = self.config
        flips = self.steps.flips(start)
        chance = torch.rand(count, generator=flips.generator)
        # Both, source alone and words alone lie side by side in 0..1.
        no_source = chance < config.drop_source
        alone = config.drop_source + config.drop_text - config.drop_both
        no_text = (chance < config.drop_both) | (chance >= config.drop_source) & (chance < alone)
        batch = self.batch(self.edits.batch(self.seed, start, count), flips)
        source = batch.source * (~no_source).to(batch.source)[:, None, None]
        dropped = no_text.to(self.device)
        scales = self.steps.scales(step)
        tokens, bits = self.steps.first(scales, batch.tokens, batch.bits)
        logits = model(batch.text, tokens, dropped=dropped, extend=self.extend(model, source))
        weights = changed_weights(batch.mask, self.model.schedule, config.changed)
        return self.steps.loss(logits, bits, weights), {"scales": scales}

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Nats per bit on pairs of every split, without flips; and with each instruction, or each
        source, given to the next pair: the differences are what the model reads from them."""
        metrics: dict[str, Any] = {}
        for split, edits in self.held_out(self.final.eval_images).items():
            losses: dict[str, list[Tensor]] = {
                "": [],
                "_shuffled_words": [],
                "_shuffled_sources": [],
            }
            for first in range(0, len(edits), 32):
                batch = self.batch(edits[first : first + 32])
                prompts, source = batch.text.prompts(), batch.source
                other = TextFeatures.of([*prompts[1:], prompts[0]])
                given = ((batch.text, source), (other, source), (batch.text, source.roll(-1, 0)))
                for name, (text, shown) in zip(losses, given, strict=True):
                    logits = model(text, batch.tokens, extend=self.extend(model, shown))
                    losses[name].append(bit_losses(logits, batch.bits))
            for name, parts in losses.items():
                metrics[f"nats_{split}{name}"] = torch.cat(parts).mean().item()
        return metrics

    def held_out(self, count: int) -> dict[str, list[Edit]]:
        """The first pairs of every split in a stream that is never trained on."""
        scenes = replace(recipe(self.final.scenes), split="all")
        sampler = EditSampler(self.atlas, scenes, synonym=self.final.synonym, held_out=True)
        found: dict[str, list[Edit]] = {split: [] for split in SPLITS}
        start = 0
        while any(len(edits) < count for edits in found.values()):
            for edit in sampler.batch(EVAL_SEED, start, 256):
                group = found[sampler.split_of(edit)]
                if len(group) < count:
                    group.append(edit)
            start += 256
        return found

    def sample_grid(self, model: nn.Module) -> Image.Image:
        """Unselected held-out pairs, fixed seed: source, edit, truth, and so on."""
        from var_spaces.adapters.scale_aligned_reference import PreparedReference

        groups = self.held_out(-(-self.final.samples // len(SPLITS))).values()
        edits = [edit for group in groups for edit in group][: self.final.samples]
        before, after, _ = render_edits(self.atlas, edits, self.size)
        tokens = source_tokens(self.tokenizer, before, model.schedule)
        aligned = self.final.reference == "aligned"

        def adapter(images: slice) -> PreparedReference:
            return PreparedReference(model, tokens[images], self.positions, aligned)

        drawn = draw_prompts(
            self.tokenizer,
            model,
            self.encoder,
            [edit.instruction for edit in edits],
            DEFAULTS,
            adapter=None if self.final.reference == "none" else adapter,
        )
        rows = torch.stack((before.cpu(), drawn, after.cpu()), dim=1).flatten(0, 1)
        return grid(rows, 12)
