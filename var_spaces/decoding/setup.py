"""Everything a run of the scale loop is given. Nothing in here changes while it runs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from var_spaces.cache.base import CachePolicy
from var_spaces.decoding.backbone import Adapting, Backbone, BatchRow, Condition, Tokenizer
from var_spaces.decoding.base import Guidance, Sampling
from var_spaces.decoding.loop.noise import Noise
from var_spaces.decoding.search.scoring import Asked
from var_spaces.schedule import ScaleSchedule

# (what, scale, tensor); see loop.py for what is reported
Observer = Callable[[str, int, Tensor], None]


class Deciding(Protocol):
    """What a run asks of its :class:`var_spaces.decoding.strategy.DecodingStrategy`."""

    def session(self, setup: RunSetup, images: Sequence[int]) -> Any:
        """Start the run of some of its images: a ``DecodingSession``."""
        ...


class Recordings(Protocol):
    """Lanes whose scales may have been recorded; see ``loop/graphs.py``."""

    def lane(self, setup: RunSetup, images: Sequence[int]) -> Any:
        """A lane of some images of a run."""
        ...


class Conditioning(Protocol):
    """What the images of a run are asked to show; every backbone embeds it in its own way."""

    def embed(
        self, backbone: Backbone, rows: Sequence[BatchRow], adapter: Adapting | None = None
    ) -> Condition:
        """Condition of a batch: every row asks for its image, rows named "null" for nothing.

        Args:
            rows: of the batch, a block of images per name.
            adapter: may read words in its own way.
        """
        ...

    @property
    def company(self) -> Hashable:
        """Conditions of which this is the same can be joined."""
        ...

    def along(self, others: Sequence[Self]) -> Self:
        """The condition of the images of all, one run after the other."""
        ...


class Substitution(Protocol):
    """Replaces drawn tokens by given ones before they are accumulated (editing)."""

    def __call__(
        self, scale: int, ids: Tensor, codes: Tensor, images: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Ids ``(B, l)`` and codes ``(B, l, z)`` to use in place of the drawn ones."""
        ...

    def kept(self, scale: int, images: Sequence[int]) -> Tensor:
        """Where tokens are given, ``(B or 1, l)`` bool."""
        ...


class Blending(Protocol):
    """Mixes given latents into those of a run after every scale (editing)."""

    def __call__(self, scale: int, f_hat: Tensor, images: Sequence[int]) -> Tensor:
        """What to go on with in place of ``f_hat (B, z, H, W)``."""
        ...


@dataclass(frozen=True, eq=False)
class RunSetup:
    """A run, ready to start.

    Attributes:
        tokenizer, backbone: the models; ``extra`` holds those a strategy asked for, by id.
        schedule: token maps to draw.
        conditioning: what to show.
        images: index of every image, by which it gets its noise.
        noise: source of sampling noise.
        sampling, guidance, cache, decoding: the methods.
        asked: what every image is to show, for strategies that judge images; may be empty.
        substitution: tokens to put in place of drawn ones, or None.
        blending: latents to mix into those of the run, or None.
        adapter: what it adds to the backbone, or None.
        previews: decode the images after every scale.
        observe: told about every intermediate result, for tests and inspection.
        graphs: recordings of earlier runs' scales to play again; None launches all work anew.
        lane_size: images that share a batch (see lane.py); None puts all in one.
    """

    tokenizer: Tokenizer
    backbone: Backbone
    schedule: ScaleSchedule
    conditioning: Conditioning
    images: tuple[int, ...]
    noise: Noise
    sampling: Sampling
    guidance: Guidance
    cache: CachePolicy
    decoding: Deciding
    extra: Mapping[str, Backbone] = field(default_factory=dict)
    asked: tuple[Asked, ...] = ()
    substitution: Substitution | None = None
    blending: Blending | None = None
    adapter: Adapting | None = None
    previews: bool = False
    observe: Observer | None = None
    graphs: Recordings | None = None
    lane_size: int | None = None

    @property
    def device(self) -> torch.device:
        return next(self.backbone.parameters()).device

    @property
    def half(self) -> bool:
        """Whether pictures are decoded in half precision: on a GPU, unless weights are float32."""
        weight = next(self.backbone.parameters())
        return weight.is_cuda and weight.dtype != torch.float32

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows that the batch carries for every image, the full condition first."""
        return self.guidance.rows(self.schedule)

    def lanes(self) -> list[range]:
        """Positions of the images of every lane."""
        count = len(self.images)
        size = self.lane_size or count
        return [range(start, min(start + size, count)) for start in range(0, count, size)]

    def report(self, scale: int, **tensors: Tensor) -> None:
        """Tell the observer, if there is one."""
        if self.observe is not None:
            for what, tensor in tensors.items():
                self.observe(what, scale, tensor)
