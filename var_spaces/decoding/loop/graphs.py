"""Scales recorded once and played again: on a GPU one launch in place of hundreds.

At batch 1 a GPU computes a scale faster than the host can launch it. What runs do is the same from
run to run, but for the condition, the noise and what follows from them; so a *track*, a lane whose
tensors stay where they are, is recorded scale by scale (a CUDA graph each), and a later run writes
its condition and the keys of its noise into it and plays it.

The first run of a kind (models, schedule, images at once, methods) is launched as ever: kernels are
compiled and chosen then. The second is recorded while it runs. A kind that cannot be recorded (it
asks the host for something) is launched again from its first scale and never tried again. Searches,
edits, adapters and observed runs look at numbers on the way and are always launched.

Tracks are few and bounded in bytes; the one that was used longest ago goes. One run at a time plays
a track; others of its kind are launched meanwhile.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Protocol

import torch
from torch import Tensor

from var_spaces import methods
from var_spaces.decoding.loop import device_noise
from var_spaces.decoding.loop.backbone_run import full_kv_bytes
from var_spaces.decoding.loop.lane import Lane
from var_spaces.decoding.loop.noise import Row, generator
from var_spaces.decoding.setup import RunSetup
from var_spaces.events import Candidates

TRACKS = 4
KINDS = 64  # that are remembered
SHARE = 0.25  # of the device's memory that caches of tracks may take together
MOST_PARTS = 16  # passes of a scale

log = logging.getLogger(__name__)


class Recorder(Protocol):
    """Records what a device is given to do."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Let ``work`` launch what it launches, and return what does the same again.

        All tensors keep their places. What ``work`` launches need not have been computed when this
        returns: play it.
        """
        ...


class CudaRecorder:
    """CUDA graphs that share one pool of memory."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on with work of their own.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            work()
        return graph.replay


@dataclass(frozen=True)
class KeyedNoise:
    """Noise of keys that lie on the device and may be overwritten.

    Args:
        keys: ``(scales, parts, B, 2)`` int64.
    """

    keys: Tensor

    @classmethod
    def of(
        cls, noise: Any, rows: Sequence[Row], passes: Sequence[int], device: torch.device
    ) -> KeyedNoise:
        """Of what a run draws from, for all passes of all scales."""
        origins = [(*noise.origin(row), row.slot) for row in rows]
        keys = [
            [
                [device_noise.signed_key(generator(*origin, scale, part)) for origin in origins]
                for part in range(max(passes))
            ]
            for scale in range(len(passes))
        ]
        return cls(device_noise.sent(keys, device))

    def gumbel(self, rows: Sequence[Row], scale: int, part: int, tokens: int, vocab: int) -> Tensor:
        noise = device_noise.of_keys(self.keys[scale, part], tokens * vocab)
        return noise.view(-1, tokens, vocab)


@dataclass(frozen=True, eq=False)
class Step:
    """One recorded scale, and where it leaves what it makes."""

    play: Callable[[], None]
    f_hat: Tensor
    ids: Tensor
    entropies: dict[int, Tensor]
    kv_bytes: int


class Track:
    """A lane that is recorded, and what runs write into it."""

    def __init__(self, setup: RunSetup, images: Sequence[int], recorder: Recorder) -> None:
        self.passes = [step.passes for step in setup.decoding.work(setup.schedule, _depth(setup))]
        self.recorder, self.busy = recorder, False
        self.noise = KeyedNoise.of(setup.noise, _rows(setup, images), self.passes, setup.device)
        own = replace(setup, noise=self.noise, previews=False, graphs=None)
        self.lane = Lane(own, images)
        # What was recorded reads and writes these when it is played, even if the lane has gone on
        # to others, or its strategy has freed a part of the cache.
        self.held = [self.lane.f_hat, *self.lane.session.buffers()]
        self.steps: list[Step] = []
        self.bytes = _bytes(setup, images)

    @torch.no_grad()
    def take(self, setup: RunSetup, images: Sequence[int]) -> bool:
        """Write what a run asks for into it; False, and nothing is changed, if that has other
        shapes (a longer prompt)."""
        if not self.lane.session.refresh(setup, images):
            return False
        own = KeyedNoise.of(setup.noise, _rows(setup, images), self.passes, setup.device)
        self.noise.keys.copy_(own.keys)
        return True

    def step(self, scale: int) -> Step:
        """Play a scale; record it before that if it is new."""
        if scale == len(self.steps):
            lane, found = self.lane, []
            play = self.recorder.record(lambda: found.append(lane.advance(scale)))
            self.steps.append(Step(play, lane.f_hat, lane.ids[-1], found[0], lane.kv_bytes))
        self.steps[scale].play()
        return self.steps[scale]


