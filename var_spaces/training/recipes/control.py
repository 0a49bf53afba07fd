"""Recipe: teach a frozen text-to-image transformer to draw along control maps.

ScaleWeaver (https://arxiv.org/abs/2510.14882): only the condition stream's updates, its projections
and the vectors of the kinds learn. Every scene comes with the map of one kind; kinds go round. The
map is never dropped: without one the model is the base model, and has nothing to learn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.conditioning.packed_encoder import PackedEncoder
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.bitwise import Bitwise
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import unpack
from var_spaces.training.data.captions import CaptionRecipe, CaptionWriter
from var_spaces.training.data.controls import control_maps
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.engine.amounts import Count
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
    from var_spaces.adapters.reference_attention import ReferenceAttention
    from var_spaces.adapters.reference_stream import ReferenceStream

EVAL_SEED = 7_000_023  # never a training seed
BATCH = 32
COLUMNS = 8
KINDS = ("canny", "scribble", "soft-edges", "blur", "grey", "palette", "mask")


@dataclass(frozen=True)
class ControlTraining(BitStepConfig):
    """Settings of the control recipe, beside those of :class:`BitStepConfig`.

    Flips matter here: given true coarse scales a model could read the layout from them and not from
    the map.

    Args:
        base: id of the frozen text-to-image model.
        start: id of such an adapter, trained on an earlier state of the base, whose weights
            training begins with; empty for none.
        scenes: name of the scene recipe.
        kinds: kinds of control.
        rank, share, place, sees, way, gate, zero_start: of the adapter; see
            :class:`var_spaces.adapters.reference_attention.ReferenceAttention`.
        text_tokens: word pieces that are read of a caption.
        eval_images: images per validation probe and kind.
    """

    base: str = "t2i-bit"
    start: str = ""
    scenes: str = "composed_wide"
    kinds: tuple[str, ...] = KINDS
    rank: int = 16
    share: float = 0.5
    place: str = "first"
    sees: str = "up-to"
    way: str = "reference"
    gate: str = "linear"
    zero_start: bool = True
    text_tokens: Count = 64
    reweight: bool = True
    eval_images: Count = 64
    samples: Count = 8

    def adapter(self) -> ReferenceAttention:
        """The adapter that is trained."""
        from var_spaces.adapters.reference_attention import ReferenceAttention

        names = ("rank", "share", "place", "sees", "way", "gate", "zero_start")
        choices = {name: getattr(self, name) for name in names}
        return ReferenceAttention(kinds=tuple(self.kinds), **choices)


class Batch(NamedTuple):
    """Captions, their features, bits ``(B, L, n)``, inputs ``(B, L - 1, n)``, maps as pictures
    ``(B, 3, H, W)`` and as tokens ``(B, L, n)``, and positions of their kinds ``(B,)``."""

    captions: list[str]
    text: TextFeatures
    bits: Tensor
    tokens: Tensor
    maps: Tensor
    control: Tensor
    kinds: Tensor


class Controlled(nn.Module):
    """The frozen base model and the stream beside it."""

    def __init__(self, backbone: Infinity, stream: ReferenceStream) -> None:
        super().__init__()
        self.backbone, self.stream = backbone.requires_grad_(False), stream

    @property
    def schedule(self) -> ScaleSchedule:
        return self.backbone.schedule

    def forward(self, batch: Batch, dropped: Tensor | None = None) -> Tensor:
        """Logits ``(B, L, n, 2)`` under teacher forcing."""
        from var_spaces.adapters.reference_run import teach

        extension = teach(self.stream, self.backbone, batch.control, batch.kinds)
        return self.backbone(
            batch.text, batch.tokens, dropped=dropped, extend=lambda context: extension
        )


@training_recipe
class ControlRecipe(Recipe):
    """Trains the condition stream of :class:`ReferenceAttention`.

    Args:
        backbone: the frozen base model.
        encoder: the frozen text encoder, on ``device``.
    """

    name, title = "control", "control adapter of a text-to-image transformer"
    paper = "https://arxiv.org/abs/2510.14882"
    family, role = "infinity", "generator"
    settings = ControlTraining

    def __init__(
        self,
        tokenizer: Bitwise,
        backbone: Infinity,
        encoder: PackedEncoder,
        config: ControlTraining,
        seed: int,
        device: torch.device,
    ) -> None:
        from var_spaces import methods

        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, device
        self.tokenizer = tokenizer.to(device).eval().requires_grad_(False)
        self.encoder = encoder
        self.atlas = Atlas.load().to(device)
        self.scenes = SceneSampler(self.atlas, recipe(config.scenes))
        self.writer = CaptionWriter(self.atlas, CaptionRecipe(0.75, 0.7, 0.6, 0.95, 0.25))
        self.kinds = [methods.parse("control", kind) for kind in config.kinds]
        self.model = Controlled(backbone, config.adapter().build(backbone.config))
        self.steps = BitSteps(backbone.schedule, config, seed, device)

    @classmethod
    def build(cls, plan: Plan) -> ControlRecipe:
        config = plan.settings
        base = text_base(plan, config.base, config.text_tokens)
        made = cls(*base, config, plan.seed, plan.device)
        plan.begin(made.model.stream, config.start)
        return made

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        keep = ("kind.",) if train.optimizer == "muon" else ("",)
        return matrix_groups(self.model, weight_decay=train.weight_decay, keep_adamw=keep)

    @torch.no_grad()
    def batch(
        self,
        scenes: SceneSampler,
        seed: int,
        start: int,
        count: int,
        flips: BitFlips | None = None,
        kind: int | None = None,
    ) -> Batch:
        """Images ``start .. start + count`` of a stream with a map each.

        Args:
            kind: of all maps; None lets the kinds go round.
        """
        from var_spaces.adapters.reference_run import control_tokens

        drawn = scenes.batch(seed, start, count, self.device)
        written = self.writer.batch(unpack(self.atlas, drawn.to("cpu")), seed, start)
        captions = [caption.text for caption in written]
        which = [(start + i) % len(self.kinds) if kind is None else kind for i in range(count)]
        schedule = self.model.schedule
        with torch.autocast(self.device.type, enabled=False):
            images = render(self.atlas, drawn)
            maps = control_maps(self.atlas, drawn, images, [self.kinds[i] for i in which])
            bits, latents = self.tokenizer.quantize(self.tokenizer.latent(images), schedule, flips)
            tokens = self.tokenizer.inputs(latents, schedule)
            control = control_tokens(self.tokenizer, maps, schedule)
        text = TextFeatures.of(self.encoder(captions))
        numbers = torch.tensor(which, device=self.device)
        return Batch(captions, text, torch.cat(bits, dim=1), tokens, maps, control, numbers)

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        flips = self.steps.flips(start)
        dropped = torch.rand(count, generator=flips.generator) < self.config.drop_text
        batch = self.batch(self.scenes, self.seed, start, count, flips)
        scales = self.steps.scales(step)
        seen, bits = self.first(batch, scales)
        logits = model(seen, dropped.to(self.device))
        return self.steps.loss(logits, bits), {"scales": scales}

    def first(self, batch: Batch, scales: int) -> tuple[Batch, Tensor]:
        """The batch and its targets as a step of the first scales needs them."""
        tokens, bits = self.steps.first(scales, batch.tokens, batch.bits)
        whole = self.config.sees == "all"
        control = batch.control if whole else batch.control[:, : bits.shape[1]]
        return batch._replace(tokens=tokens, control=control), bits

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Nats per bit of every kind on unseen (concept, style) pairs, with the map, without it
        (the base model), and with the map of the next picture."""
        split = replace(recipe(self.config.scenes), split="unseen_pairs")
        scenes = SceneSampler(self.atlas, split)
        metrics: dict[str, Any] = {}
        for number, kind in enumerate(self.config.kinds):
            found: dict[str, list[Tensor]] = {"": [], "_without": [], "_other_map": []}
            for start in range(0, self.config.eval_images, BATCH):
                count = min(BATCH, self.config.eval_images - start)
                batch = self.batch(scenes, EVAL_SEED, start, count, kind=number)
                other = batch._replace(control=batch.control.roll(1, 0))
                found[""].append(bit_losses(model(batch), batch.bits))
                found["_other_map"].append(bit_losses(model(other), batch.bits))
                alone = model.backbone(batch.text, batch.tokens)
                found["_without"].append(bit_losses(alone, batch.bits))
            name = kind.replace("-", "_")
            metrics |= {f"nats_{name}{k}": torch.cat(v).mean().item() for k, v in found.items()}
        return metrics

    def sample_grid(self, model: nn.Module) -> Image.Image:
        """Per kind a row of maps and one of unselected images, fixed seed."""
        from var_spaces.adapters.reference_run import PreparedControl

        schedule, count = model.schedule, self.config.samples
        shown = []
        for number in range(len(self.kinds)):
            batch = self.batch(self.scenes, EVAL_SEED, 0, count, kind=number)

            def seeing(part: slice, batch: Batch = batch, kind: int = number) -> PreparedControl:
                control = batch.control[part]
                return PreparedControl(model.stream, model.backbone, control, kind, schedule)

            given = (self.tokenizer, model.backbone, self.encoder, batch.captions, DEFAULTS)
            images = draw_prompts(*given, adapter=seeing)
            shown += [batch.maps.cpu(), images]
        return grid(torch.cat(shown), count)

    def finish(self, model: nn.Module) -> nn.Module:
        """The stream alone: the base model is not part of an adapter's folder."""
        return model.stream.eval()

    def described(self, model: nn.Module) -> dict[str, Any]:
        from var_spaces.methods import dump

        return {"base": self.config.base, "adapter": dump(self.config.adapter())}

    def card(self) -> dict[str, Any]:
        return {"defaults": DEFAULTS}


DEFAULTS = {
    "task": {"name": "control"},
    "sampling": {"name": "bits", "temperature": 0.7, "top_p": 0.97},
    "guidance": {"name": "conditions", "scale": 3.0, "condition": 3.0},
}
