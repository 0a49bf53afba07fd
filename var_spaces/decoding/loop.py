"""The scale loop, the only one: every model, cache policy and decoding strategy runs through it.

``run`` is a generator. It yields a ``ScaleDone`` per scale and an ``ImageReady`` per image, and
returns the token ids; closing it at any point frees everything the run held. All that changes during a run lives here and in the
strategy's session, nothing in the modules, so runs can be interleaved scale by scale. Gradients are
off inside a step only, never while the consumer of the events has control.

An observer is told, per scale, ``raw_logits`` (before guidance), ``logits`` (guided), ``filtered``,
``drawn_ids``, ``drawn_codes`` and, after substitution, ``ids``, ``codes``, ``f_hat``; a strategy
with several passes reports the first four once per pass.
"""

from __future__ import annotations

import time
from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor

from var_spaces.decoding.base import Drawn
from var_spaces.decoding.guidance import guide
from var_spaces.decoding.noise import Row
from var_spaces.decoding.pixels import decode
from var_spaces.decoding.setup import RunSetup
from var_spaces.errors import VarSpacesError
from var_spaces.events import ImageReady, ScaleDone


def run(setup: RunSetup) -> Generator[ScaleDone | ImageReady, None, list[Tensor]]:
    """Draw the images of ``setup``, coarse to fine.

    Returns:
        Ids of every scale in the order of ``setup.images``, ``[(B, l_k[, d])]`` on the CPU.
    """
    state = _Run(setup)
    try:
        for scale in range(setup.schedule.num_scales):
            yield state.advance(scale)
        for position, index in enumerate(setup.images):
            yield ImageReady(index, state.image(position))
        return [ids.cpu() for ids in state.ids]
    finally:
        state.close()


class _Run:
    """What changes during a run.

    ``rows[b]`` says which image and candidate row *b* of the batch is; ``f_hat (B, z, H, W)`` is
    what the scales so far add up to, ``ids`` their tokens; ``tokens (B, l_k, z)`` is the input of
    the next scale.
    """

    @torch.no_grad()
    def __init__(self, setup: RunSetup) -> None:
        self.setup = setup
        self.session = setup.decoding.session(setup)
        slots = range(self.session.rows_per_image)
        self.rows = [Row(position, slot) for position in range(len(setup.images)) for slot in slots]
        self.f_hat = setup.tokenizer.new_latent(len(self.rows), setup.schedule, setup.device)
        self.ids: list[Tensor] = []
        self.tokens: Tensor | None = None

    @torch.no_grad()
    def advance(self, scale: int) -> ScaleDone:
        """One scale: predict, substitute, accumulate, select rows, prepare the next input."""
        setup, tokenizer, schedule = self.setup, self.setup.tokenizer, self.setup.schedule
        started = self._now()
        drawing = _Drawing(setup, scale, self.rows)
        drawn = self.session.predict(scale, self.tokens, drawing)
        ids, codes = drawn.ids, drawn.codes
        if setup.substitution is not None:
            ids, codes = setup.substitution(scale, ids, codes, [row.image for row in self.rows])
        self.f_hat = tokenizer.accumulate(self.f_hat, codes, scale, schedule)
        self._observe(scale, ids=ids, codes=codes, f_hat=self.f_hat)

        self.ids.append(ids)
        keep = self.session.select(scale, self.f_hat)
        if keep is not None:
            self._gather(keep)
        if scale < schedule.num_scales - 1:
            self.tokens = tokenizer.next_input(self.f_hat, scale, schedule)
        else:
            self._check_survivors()
        seconds = self._now() - started
        return ScaleDone(
            scale=scale,
            size=schedule.sizes[scale],
            tokens=schedule.lengths[scale],
            seconds=seconds,
            kv_bytes=self.session.kv_bytes,
            kv_full_bytes=self.session.kv_full_bytes(scale),
            ids=self.ids[-1],
            preview=decode(tokenizer, self.f_hat) if setup.previews else None,
            entropy=drawing.entropy,
        )

    def _gather(self, keep: Tensor) -> None:
        """Go on with rows ``keep``, those of one image together and in the order of the images.

        A row's noise follows its new place among its image's rows, so copies of a row diverge.
        """
        keep = keep.cpu()
        images = torch.tensor([row.image for row in self.rows])[keep]
        keep = keep[images.argsort(stable=True)]
        images = images.sort().values.tolist()
        self.rows = [Row(image, b - images.index(image)) for b, image in enumerate(images)]
        keep = keep.to(self.f_hat.device)
        self.f_hat = self.f_hat[keep]
        self.ids = [ids[keep] for ids in self.ids]
        self.session.gather_rows(keep)

    def _check_survivors(self) -> None:
        if [row.image for row in self.rows] != list(range(len(self.setup.images))):
            raise VarSpacesError(
                f"Decoding '{self.setup.decoding.name}' left {len(self.rows)} rows for "
                f"{len(self.setup.images)} images; it must keep one row per image."
            )

    @torch.no_grad()
    def image(self, position: int) -> np.ndarray:
        """Pixels ``(H, W, 3)`` of a finished image."""
        return decode(self.setup.tokenizer, self.f_hat[position : position + 1])[0]

    def _observe(self, scale: int, **tensors: Tensor) -> None:
        if self.setup.observe is not None:
            for what, tensor in tensors.items():
                self.setup.observe(what, scale, tensor)

    def _now(self) -> float:
        """Seconds on a steady clock, when all work given to the device is done."""
        if self.setup.device.type == "cuda":
            torch.cuda.synchronize(self.setup.device)
        return time.perf_counter()

    def close(self) -> None:
        self.session.close()
        self.f_hat = self.tokens = None
        self.ids = []


class _Drawing:
    """Guidance and sampling of one scale, as handed to the strategy."""

    def __init__(self, setup: RunSetup, scale: int, rows: list[Row]) -> None:
        self.setup, self.scale = setup, scale
        self.rows = [Row(setup.images[row.image], row.slot) for row in rows]
        self.entropy = 0.0

    def __call__(self, logits: Tensor, *, part: int = 0, weight: float | None = None) -> Drawn:
        setup, scale = self.setup, self.scale
        if weight is None:
            weight = setup.guidance.weight(scale, setup.schedule)
        guided = guide(logits, weight) if setup.guided else logits
        if part == 0:
            self.entropy = setup.sampling.entropy(guided)

        def gumbel(tokens: int, vocab: int) -> Tensor:
            noise = setup.noise.gumbel(self.rows, scale, part, tokens, vocab)
            return noise.to(guided.device, non_blocking=True)

        sampled = setup.sampling.sample(guided, gumbel, setup.schedule.ratio(scale))
        if sampled.weights is None:
            codes = setup.tokenizer.embed(sampled.ids)
        else:
            codes = sampled.weights @ setup.tokenizer.codebook
        report = {"raw_logits": logits, "logits": guided, "filtered": sampled.logits}
        report |= {"drawn_ids": sampled.ids, "drawn_codes": codes}
        if setup.observe is not None:
            for what, tensor in report.items():
                setup.observe(what, scale, tensor)
        return Drawn(sampled.ids, codes, sampled.logits)
