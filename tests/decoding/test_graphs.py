"""Scales that are recorded and played again: equal to launched ones, bounded, and falling back."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache

import pytest
import torch

from tests import tiny
from tests.decoding.tape import Tape, Watch
from var_spaces.backbones.hmar import HMAR
from var_spaces.backbones.hmar_config import HMARConfig
from var_spaces.backbones.text_features import TextFeatures, concatenate
from var_spaces.cache.quantised import Quantised
from var_spaces.cache.streaming import StreamingLLM
from var_spaces.decoding.backbone import NULL, blocks
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.per_scale import ScaleGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.graphs import Graphs, KeyedNoise, TrackLane
from var_spaces.decoding.loop.lane import Lane
from var_spaces.decoding.loop.noise import Row, SeededNoise
from var_spaces.decoding.sampling import top_k_top_p
from var_spaces.decoding.sampling.bits import BitSampling
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.decoding.search.best_of_n import BestOfN
from var_spaces.decoding.strategies.masked import MaskedDecoding
from var_spaces.decoding.strategies.supernet import Supernet
from var_spaces.events import ImageReady, ScaleDone


@pytest.fixture(autouse=True)
def far(monkeypatch):
    """Sampling as on a GPU."""
    monkeypatch.setattr(top_k_top_p, "_is_far", lambda tensor: True)


def graphs(**more) -> Graphs:
    return Graphs(Tape, room=more.pop("room", lambda device: 1e9), **more)


def drawn(setup):
    """Ids, pixels and numbers of a run."""
    events, ids = tiny.drain(loop.run(setup))
    scales = [event for event in events if isinstance(event, ScaleDone)]
    images = [event.image for event in events if isinstance(event, ImageReady)]
    kept = [scale.ids for scale in scales]
    numbers = [(scale.entropy, scale.kv_bytes, scale.kv_full_bytes) for scale in scales]
    return ids, kept, images, numbers


def same(one, two) -> bool:
    return (
        all(map(torch.equal, one[0] + one[1], two[0] + two[1]))
        and all((a == b).all() for a, b in zip(one[2], two[2], strict=True))
        and one[3] == two[3]
    )


def runs(setup, count=3):
    """Runs that differ in seed, images and classes."""
    for number in range(count):
        changed = {"images": tuple(range(number, number + len(setup.images)))}
        if isinstance(setup.conditioning, ClassConditioning):
            labels = tuple((3 + number + i) % 5 for i in range(len(setup.images)))
            changed["conditioning"] = ClassConditioning(labels)
        else:
            changed["conditioning"] = Prompts(number)
        yield replace(setup, noise=SeededNoise(number), **changed)


class Prompts:
    """Random features."""

    def __init__(self, seed: int, length: int = 5) -> None:
        self.seed, self.length = seed, length

    def embed(self, backbone, rows, adapter=None):
        torch.manual_seed(self.seed)
        parts = []
        for name, images in blocks(rows).items():
            lengths = (self.length,) * len(images)
            drawn = torch.randn(sum(lengths), backbone.config.text_dim)
            parts.append(
                backbone.empty_text(lengths) if name == NULL else TextFeatures(drawn, lengths)
            )
        return backbone.condition(concatenate(parts))


@cache
def hmar() -> HMAR:
    torch.manual_seed(0)
    config = tiny.shared()[1].config
    return HMAR(HMARConfig.branching(config, 1)).eval().requires_grad_(False)


@cache
def text() -> tuple:
    from var_spaces.backbones.infinity import Infinity
    from var_spaces.backbones.infinity_config import InfinityConfig
    from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig

    torch.manual_seed(0)
    config = InfinityConfig(2, 32, 2, 8, (1, 2, 4), text_dim=16, text_len=9, pool_heads=2)
    sizes = BitwiseConfig(ch=32, ch_mult=(1, 1), bits=8, patch_nums=(1, 2, 4))
    return Bitwise(sizes).eval(), Infinity(config).eval()


def text_setup():
    tokenizer, backbone = text()
    return tiny.setup(
        (0,),
        tokenizer=tokenizer,
        backbone=backbone,
        schedule=backbone.schedule,
        sampling=BitSampling(),
        guidance=ScaleGuidance(),
        conditioning=Prompts(0),
    )


KINDS = {
    "plain": lambda: tiny.setup((0,)),
    "two images": lambda: tiny.setup((0, 1), sampling=TopKTopP(top_k=9, top_p=0.8)),
    "VARiant": lambda: tiny.setup((0,), decoding=Supernet(depth=2, bridge=1)),
    "masked": lambda: tiny.setup((0,), backbone=hmar(), decoding=MaskedDecoding(steps=(1, 2))),
    "text": text_setup,
    "quantised cache": lambda: tiny.setup((0,), cache=Quantised(bits=8)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_played_runs_equal_launched_ones(kind, caplog):
    kept = graphs()
    for number, setup in enumerate(runs(KINDS[kind](), 4)):
        want = drawn(setup)
        got = drawn(replace(setup, graphs=kept, previews=number == 3))
        assert same(got, want), number
    assert len(kept._tracks) == 1 and not caplog.records
    (track,) = kept._tracks
    assert len(track.steps) == setup.schedule.num_scales and not track.busy


def test_the_first_run_is_launched_the_second_recorded():
    kept = graphs()
    setup = replace(tiny.setup((0,)), graphs=kept)
    assert type(kept.lane(setup, [0])) is Lane
    assert type(kept.lane(setup, [0])) is TrackLane


def test_runs_that_meet_share_no_track():
    kept = graphs()
    one, two, three = (replace(setup, graphs=kept) for setup in runs(tiny.setup((0,))))
    tiny.drain(loop.run(one))
    wanted = [drawn(replace(setup, graphs=None))[0] for setup in (two, three)]
    lanes = [kept.lane(setup, [0]) for setup in (two, three)]
    for scale in range(two.schedule.num_scales):
        for lane in lanes:
            lane.advance(scale)
    for lane, want in zip(lanes, wanted, strict=True):
        assert all(map(torch.equal, lane.ids, want))
    assert lanes[0].track is not lanes[1].track
    lanes[0].close()
    assert kept.lane(two, [0]).track is lanes[0].track


def test_longer_prompts_get_a_track_of_their_own():
    kept, setup = graphs(), text_setup()
    for length in (5, 5, 7, 7, 5):
        asked = replace(setup, conditioning=Prompts(length, length))
        want = drawn(asked)
        assert same(drawn(replace(asked, graphs=kept)), want)
    assert len(kept._tracks) == 2


def test_tracks_are_few_and_bounded_in_bytes():
    kept = graphs(most=2)
    for top_k in (0, 0, 3, 3, 5, 5):
        drawn(tiny.setup((0,), sampling=TopKTopP(top_k=top_k), graphs=kept))
    assert len(kept._tracks) == 2
    small = graphs(room=lambda device: 10)
    for _ in range(3):
        drawn(tiny.setup((0,), graphs=small))
    assert not small._tracks


def test_a_track_that_is_being_made_takes_its_room():
    one, two, _ = runs(tiny.setup((0,)))
    met = []

    def recorder():
        met.append(type(kept.lane(two, [0])))  # comes while the track of another is made
        return Tape()

    kept = Graphs(recorder, most=1, room=lambda device: 1e9)
    one, two = (replace(setup, graphs=kept) for setup in (one, two))
    kept.lane(one, [0])
    assert type(kept.lane(one, [0])) is TrackLane
    assert met == [Lane] and len(kept._tracks) == 1


def test_what_leaves_the_memory_takes_its_tracks_along():
    kept, setup = graphs(), tiny.setup((0,))
    for _ in range(2):
        drawn(replace(setup, graphs=kept))
    kept.forget(hmar())
    assert len(kept._tracks) == 1
    kept.forget(setup.tokenizer)
    assert not kept._tracks


def test_a_kind_that_asks_the_host_is_launched_from_its_first_scale(caplog):
    class Asking(TopKTopP):
        def sample(self, logits, gumbel, scale, schedule):
            if scale == 2:
                assert float(logits.max()) < 1e9
            return super().sample(logits, gumbel, scale, schedule)

    kept = graphs()
    with caplog.at_level(logging.WARNING):
        for setup in runs(tiny.setup((0,), sampling=Asking()), 4):
            assert same(drawn(replace(setup, graphs=kept)), drawn(setup))
    assert len(caplog.records) == 1 and "is not recorded: Waits" in caplog.text
    assert not kept._tracks


@pytest.mark.parametrize(
    "changes",
    [{"observe": lambda *_: None}, {"cache": StreamingLLM(budget=0.5)}],
    ids=["observed", "budget"],
)
def test_other_runs_stay_what_they_are(changes):
    kept = graphs()
    for setup in runs(tiny.setup((0,), **changes)):
        assert same(drawn(replace(setup, graphs=kept)), drawn(setup))


def test_searches_are_launched():
    setup = tiny.setup((0,), decoding=BestOfN(candidates=2), graphs=graphs())
    assert not setup.decoding.repeats
    assert {type(setup.graphs.lane(setup, [0])) for _ in range(2)} == {Lane}


@pytest.mark.parametrize("kind", KINDS)
def test_no_scale_waits_for_the_device(kind):
    setup = KINDS[kind]()
    images = range(len(setup.images))
    scales = range(setup.schedule.num_scales)
    rows, passes = [Row(image) for image in images], [2] * len(scales)
    noise = KeyedNoise.of(SeededNoise(0), rows, passes, torch.device("cpu"))
    lane = Lane(replace(setup, noise=noise), images)
    with Watch() as watch:
        for scale in scales:
            lane.advance(scale)
    assert not watch.waits


@pytest.mark.cuda
@pytest.mark.parametrize("kind", KINDS)
def test_played_runs_equal_launched_ones_on_cuda(kind, monkeypatch):
    monkeypatch.undo()
    kept, base = Graphs(), KINDS[kind]()
    models = {name: getattr(base, name).to("cuda") for name in ("backbone", "tokenizer")}
    try:
        for setup in runs(replace(base, **models), 4):
            setup = replace(setup, noise=replace(setup.noise, device=torch.device("cuda")))
            assert same(drawn(replace(setup, graphs=kept)), drawn(setup))
        assert len(kept._tracks) == 1
    finally:
        for model in models.values():
            model.to("cpu")
