"""The scale loop, the only one: every model, cache policy and decoding strategy runs through it.

``run`` is a generator. It yields a ``ScaleDone`` per scale and an ``ImageReady`` per image, and
returns the token ids; closing it at any point frees everything the run held. All that changes
during a run lives in its lanes and the strategy's sessions, nothing in the modules, so runs can be
interleaved scale by scale. Gradients are off inside a step only, never while the consumer of the
events has control.

An observer is told, per scale and lane, ``raw_logits`` (before guidance), ``logits`` (guided),
``filtered``, ``drawn_ids``, ``drawn_codes`` and, after substitution and blending, ``ids``,
``codes``, ``f_hat``; a strategy with several passes reports the first five once per pass. Per
backbone it is told ``kept``: which tokens the cache holds, and ``pinned``: how many entries stand
in front of them in every layer (see cache/retention.py).

On a GPU nothing here waits for the device: times and entropies are read by whoever wants them, and
numbers that are not finite end a run when they are known, at the latest before it is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from var_spaces.decoding.loop.clock import clock_of
from var_spaces.decoding.loop.lane import Lane
from var_spaces.decoding.setup import RunSetup
from var_spaces.errors import VarSpacesError
from var_spaces.events import ImageReady, Measured, ScaleDone


def run(setup: RunSetup) -> Generator[ScaleDone | ImageReady, None, list[Tensor]]:
    """Draw the images of ``setup``, coarse to fine.

    Returns:
        Ids of every scale in the order of ``setup.images``, ``[(B, l_k[, d])]`` on the CPU.
    """
    walk, everything = Walk(setup), range(len(setup.images))
    try:
        for scale in range(setup.schedule.num_scales):
            walk.advance(scale)
            yield walk.done(scale, everything)
        for position, image in walk.pictures(everything):
            yield ImageReady(setup.images[position], image)
        return walk.ids(everything)
    finally:
        walk.close()


class Walk:
    """The images of a setup on their way through the scales, all at the same one.

    They may belong to several runs (see ``tasks/together.py``): then each is told about its own
    images, and whoever gives up takes its own out.
    """

    def __init__(self, setup: RunSetup) -> None:
        self.setup, self.lanes, self.clock = setup, [], clock_of(setup.device)
        self.entropies: list[dict[int, Tensor]] = []
        self.coming: list[tuple[int, Sequence[int], Measured]] = []  # nobody has looked at it
        make = setup.graphs.lane if setup.graphs else Lane
        try:
            self.lanes.extend(make(setup, positions) for positions in setup.lanes())
        except BaseException:
            self.close()
            raise

    def advance(self, scale: int) -> None:
        """Run one scale of every lane."""
        self.clock.start()
        self.entropies = [lane.advance(scale) for lane in self.lanes]
        self.clock.stop()

    def done(self, scale: int, images: Sequence[int]) -> ScaleDone:
        """What the scale that was run last has brought for some images.

        Args:
            images: their positions in the setup.

        Raises:
            VarSpacesError: if what the model predicted for them, at this scale or an earlier one,
                is known to be no number.
        """
        setup, lanes = self.setup, self._lanes(images)
        drawn = [found[image] for found in self.entropies for image in images if image in found]
        measured = self.clock.measured(torch.cat(drawn))
        self.coming.append((scale, images, measured))
        self._check(images, lambda one: one.ready)
        shares = [(lane, len(lane.rows_of(images)), len(lane.rows)) for lane in lanes]
        return ScaleDone(
            scale=scale,
            size=setup.schedule.sizes[scale],
            tokens=setup.schedule.lengths[scale],
            kv_bytes=sum(lane.kv_bytes * own // rows for lane, own, rows in shares),
            kv_full_bytes=sum(
                lane.kv_full_bytes(scale) * own // rows for lane, own, rows in shares
            ),
            kv_pinned_bytes=sum(lane.kv_pinned_bytes * own // rows for lane, own, rows in shares),
            ids=torch.cat([lane.ids[-1][lane.rows_of(images)] for lane in lanes]),
            preview=self._pixels(images) if setup.previews else None,
            measured=measured,
            rows=sum(map(len, drawn)),
            candidates=tuple(found for lane in lanes for found in lane.candidates),
        )

    def pictures(self, images: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Finished images ``(H, W, 3)`` uint8 with their positions in the setup.

        Raises:
            VarSpacesError: if what they were drawn from, or the decoder's output, is no number.
        """
        self._check(images, lambda one: True)
        return zip(images, self._pixels(images), strict=True)

    def ids(self, images: Sequence[int]) -> list[Tensor]:
        """Ids of every scale of some images, ``[(B, l_k[, d])]`` on the CPU."""
        shares = [(lane, lane.rows_of(images)) for lane in self._lanes(images)]
        scales = range(self.setup.schedule.num_scales)
        return [torch.cat([lane.ids[k][rows] for lane, rows in shares]).cpu() for k in scales]

    def drop(self, images: Sequence[int]) -> None:
        """Go on without some images, and free what they held."""
        for lane in self._lanes(images):
            if set(lane.images) <= set(images):
                lane.close()
                self.lanes.remove(lane)
            else:
                lane.drop(images)

    def close(self) -> None:
        """Free everything."""
        for lane in self.lanes:
            lane.close()
        self.lanes.clear()

    def _check(self, images: Sequence[int], wanted: Callable[[Measured], bool]) -> None:
        """Refuse to go on with images some of whose scales were drawn from no numbers."""
        looked = [one for one in self.coming if one[1] == images and wanted(one[2])]
        self.coming = [one for one in self.coming if one not in looked]
        for scale, _, measured in looked:
            if not np.isfinite(measured.entropy):
                raise _not_finite(self.setup, scale)

    def _lanes(self, images: Sequence[int]) -> list[Lane]:
        return [lane for lane in self.lanes if not set(lane.images).isdisjoint(images)]

    def _pixels(self, images: Sequence[int]) -> np.ndarray:
        return np.concatenate([lane.pixels(images) for lane in self._lanes(images)])


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
