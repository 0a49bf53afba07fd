"""Recipe: train a text-conditional bitwise transformer on captioned scenes.

Images are drawn, captioned and tokenised as they are needed, so nothing is ever seen twice. Loss,
dropped captions and bitwise self-correction follow Infinity (https://arxiv.org/abs/2412.04431).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.conditioning.packed_encoder import PackedEncoder, load_minilm
from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.compose import read_prompts, score
from var_spaces.evaluators.parser import SceneParser
from var_spaces.ranges import Bounds
from var_spaces.tokenizers.bitwise import Bitwise
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import unpack
from var_spaces.training.data.captions import CaptionRecipe, CaptionWriter
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.engine.amounts import Count, Share, Some, Weight
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import matrix_groups
from var_spaces.training.engine.plan import Plan
from var_spaces.training.engine.recipe import Recipe, training_recipe
from var_spaces.training.images.text_samples import draw_prompts, text_sheet
from var_spaces.training.losses.bits import bit_losses
from var_spaces.training.losses.self_correction import BitFlips
from var_spaces.training.losses.tokens import loss_per_scale
from var_spaces.training.recipes.bit_steps import STEP_SETTINGS, BitStepConfig, BitSteps
from var_spaces.training.recipes.text_reader import TextReaderStage
from var_spaces.training.recipes.warm_start import take_matching

EVAL_SEED = 7_000_009  # never a training seed
DEFAULTS = {
    "task": {"name": "text-to-image"},
    "sampling": {"name": "bits", "temperature": 0.7, "top_p": 0.97},
    "guidance": {"name": "per-scale", "scale": 3.0},
}


@dataclass(frozen=True)
class TextTransformerConfig(BitStepConfig):
    """Settings of the text-to-image recipe, beside those of :class:`BitStepConfig`.

    Args:
        tokenizer: id of the frozen bitwise tokenizer.
        start: id of a trained text-to-image model whose weights training begins with, where names
            and shapes are the same; empty for none.
        scenes: name of the scene recipe.
        depth, width, heads: size of the network.
        text_tokens: word pieces that are read of a caption, and the longest prompt.
        rope_extent: rows of the grid that positions are laid on.
        gate, adaln: scale of the first weights of gates and modulation.
        text_blocks: blocks that read the text first, see ``text_refiner.py``.
        read: share of the budget in which these learn from captions alone, 0..1, see
            :class:`TextReaderStage`; 0 where ``start`` has read already.
        say_background, say_style, say_place, say_colour, synonym: how often captions say what,
            see :class:`CaptionRecipe`; where scenes have a usual placement, captions are settled.
        eval_images: images per validation probe.
        compose: frozen prompts of each category that an evaluation draws and the parser judges.
        samples: images on the sheet of samples.
    """

    tokenizer: str = "bit-tokenizer"
    start: str = ""
    scenes: str = "easy"
    depth: Count = 6
    width: Count = 288
    heads: Count = 6
    text_tokens: Count = 64
    rope_extent: Count = 16
    gate: Weight = 1e-2
    adaln: Weight = 0.5
    text_blocks: Some = 0
    read: Annotated[float, Bounds(0, 1, open_high=True)] = 0.0
    say_background: Share = 0.75
    say_style: Share = 0.7
    say_place: Share = 0.6
    say_colour: Share = 0.95
    synonym: Share = 0.25
    eval_images: Count = 256
    compose: Some = 0
    samples: Count = 64

    def __post_init__(self) -> None:
        if self.read and not self.text_blocks:
            raise VarSpacesError(
                f"[recipe] read is {self.read}: without text_blocks nothing reads, so leave it out."
            )

    @property
    def captions(self) -> CaptionRecipe:
        said = (self.say_background, self.say_style, self.say_place, self.say_colour)
        return CaptionRecipe(*said, self.synonym, settled=recipe(self.scenes).usual > 0)


class Batch(NamedTuple):
    """Captions, their features, target bits ``(B, L, n)`` and inputs ``(B, L - 1, n)``."""

    captions: list[str]
    text: TextFeatures
    bits: Tensor
    tokens: Tensor


@training_recipe
class TextTransformerRecipe(Recipe):
    """Trains :class:`Infinity`.

    Args:
        encoder: the frozen text encoder, on ``device``.
        start: a trained model whose weights are taken where they fit.
        judge: folder of the scene parser, for ``config.compose``.
    """

    name, title = "text-transformer", "text-to-image bitwise transformer"
    paper = "https://arxiv.org/abs/2412.04431"
    family, role = "infinity", "generator"
    settings = TextTransformerConfig
    changing = (
        "scenes", "say_background", "say_style", "say_place", "say_colour", "synonym",
        *STEP_SETTINGS,
    )  # fmt: skip

    def __init__(
        self,
        tokenizer: Bitwise,
        encoder: PackedEncoder,
        config: TextTransformerConfig,
        seed: int,
        device: torch.device,
        start: Infinity | None = None,
        judge: Path | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.final, self.seed, self.device = config, seed, device
        self.judge = judge
        self.tokenizer = tokenizer.to(device).eval().requires_grad_(False)
        self.size = tokenizer.schedule.last[0] * tokenizer.downsample
        self.encoder = encoder
        self.atlas = Atlas.load().to(device)
        self.widen(config)
        self.model = Infinity(
            InfinityConfig(
                depth=config.depth,
                width=config.width,
                heads=config.heads,
                latent_dim=tokenizer.latent_dim,
                patch_nums=tokenizer.config.patch_nums,
                text_dim=encoder.model.config.hidden_size,
                text_len=config.text_tokens,
                levels=max(15, len(tokenizer.config.patch_nums)),
                rope_extent=config.rope_extent,
                text_blocks=config.text_blocks,
            )
        )
        self.model.initialise(gate=config.gate, adaln=config.adaln)
        if start is not None:
            hint = "give both the same depth, width and heads"
            take_matching(self.model, start.state_dict(), "text-to-image model", hint)

    def widen(self, config: TextTransformerConfig) -> None:
        self.config = config
        self.scenes = SceneSampler(self.atlas, recipe(config.scenes))
        self.writer = CaptionWriter(self.atlas, config.captions)
        self.steps = BitSteps(self.tokenizer.schedule, config, self.seed, self.device)

    @classmethod
    def build(cls, plan: Plan) -> Recipe:
        config = plan.settings
        tokenizer = plan.model(config.tokenizer, "bitwise")
        encoder = load_minilm(device=plan.device, max_length=config.text_tokens)
        start = plan.model(config.start, "infinity") if config.start else None
        judge = plan.options.evaluators / "parser"
        text = cls(tokenizer, encoder, config, plan.seed, plan.device, start, judge)
        return TextReaderStage(text, config.read) if config.read else text

    def card(self) -> dict[str, Any]:
        """What the model's card says beyond its architecture."""
        return {
            "resolution": self.size,
            "tokenizer": self.final.tokenizer,
            "text_encoder": {"name": "minilm", "max_length": self.final.text_tokens},
            "defaults": DEFAULTS,
        }

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        muon = ("embed", "pos_", "head.", "cfg_uncond")
        keep = muon if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    @torch.no_grad()
    def batch(
        self, scenes: SceneSampler, seed: int, start: int, count: int, flips: BitFlips | None = None
    ) -> Batch:
        """Images ``start .. start + count`` of a stream, captioned and tokenised."""
        drawn = scenes.batch(seed, start, count, self.device)
        written = self.writer.batch(unpack(self.atlas, drawn.to("cpu")), seed, start)
        captions = [caption.text for caption in written]
        schedule = self.model.schedule
        with torch.autocast(self.device.type, enabled=False):
            f = self.tokenizer.latent(render(self.atlas, drawn, self.size))
            bits, latents = self.tokenizer.quantize(f, schedule, flips)
            tokens = self.tokenizer.inputs(latents, schedule)
        text = TextFeatures.of(self.encoder(captions))  # in the precision of the step
        return Batch(captions, text, torch.cat(bits, dim=1), tokens)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        flips = self.steps.flips(start)
        dropped = torch.rand(count, generator=flips.generator) < self.config.drop_text
        batch = self.batch(self.scenes, self.seed, start, count, flips)
        scales = self.steps.scales(step)
        tokens, bits = self.steps.first(scales, batch.tokens, batch.bits)
        logits = model(batch.text, tokens, dropped=dropped.to(self.device))
        return self.steps.loss(logits, bits), {"scales": scales}

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Nats per bit for trained and for unseen (concept, style) pairs, without flips.

        With each caption given to the next picture the loss must be higher: the difference is what
        the model reads from the text.
        """
        metrics: dict[str, Any] = {}
        for name, split in (("trained_pairs", "train"), ("unseen_pairs", "unseen_pairs")):
            scenes = SceneSampler(self.atlas, replace(recipe(self.final.scenes), split=split))
            true, shuffled = [], []
            for start in range(0, self.final.eval_images, 32):
                count = min(32, self.final.eval_images - start)
                batch = self.batch(scenes, EVAL_SEED, start, count)
                true.append(bit_losses(model(batch.text, batch.tokens), batch.bits))
                prompts = batch.text.prompts()
                other = TextFeatures.of([*prompts[1:], prompts[0]])
                shuffled.append(bit_losses(model(other, batch.tokens), batch.bits))
            losses = torch.cat(true)
            metrics[f"nats_{name}"] = losses.mean().item()
            metrics[f"nats_{name}_shuffled_captions"] = torch.cat(shuffled).mean().item()
            per_scale = loss_per_scale(losses, model.schedule)
            metrics[f"nats_{name}_per_scale"] = [round(x, 4) for x in per_scale]
        return metrics | (self.composition(model) if self.final.compose else {})

    def composition(self, model: nn.Module) -> dict[str, float]:
        """Share (0..1) of frozen prompts whose picture shows what they say, by category."""
        try:
            prompts = read_prompts(self.final.compose)
            texts = [prompt.text for prompt in prompts]
            pictures = draw_prompts(self.tokenizer, model, self.encoder, texts, DEFAULTS)
        except ModuleNotFoundError as error:  # a training machine without pydantic
            if (error.name or "var_spaces").startswith("var_spaces"):
                raise
            return {}
        report = score(prompts, SceneParser(self.judge)(pictures))
        return {
            f"compose_{name.replace(' ', '_')}": row["accuracy"] for name, row in report.items()
        }

    def sample_grid(self, model: nn.Module) -> Image.Image:
        """Unselected images for captions of scenes never trained on, fixed seed."""
        scenes = SceneSampler(self.atlas, recipe(self.final.scenes))
        prompts = self.batch(scenes, EVAL_SEED, 0, self.final.samples).captions
        return text_sheet(self.tokenizer, model, self.encoder, prompts, DEFAULTS)