class TrackLane(Lane):
    """A run's lane on a track; should recording fail, it goes on as a lane of its own."""

    def __init__(
        self, setup: RunSetup, images: Sequence[int], track: Track, failed: Callable[[], None]
    ) -> None:
        self.setup, self.images, self.track, self._failed = setup, list(images), track, failed
        self.rows = [Row(image) for image in self.images]
        self.ids: list[Tensor] = []
        self.launched: Lane | None = None

    def advance(self, scale: int) -> dict[int, Tensor]:
        if self.launched is None:
            try:
                step = self.step = self.track.step(scale)
            except Exception as error:
                self._launch(scale, error)
            else:  # the next run overwrites all this
                self.f_hat = step.f_hat
                self.ids.append(step.ids.clone())
                return {image: step.entropies[image].clone() for image in self.images}
        entropies = self.launched.advance(scale)
        self.f_hat = self.launched.f_hat
        self.ids.append(self.launched.ids[-1])
        return {image: entropies[image] for image in self.images}

    def _launch(self, scale: int, error: Exception) -> None:
        """Go on without a track. What was drawn so far is drawn again, and comes out the same."""
        reason = (str(error).splitlines() or [""])[0][:120]
        log.warning("This kind of run is not recorded: %s: %s", type(error).__name__, reason)
        self._failed()
        self.launched = Lane(replace(self.setup, graphs=None), [row.image for row in self.rows])
        for before in range(scale):
            self.launched.advance(before)

    def drop(self, images: Collection[int]) -> None:
        """Go on without some of the images. Their rows stay: a track has one size."""
        self.images = [image for image in self.images if image not in images]

    @property
    def kv_bytes(self) -> int:
        return (self.launched or self.step).kv_bytes

    @property
    def kv_pinned_bytes(self) -> int:
        return self.track.lane.kv_pinned_bytes

    def kv_full_bytes(self, scale: int) -> int:
        return self.track.lane.kv_full_bytes(scale)

    @property
    def candidates(self) -> tuple[Candidates, ...]:
        return ()

    def close(self) -> None:
        """Give the track back."""
        if self.launched is not None:
            self.launched.close()
        self.track.busy = False
        self.f_hat, self.ids = None, []


