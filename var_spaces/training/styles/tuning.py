"""Learns content and style of one picture apart, CSD-VAR (https://arxiv.org/abs/2507.13984).

Style and content take turns. A turn of style reads a prompt with the learned rows of style and
counts the scales that carry style; a turn of content is the same for the other. The base model and
its text encoder are shared and never changed, so other runs may draw with them meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.adapters.rectification import principal_directions
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.errors import VarSpacesError
from var_spaces.training.losses.bits import bit_losses
from var_spaces.training.losses.scale_groups import ScaleGroups, group_weights
from var_spaces.training.losses.self_correction import BitFlips
from var_spaces.training.styles.settings import VIEWS, StyleSettings

if TYPE_CHECKING:
    from var_spaces.adapters.content_style import ContentStyle
    from var_spaces.zoo.residency import LoadedModel

ALL_SCALES = 64
STYLE, CONTENT = "style", "content"


@dataclass(frozen=True)
class Update:
    """What an update came to.

    Attributes:
        step: updates done, of ``steps``.
        turn: "style" or "content".
        loss: of that turn, nats per bit, summed over scales.
    """

    step: int
    steps: int
    turn: str
    loss: float


class StyleTuning:
    """Content and style that are being learned.

    Args:
        base: the text model; it must stay in memory and is not changed.
        picture: ``(1, 3, H, W)`` in [-1, 1] of the size that the model draws.
        content, style: words for what it shows and how it is drawn, e.g. "owl" and "glossy".

    Attributes:
        adapter: how the result is used.
        own: what is trained; complete after every update.

    Raises:
        VarSpacesError: if the model draws no prompts, or a word is missing.
    """

    def __init__(
        self, base: LoadedModel, picture: Tensor, content: str, style: str, settings: StyleSettings
    ) -> None:
        card = base.card
        if not card.text_encoder or base.text_encoder is None or card.base:
            raise VarSpacesError(
                f"'{card.id}' cannot learn a style: choose a text model that is no adapter, such "
                "as t2i-bit."
            )
        self.content, self.style = content.strip(), style.strip()
        if not self.content or not self.style:
            raise VarSpacesError(
                "Give a word for what the picture shows and one for how it is drawn, such as owl "
                "and glossy."
            )
        self.base, self.settings = base, settings
        self.encoder, self.device = base.text_encoder, base.device
        self.schedule = base.backbone.schedule
        self.groups = ScaleGroups.published(self.schedule, settings.last_is_style)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.adapter = self._adapter()
        with torch.random.fork_rng():  # the memory is drawn
            torch.manual_seed(settings.seed)
            self.own = self.adapter.build(base.backbone.config)
        self.own.start_from(self._word(self.content), self._word(self.style))
        self.own.to(self.device).train()
        if settings.rank:
            self.own.directions.copy_(self._directions())
        with torch.no_grad():
            self.latents = base.tokenizer.latent(picture.to(self.device))
        self.weights = {name: self._weights(name).to(self.device) for name in (STYLE, CONTENT)}
        self.optimizer = torch.optim.AdamW(
            self.own.parameters(), lr=settings.lr, betas=settings.betas, weight_decay=0.0
        )
        self.step = 0

    def _adapter(self) -> ContentStyle:
        from var_spaces.methods import parse

        settings = self.settings
        fields = {"content": self.content, "style": self.style}
        fields |= {name: getattr(settings, name) for name in ("text_rows", "rank", "slots")}
        fields["content_scale"] = self.groups.content[0]
        return parse("adapter", {"name": "content-style", **fields})

    def _word(self, word: str) -> Tensor:
        """Embeddings of a word, without what the encoder puts around a text."""
        front = len(self.encoder.ids([""])[0]) - 1
        return self.encoder.embeddings(self.encoder.ids([word])[0][front:-1])

    def _directions(self) -> Tensor:
        """What the encoder says of the content by many names, as orthonormal rows."""
        states = self.encoder([view.format(self.content) for view in VIEWS])
        means = torch.stack([rows.mean(0) for rows in states])
        return principal_directions(means, self.settings.rank, self.settings.center)

    def _weights(self, turn: str) -> Tensor:
        settings, groups = self.settings, self.groups
        if not settings.scale_aware:
            every = range(self.schedule.num_scales)
            return group_weights(self.schedule, every, mean=settings.mean)
        if turn == CONTENT:
            return group_weights(self.schedule, groups.content, mean=settings.mean)
        return group_weights(
            self.schedule, groups.style, groups.content, settings.alpha, settings.mean
        )

    # --- training ---------------------------------------------------------------------------------

    def run(self) -> Iterator[Update]:
        """Train; yields after every update. Whoever stops listening has what there is."""
        while self.step < self.settings.steps:
            turn = (STYLE, CONTENT)[self.step % 2]
            loss = self._update(turn)
            self.step += 1
            yield Update(self.step, self.settings.steps, turn, loss)

    def _update(self, turn: str) -> float:
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * self._rate()
        loss = self._loss(turn)
        if settings.orthogonality:
            loss = loss + settings.orthogonality * row_cosine(self.own.style, self.own.content)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.own.parameters(), settings.clip)
        self.optimizer.step()
        return loss.item()

    def _rate(self) -> float:
        """Share of the learning rate: up to 1, then linearly to 0."""
        settings, done = self.settings, self.step + 1
        if not settings.warm_up:
            return 1.0
        left = (settings.steps - self.step) / max(settings.steps - settings.warm_up, 1)
        return min(done / settings.warm_up, left, 1.0)

    def _loss(self, turn: str) -> Tensor:
        from var_spaces.adapters.content_style_run import ContentStyleRun

        settings, tokenizer, schedule = self.settings, self.base.tokenizer, self.schedule
        flips = BitFlips(settings.flips, ALL_SCALES, self.generator)
        with torch.no_grad():
            bits, latents = tokenizer.quantize(self.latents, schedule, flips)
            tokens = tokenizer.inputs(latents, schedule)
        weights = self.weights[turn]
        length = int(weights.nonzero().max()) + 1
        run = ContentStyleRun(self.adapter, self.own, self.encoder, (f"<{turn}>",))
        text = TextFeatures.of([run.read(self.prompt(turn))])
        dropped = torch.rand(1, generator=self.generator) < settings.drop_text
        logits = self.base.backbone(
            text,
            tokens[:, : length - schedule.lengths[0]],
            dropped=dropped.to(self.device),
            extend=lambda context: run.extension(context, []),
        )
        losses = bit_losses(logits.float(), torch.cat(bits, 1)[:, :length])
        return (losses[0] * weights[:length]).sum()

    def prompt(self, turn: str) -> str:
        """Both words, with learned rows behind the one whose turn it is."""
        if turn == STYLE:
            return f"a {self.content} in <style>"
        return f"a <content> in {self.style} style"

    # --- result -----------------------------------------------------------------------------------

    def save(self, folder: Path, title: str = "", **training: Any) -> str:
        """Write the model folder of content and style as they are now.

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
            "title": title or f"{self.content.capitalize()} in {self.style} style, apart",
            "base": self.base.card.id,
            "adapter": dump(self.adapter),
            "training": {"settings": asdict(self.settings), "steps": self.step, **training},
        }
        return save_model(folder, card, self.own.state_dict(), dtype=None)


def row_cosine(style: Tensor, content: Tensor) -> Tensor:
    """Mean absolute cosine between all rows of style and all rows of content."""
    return (F.normalize(style, dim=-1) @ F.normalize(content, dim=-1).mT).abs().mean()
