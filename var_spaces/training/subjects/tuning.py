"""Fine-tunes a text model to a subject, ARBooth (https://arxiv.org/abs/2504.02612).

Every iteration has two updates with one AdamW: of the subject's own pictures, and of pictures of
its class that a frozen copy drew, which the student is to see as the copy does. The base model is
shared and never changed: what is trained lies over it (``adapters/overlay.py``), so other runs may
draw with it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from var_spaces.adapters.subject_layers import IT
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.errors import VarSpacesError
from var_spaces.training.losses.self_correction import BitFlips
from var_spaces.training.losses.subject import (
    coarse_weights,
    hard_prior_loss,
    instance_loss,
    prior_loss,
)
from var_spaces.training.subjects import teacher
from var_spaces.training.subjects.settings import SubjectSettings

if TYPE_CHECKING:
    from var_spaces.adapters.subject import Subject
    from var_spaces.zoo.residency import LoadedModel

BETAS = (0.9, 0.97)
FLIPPED_SCALES = 64  # all
DRAWN_AT_ONCE = 16


@dataclass(frozen=True)
class Iteration:
    """What an iteration came to.

    Attributes:
        step: iterations done, of ``steps``.
        instance: loss of the subject's pictures, nats per bit.
        prior: loss against the teacher, 0 without one.
    """

    step: int
    steps: int
    instance: float
    prior: float


class SubjectTuning:
    """A subject that is being learned.

    Args:
        base: the text model; it must stay in memory and is not changed.
        pictures: of the subject, ``(N, 3, H, W)`` in [-1, 1] of the size that the model draws.
        word: broad noun for it, e.g. "dog".

    Attributes:
        adapter: how the result is used.
        own: what is trained; complete after every iteration.

    Raises:
        VarSpacesError: if the model draws no prompts, or nothing to learn from was given.
    """

    def __init__(
        self, base: LoadedModel, pictures: Tensor, word: str, settings: SubjectSettings
    ) -> None:
        card = base.card
        if not card.text_encoder or base.text_encoder is None or card.base:
            raise VarSpacesError(
                f"'{card.id}' cannot learn a subject: choose a text model that is no adapter, such "
                "as t2i-bit."
            )
        if not word.strip():
            raise VarSpacesError("Give a word for the thing, a broad noun such as dog.")
        if len(pictures) < 1:
            raise VarSpacesError("A subject needs at least one picture.")
        self.base, self.word, self.settings = base, word, settings
        self.device, self.schedule = base.device, base.backbone.schedule
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.adapter = self._adapter()
        with torch.random.fork_rng():  # low-rank layers are drawn
            torch.manual_seed(settings.seed)
            self.own = self.adapter.build(base.backbone.config)
        self.own.start_from(base.backbone).to(self.device, self._dtype).train()
        # as published: steps of the rows are too small for 16 bits
        self.own.special_token.data = self.own.special_token.data.float()
        self.prepared = self._prepare()
        self.shell = self.prepared.overlaid(base.backbone)
        with torch.no_grad():
            self.latents = base.tokenizer.latent(pictures.to(self.device))
        full = settings.full_scales(self.schedule.num_scales)
        self.weights = coarse_weights(self.schedule, full, settings.fine).to(self.device)
        self.optimizer = torch.optim.AdamW(self._groups(), lr=settings.lr, betas=BETAS)
        self.step = 0

    def _adapter(self) -> Subject:
        """How the result is used; files of the public code's kind say more, see its card."""
        from var_spaces.methods import get, parse

        encoder = parse("text_encoder", self.base.card.text_encoder)
        layers = asdict(self.settings.layers)
        layers["text_rows"] = layers.pop("rows")
        placeholder = get("text_encoder", encoder.name).placeholder
        return parse(
            "adapter",
            {"name": "subject", "word": self.word, "placeholder": placeholder, **layers},
        )

    def _prepare(self) -> Any:
        from var_spaces.adapters.base import Given, Loaded

        base = self.base
        loaded = Loaded(base.backbone, base.tokenizer, self.own, base.text_encoder)
        return self.adapter.prepare(loaded, Given(self.schedule))

    @property
    def _dtype(self) -> torch.dtype:
        return getattr(torch, self.settings.precision)

    def _groups(self) -> list[dict[str, Any]]:
        """Rows and weights of layers; all of them decay, as published."""
        rows = self.own.special_token
        others = [p for p in self.own.parameters() if p is not rows]
        decay = self.settings.weight_decay
        return [
            {"params": others, "weight_decay": decay},
            {"params": [rows], "weight_decay": decay, "lr": self.settings.rows_lr},
        ]

    # --- training ---------------------------------------------------------------------------------

    def run(self) -> Iterator[Iteration]:
        """Train; yields after every iteration. Whoever stops listening has what there is."""
        settings = self.settings
        pool = self._pool() if settings.prior != "none" and settings.pool else None
        while self.step < settings.steps:
            instance = self._update(self._instance())
            prior = 0.0
            if settings.prior != "none":
                prior = self._update(settings.prior_weight * self._prior(pool))
            self.step += 1
            yield Iteration(self.step, settings.steps, instance, prior)

    def _update(self, loss: Tensor) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def _instance(self) -> Tensor:
        """Loss of some of the subject's pictures, whose earlier scales are partly wrong."""
        settings, tokenizer = self.settings, self.base.tokenizer
        chosen = self._some(len(self.latents))
        flips = BitFlips(settings.flips, FLIPPED_SCALES, self.generator)
        with torch.no_grad():
            bits, latents = tokenizer.quantize(self.latents[chosen], self.schedule, flips)
            tokens = tokenizer.inputs(latents, self.schedule)
        dropped = torch.rand(len(chosen), generator=self.generator) < settings.drop_text
        text = self._subject_text(len(chosen))
        with self._autocast():
            logits = self._student(text, tokens, dropped.to(self.device))
        return instance_loss(logits.float(), torch.cat(bits, 1), self.weights)

    def _prior(self, pool: teacher.Drawn | None) -> Tensor:
        """How far the student is from the teacher on pictures of the class."""
        settings = self.settings
        if pool is None:
            count = min(settings.batch, len(self.latents))
            drawn = self._teach(count)
            tokens, wanted = drawn.tokens, drawn.logits
        else:
            chosen = self._some(len(pool.tokens))
            count, tokens, wanted = len(chosen), pool.tokens[chosen], pool.logits[chosen]
        with self._autocast():
            logits = self._student(self._class_text(count), tokens).float()
        if settings.prior == "hard":
            return hard_prior_loss(wanted, logits)
        joint = settings.prior == "joint"
        return prior_loss(wanted, logits, temperature=settings.temperature, joint=joint)

    def _student(self, text: TextFeatures, tokens: Tensor, dropped: Tensor | None = None) -> Tensor:
        """Logits ``(B, L, n, 2)`` of what is trained, under teacher forcing."""
        return self.shell(
            text,
            tokens,
            dropped=dropped,
            extend=self._extension,
            drop_path=self.settings.drop_path,
            generator=self.generator,
        )

    def _pool(self) -> teacher.Drawn:
        """All pictures of the class that are learned from."""
        sizes = [
            min(DRAWN_AT_ONCE, self.settings.pool - start)
            for start in range(0, self.settings.pool, DRAWN_AT_ONCE)
        ]
        parts = [self._teach(size) for size in sizes]
        fields = ("bits", "tokens", "logits")
        return teacher.Drawn(*(torch.cat([getattr(p, name) for p in parts]) for name in fields))

    def _teach(self, count: int) -> teacher.Drawn:
        """Pictures of the class by the model as it was."""
        settings = self.settings
        sample = teacher.Sampled(
            settings.teacher_temperature, settings.teacher_top_p, self.generator
        )
        return teacher.draw(
            self.base.backbone,
            self.prepared.retokenized(self.base.tokenizer),
            self._class_text(count),
            sample,
            extend=self._extension,
            cached=not settings.published_teacher,
        )

    def _some(self, count: int) -> Tensor:
        size = min(self.settings.batch, len(self.latents), count)
        return torch.randperm(count, generator=self.generator)[:size].to(self.device)

    def _subject_text(self, count: int) -> TextFeatures:
        from var_spaces.decoding.backbone import FULL

        prompt = self.settings.frame.format(IT)
        found = self.prepared.text([prompt], FULL, self._encode)
        return TextFeatures.of([found.packed] * count)

    def _class_text(self, count: int) -> TextFeatures:
        packed = self._encode([self.settings.frame.format(self.word)]).packed
        return TextFeatures.of([packed] * count)

    def _encode(self, prompts: Sequence[str]) -> TextFeatures:
        from var_spaces.methods import parse

        encoder = parse("text_encoder", self.base.card.text_encoder)
        return encoder.encode(prompts, self.device, self.base.text_encoder)

    def _extension(self, context: Any) -> Any:
        return self.prepared.extension(context, [])

    def _autocast(self) -> Any:
        """Matrix products in bfloat16, on a GPU and where weights are stored so."""
        if self.device.type != "cuda" and self._dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    # --- result -----------------------------------------------------------------------------------

    def save(self, folder: Path, title: str = "", **training: Any) -> str:
        """Write the model folder of the subject as it is now: rows and weights, and their card.

        Args:
            folder: its name is the id of the model.
            training: more about the training, for the card.

        Returns:
            Digest of the weights.
        """
        from var_spaces.methods import dump
        from var_spaces.zoo.writer import save_model

        card = {
            "format": 1,
            "id": folder.name,
            "title": title or f"{self.word.capitalize()}, fine-tuned",
            "base": self.base.card.id,
            "adapter": dump(self.adapter),
            "training": {
                "settings": asdict(self.settings),
                "steps": self.step,
                "pictures": len(self.latents),
                **training,
            },
        }
        stored = torch.float16 if self.settings.precision == "float32" else None
        return save_model(folder, card, self.own.state_dict(), dtype=stored)
