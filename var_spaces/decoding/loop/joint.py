"""Several runs as one setup, so that one pass serves the images of all.

Only what differs between them is joined: conditions, noise and what is asked for. Each image keeps
the noise it has alone, so it also keeps its tokens, as far as sums round alike: on a CPU to the
last bit, where every image is a lane of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from var_spaces.decoding.loop.noise import Noise, Row
from var_spaces.decoding.setup import RunSetup


@dataclass(frozen=True)
class JointNoise:
    """Noise of every image from the run that it belongs to.

    Args:
        sources: by position, the noise of a run and the image's index in it.
    """

    sources: tuple[tuple[Noise, int], ...]

    def origin(self, row: Row) -> tuple[int, int]:
        """Seed and index of the image of a row."""
        noise, image = self.sources[row.image]
        return noise.origin(Row(image, row.slot))

    def gumbel(self, rows: Sequence[Row], scale: int, part: int, tokens: int, vocab: int) -> Tensor:
        found = []
        for _, group in groupby(rows, key=lambda row: id(self.sources[row.image][0])):
            own = list(group)
            noise = self.sources[own[0].image][0]
            named = [Row(self.sources[row.image][1], row.slot) for row in own]
            found.append(noise.gumbel(named, scale, part, tokens, vocab))
        return torch.cat(found)


def joined(setups: Sequence[RunSetup]) -> RunSetup:
    """One setup for the images of all, run after run.

    Args:
        setups: of equal models, schedules and methods; none has an adapter, an observer, or
            anything of a picture.
    """
    first, *others = setups
    if not others:
        return first
    sources = [(setup.noise, image) for setup in setups for image in setup.images]
    return replace(
        first,
        conditioning=first.conditioning.along([setup.conditioning for setup in others]),
        images=tuple(range(len(sources))),
        noise=JointNoise(tuple(sources)),
        asked=tuple(asked for setup in setups for asked in setup.asked),
    )