class Graphs:
    """The tracks of a process.

    Args:
        recorder: makes one for a track.
        most: tracks that are kept.
        room: bytes that the caches of tracks may take on a device.
    """

    def __init__(
        self,
        recorder: Callable[[], Recorder] = CudaRecorder,
        most: int = TRACKS,
        room: Callable[[torch.device], float] | None = None,
    ) -> None:
        self._recorder, self._most, self._room = recorder, most, room or _share_of_memory
        self._kinds: OrderedDict[tuple, bool] = OrderedDict()  # whether it may be recorded
        self._tracks: OrderedDict[Track, tuple] = OrderedDict()  # used last at the end
        self._coming: list[int] = []  # bytes of those that are being made
        self._lock = Lock()

    def lane(self, setup: RunSetup, images: Sequence[int]) -> Lane:
        """A lane of some images of a run, on a track if there is one or may be one."""
        if not _repeats(setup):
            return Lane(setup, images)
        kind = _kind(setup, images)
        with self._lock:
            allowed = self._kinds.get(kind)
            self._remember(kind, allowed is not False)
            track = self._free(kind, setup, images) if allowed else None
            if track is not None:
                track.busy = True
        if allowed and track is None:
            track = self._new(kind, setup, images)
        if track is None:
            return Lane(setup, images)
        return TrackLane(setup, images, track, lambda: self._give_up(kind, track))

    def forget(self, module: Any) -> None:
        """Drop all tracks of a model: it leaves the memory."""
        with self._lock:
            for track in list(self._tracks):
                setup = track.lane.setup
                if any(module is own for own in _models(setup)):
                    del self._tracks[track]

    def _remember(self, kind: tuple, allowed: bool) -> None:
        self._kinds[kind] = allowed
        self._kinds.move_to_end(kind)
        while len(self._kinds) > KINDS:
            self._kinds.popitem(last=False)

    def _free(self, kind: tuple, setup: RunSetup, images: Sequence[int]) -> Track | None:
        """A track of a kind that nobody plays and whose shapes are those of this run."""
        for track, own in reversed(list(self._tracks.items())):
            if own == kind and not track.busy and track.take(setup, images):
                self._tracks.move_to_end(track)
                return track
        return None

    def _new(self, kind: tuple, setup: RunSetup, images: Sequence[int]) -> Track | None:
        """A track for this run, if there is room for it beside those that are played."""
        needed, room = _bytes(setup, images), self._room(setup.device)
        with self._lock:
            idle = [track for track in self._tracks if not track.busy and needed <= room]
            while not (fits := self._fits(needed, room)) and idle:
                del self._tracks[idle.pop(0)]
            if not fits:
                return None
            self._coming.append(needed)  # whoever comes meanwhile finds less room
        try:
            track = Track(setup, images, self._recorder())
            track.busy = True
            with self._lock:
                self._tracks[track] = kind
            return track
        except torch.OutOfMemoryError:
            return None
        finally:
            with self._lock:
                self._coming.remove(needed)

    def _fits(self, needed: int, room: float) -> bool:
        taken = [*(track.bytes for track in self._tracks), *self._coming]
        return len(taken) < self._most and sum(taken) + needed <= room

    def _give_up(self, kind: tuple, track: Track) -> None:
        with self._lock:
            self._remember(kind, False)
            self._tracks.pop(track, None)


def _repeats(setup: RunSetup) -> bool:
    """Whether runs like this do the same whatever they draw, all on one device."""
    own = (setup.observe, setup.adapter, setup.substitution, setup.blending)
    plain = all(part is None for part in own)
    passes = setup.decoding.work(setup.schedule, _depth(setup))
    few = max(step.passes for step in passes) <= MOST_PARTS
    if not (plain and few and setup.decoding.repeats and hasattr(setup.noise, "origin")):
        return False
    places = {p.device for model in _models(setup) for p in model.parameters()}
    return places == {setup.device}


def _kind(setup: RunSetup, images: Sequence[int]) -> tuple:
    """What runs have in common that can be played one like the other."""
    parts = (setup.sampling, setup.guidance, setup.cache, setup.decoding)
    models = tuple(id(model) for model in _models(setup))
    return (models, setup.schedule, tuple(images), *(repr(methods.dump(part)) for part in parts))


def _models(setup: RunSetup) -> tuple[Any, ...]:
    return (setup.backbone, setup.tokenizer, *setup.extra.values())


def _rows(setup: RunSetup, images: Sequence[int]) -> list[Row]:
    return [Row(setup.images[image]) for image in images]


def _bytes(setup: RunSetup, images: Sequence[int]) -> int:
    """What a cache of all tokens takes."""
    rows, last = len(images) * len(setup.rows), setup.schedule.num_scales - 1
    return full_kv_bytes(setup.backbone, setup.schedule, rows, last)


def _depth(setup: RunSetup) -> int:
    return setup.backbone.kv_layout()[0]


def _share_of_memory(device: torch.device) -> float:
    return SHARE * torch.cuda.get_device_properties(device).total_memory


GRAPHS = Graphs()
