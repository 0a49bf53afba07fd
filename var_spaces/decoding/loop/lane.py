"""A lane: images of a run that share one batch, and everything about them that changes.

A run has one lane or several. Matrix products over larger batches may round differently, so one
image per lane makes an image bit for bit the same in any run; one lane for all is faster on a GPU.
On a CPU the images of a lane of several are drawn in whatever order of sums is fastest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from var_spaces import cpu
from var_spaces.decoding.backbone import Tokenizer
from var_spaces.decoding.base import Drawn, guide
from var_spaces.decoding.loop.noise import Row
from var_spaces.decoding.loop.pixels import decode
from var_spaces.decoding.setup import RunSetup
from var_spaces.errors import VarSpacesError
from var_spaces.events import Candidates


class Lane:
    """State of some images of a run.

    ``rows[b]`` says which image and candidate row *b* of the batch is; ``f_hat (B, z, H, W)`` is
    what the scales so far add up to, ``ids`` their tokens; ``tokens (B, l_k, z)`` is the input of
    the next scale.

    Args:
        setup: the run.
        images: positions in the run of the lane's images.
    """

    @torch.no_grad()
    def __init__(self, setup: RunSetup, images: Sequence[int]) -> None:
        self.setup, self.images = setup, list(images)
        self.session = setup.decoding.session(setup, self.images)
        slots = range(self.session.rows_per_image)
        self.rows = [Row(image, slot) for image in self.images for slot in slots]
        self.f_hat = setup.tokenizer.new_latent(len(self.rows), setup.schedule, setup.device)
        self.ids: list[Tensor] = []
        self.tokens: Tensor | None = None

    @property
    def shares(self) -> bool:
        """Whether images of a batch on a CPU may be drawn in any order of sums."""
        return self.setup.device.type == "cpu" and len(self.images) > 1

    @torch.no_grad()
    def advance(self, scale: int) -> dict[int, Tensor]:
        """One scale: predict, substitute, accumulate, select rows, prepare the next input.

        Returns:
            By image the mean entropy of the distributions that its rows were drawn from, in nats,
            on the device; NaN if a number that they were made of was not finite.
        """
        with cpu.any_order(self.shares):
            return self._advanced(scale)

    def _advanced(self, scale: int) -> dict[int, Tensor]:
        setup, tokenizer, schedule = self.setup, self.setup.tokenizer, self.setup.schedule
        drawing = Drawing(setup, scale, self.rows)
        counts = [sum(row.image == image for row in self.rows) for image in self.images]
        drawn = self.session.predict(scale, self.tokens, drawing)
        ids, codes = drawn.ids, drawn.codes
        images = [row.image for row in self.rows]
        if setup.substitution is not None:
            ids, codes = setup.substitution(scale, ids, codes, images)
        self.f_hat = tokenizer.accumulate(self.f_hat, codes, scale, schedule)
        if setup.blending is not None:
            self.f_hat = setup.blending(scale, self.f_hat, images)
        self.ids.append(ids)
        setup.report(scale, ids=ids, codes=codes, f_hat=self.f_hat)

        keep = self.session.select(scale, self.f_hat)
        if keep is not None:
            self._gather(keep)
        if scale < schedule.num_scales - 1:
            self.tokens = tokenizer.next_input(self.f_hat, scale, schedule)
        elif [row.image for row in self.rows] != self.images:
            raise VarSpacesError(
                f"Decoding '{setup.decoding.name}' left {len(self.rows)} rows for "
                f"{len(self.images)} images; it must keep one row per image."
            )
        return dict(zip(self.images, drawing.entropy.split(counts), strict=True))

    def _gather(self, keep: Tensor) -> None:
        """Go on with rows ``keep``, those of one image together and in the order of the images.

        A row's noise follows its new place among its image's rows, so copies of a row diverge.
        """
        keep = keep.cpu()
        images = torch.tensor([row.image for row in self.rows])[keep]
        keep = keep[images.argsort(stable=True)].to(self.f_hat.device)
        images = images.sort().values.tolist()
        self.rows = [Row(image, b - images.index(image)) for b, image in enumerate(images)]
        self.f_hat = self.f_hat[keep]
        self.ids = [ids[keep] for ids in self.ids]
        self.session.gather_rows(keep)

    @torch.no_grad()
    def drop(self, images: Collection[int]) -> None:
        """Go on without some of the images; between two scales."""
        keep = torch.tensor([b for b, row in enumerate(self.rows) if row.image not in images])
        self.images = [image for image in self.images if image not in images]
        self._gather(keep)
        if self.tokens is not None:
            self.tokens = self.tokens[keep.to(self.tokens.device)]

    def rows_of(self, images: Collection[int]) -> list[int]:
        """Rows that belong to some images."""
        return [b for b, row in enumerate(self.rows) if row.image in images]

    @torch.no_grad()
    def pixels(self, images: Collection[int]) -> np.ndarray:
        """Pixels ``(B, H, W, 3)`` of the rows of some images as they are now."""
        rows = self.rows_of(images)
        f_hat = self.f_hat if len(rows) == len(self.rows) else self.f_hat[rows]
        with cpu.any_order(self.shares):
            return decode(self.setup.tokenizer, f_hat, self.setup.half)

    @property
    def kv_bytes(self) -> int:
        """Bytes that the caches hold now."""
        return self.session.kv_bytes

    @property
    def kv_pinned_bytes(self) -> int:
        """Bytes of what is pinned in front of all tokens."""
        return self.session.kv_pinned_bytes

    def kv_full_bytes(self, scale: int) -> int:
        """Bytes that caches of all that is pinned and of all tokens up to and including ``scale``
        would hold."""
        return self.session.kv_full_bytes(scale)

    @property
    def candidates(self) -> tuple[Candidates, ...]:
        """What the last selection chose from, per image."""
        return self.session.candidates

    def close(self) -> None:
        """Free caches and latents."""
        self.session.close()
        self.f_hat = self.tokens = None
        self.ids = []


class Drawing:
    """Guidance and sampling of one scale, as handed to the strategy (a ``Draw``)."""

    def __init__(self, setup: RunSetup, scale: int, rows: Sequence[Row]) -> None:
        self.setup, self.scale = setup, scale
        self.rows = [Row(setup.images[row.image], row.slot) for row in rows]
        self.entropy = torch.zeros(len(self.rows))

    def __call__(
        self,
        logits: Tensor,
        *,
        part: int = 0,
        weight: float | None = None,
        setup: RunSetup | None = None,
    ) -> Drawn:
        setup, scale = setup or self.setup, self.scale
        guided = self._guided(logits, weight, setup)
        if part == 0:
            self.entropy = setup.sampling.entropy(guided)
        else:
            self.entropy = self.entropy.where(guided.isfinite().flatten(1).all(1), torch.nan)

        def gumbel(tokens: int, vocab: int) -> Tensor:
            return setup.noise.gumbel(self.rows, scale, part, tokens, vocab).to(guided.device)

        sampled = setup.sampling.sample(guided, gumbel, scale, setup.schedule)
        codes = _codes(setup.tokenizer, sampled.ids, sampled.weights)
        drawn = Drawn(sampled.ids, codes, sampled.logits)
        if setup.observe is not None:
            setup.report(scale, raw_logits=logits, logits=guided, filtered=drawn.logits)
        setup.report(scale, drawn_ids=drawn.ids, drawn_codes=codes)
        return drawn

    def _guided(self, logits: Tensor, weight: float | None, setup: RunSetup) -> Tensor:
        """Logits ``(B, l, V)`` of the images from those of all their rows."""
        names = setup.rows
        if len(names) == 1:
            return logits
        parts = dict(zip(names, logits.chunk(len(names)), strict=True))
        if weight is not None:
            return guide(parts, weight)
        return setup.guidance.combine(parts, self.scale, setup.schedule)


def _codes(tokenizer: Tokenizer, ids: Tensor, weights: Tensor | None) -> Tensor:
    """Code vectors ``(B, l, z)`` of ids, or their mixture by weights ``(B, l, V)``."""
    return tokenizer.embed(ids) if weights is None else weights @ tokenizer.codebook
