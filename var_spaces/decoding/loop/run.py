"""The scale loop, the only one: every model, cache policy and decoding strategy runs through it.

``run`` is a generator. It yields a ``ScaleDone`` per scale and an ``ImageReady`` per image, and
returns the token ids; closing it at any point frees everything the run held. All that changes
during a run lives in its lanes and the strategy's sessions, nothing in the modules, so runs can be
interleaved scale by scale. Gradients are off inside a step only, never while the consumer of the
events has control.

An observer is told, per scale and lane, ``raw_logits`` (before guidance), ``logits`` (guided),
``filtered``, ``drawn_ids``, ``drawn_codes`` and, after substitution, ``ids``, ``codes``, ``f_hat``;
a strategy with several passes reports the first five once per pass. Per backbone it is told
``kept``: which tokens the cache holds, and ``pinned``: how many entries stand in front of them in
every layer (see cache/retention.py).
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

import numpy as np
import torch
from torch import Tensor

from var_spaces.decoding.loop.lane import Lane
from var_spaces.decoding.setup import RunSetup
from var_spaces.errors import VarSpacesError
from var_spaces.events import ImageReady, ScaleDone


def run(setup: RunSetup) -> Generator[ScaleDone | ImageReady, None, list[Tensor]]:
    """Draw the images of ``setup``, coarse to fine.

    Returns:
        Ids of every scale in the order of ``setup.images``, ``[(B, l_k[, d])]`` on the CPU.
    """
    lanes: list[Lane] = []
    try:
        lanes.extend(Lane(setup, positions) for positions in setup.lanes())
        for scale in range(setup.schedule.num_scales):
            yield _advance(setup, lanes, scale)
        for lane in lanes:
            for position, image in zip(lane.images, lane.pixels(), strict=True):
                yield ImageReady(setup.images[position], image)
        per_scale = zip(*(lane.ids for lane in lanes), strict=True)
        return [torch.cat(ids).cpu() for ids in per_scale]
    finally:
        for lane in lanes:
            lane.close()
        lanes.clear()


def _advance(setup: RunSetup, lanes: Sequence[Lane], scale: int) -> ScaleDone:
    """Run one scale of every lane and report it."""
    started = _now(setup.device)
    rows = sum(len(lane.rows) for lane in lanes)
    entropies = [lane.advance(scale) for lane in lanes]
    seconds = _now(setup.device) - started
    drawn = np.average([float(one) for one in entropies], weights=[len(o.images) for o in lanes])
    if not np.isfinite(drawn):
        raise _not_finite(setup, scale)
    return ScaleDone(
        scale=scale,
        size=setup.schedule.sizes[scale],
        tokens=setup.schedule.lengths[scale],
        seconds=seconds,
        kv_bytes=sum(lane.session.kv_bytes for lane in lanes),
        kv_full_bytes=sum(lane.session.kv_full_bytes(scale) for lane in lanes),
        ids=torch.cat([lane.ids[-1] for lane in lanes]),
        preview=np.concatenate([lane.pixels() for lane in lanes]) if setup.previews else None,
        entropy=float(drawn),
        rows=rows,
        candidates=tuple(found for lane in lanes for found in lane.session.candidates),
    )


def _not_finite(setup: RunSetup, scale: int) -> VarSpacesError:
    """Why a run ends whose logits are NaN or infinite."""
    height, width = setup.schedule.sizes[scale]
    dtype = next(setup.backbone.parameters()).dtype
    remedy = "the model's weights are damaged, or a strength is far too large"
    if dtype != torch.float32:
        name = str(dtype).removeprefix("torch.")
        remedy = f"they overflow in {name}: try float32 (VAR_SPACES_DTYPE=float32)"
    return VarSpacesError(
        f"Scale {scale + 1} of {setup.schedule.num_scales} ({height}x{width}): what the model "
        f"predicts is not a number, so nothing can be drawn; {remedy}."
    )


def _now(device: torch.device) -> float:
    """Seconds on a steady clock, when all work given to the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
