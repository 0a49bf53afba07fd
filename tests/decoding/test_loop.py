"""The scale loop with the plain strategy: events, reproducibility, interleaving, clean-up."""

import gc
import weakref

import numpy as np
import pytest
import torch

from tests import tiny
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.events import ImageReady, ScaleDone


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_event_sequence_and_contents():
    setup = tiny.setup((4, 5), previews=True)
    events, ids = tiny.drain(loop.run(setup))
    scales, images = events[:-2], events[-2:]
    schedule = setup.schedule
    assert [type(e) for e in events] == [ScaleDone] * schedule.num_scales + [ImageReady] * 2
    layers, heads, head_dim = setup.backbone.kv_layout()
    for k, event in enumerate(scales):
        assert (event.scale, event.size, event.tokens) == (
            k,
            schedule.sizes[k],
            schedule.lengths[k],
        )
        assert event.ids.shape == (2, schedule.lengths[k]) and event.ids.dtype == torch.int64
        assert event.preview.shape == (2, 16, 16, 3) and event.preview.dtype == np.uint8
        want = 2 * 4 * layers * heads * head_dim * 4 * schedule.offsets[k + 1]
        assert event.kv_bytes == event.kv_full_bytes == want
        assert event.seconds > 0 and 0 < event.entropy <= np.log(64)
        assert torch.equal(event.ids, ids[k])
    assert [event.index for event in images] == [4, 5]
    for position, event in enumerate(images):
        assert event.image.shape == (16, 16, 3) and event.image.dtype == np.uint8
        assert (event.image == scales[-1].preview[position]).all()


def test_previews_are_optional_and_change_nothing():
    with_them, ids = tiny.drain(loop.run(tiny.setup((0,), previews=True)))
    without, same_ids = tiny.drain(loop.run(tiny.setup((0,))))
    assert without[0].preview is None
    assert same(ids, same_ids)
    assert (with_them[-1].image == without[-1].image).all()


@pytest.mark.parametrize("lane_size", [None, 1, 2])
@pytest.mark.parametrize("smooth", [False, True])
def test_an_image_of_a_batch_equals_the_same_image_alone(lane_size, smooth):
    sampling = TopKTopP(top_k=20, top_p=0.9, smooth=smooth)
    conditioning = ClassConditioning((3, 3, 3, 3))
    batch = tiny.setup(
        (0, 1, 2, 3), sampling=sampling, conditioning=conditioning, lane_size=lane_size
    )
    events, ids = tiny.drain(loop.run(batch))
    for i in range(4):
        alone = tiny.setup((i,), sampling=sampling, conditioning=conditioning)
        one, one_ids = tiny.drain(loop.run(alone))
        assert same([scale[i : i + 1] for scale in ids], one_ids)
        if lane_size == 1:
            assert (events[-4 + i].image == one[-1].image).all()


def test_seeds_and_images_differ_and_repeat():
    def draw(seed, index):
        return tiny.drain(loop.run(tiny.setup((index,), noise=SeededNoise(seed))))[1]

    assert same(draw(1, 0), draw(1, 0))
    assert not same(draw(1, 0), draw(2, 0))
    assert not same(draw(1, 0), draw(1, 10))  # the same class, another image


def test_interleaved_runs_equal_separate_ones():
    setups = [tiny.setup((0, 1)), tiny.setup((7,), guidance=LinearGuidance(scale=4.0))]
    apart = [tiny.drain(loop.run(setup)) for setup in setups]
    streams = [loop.run(setup) for setup in setups]
    together = [[], []]
    for _ in range(setups[0].schedule.num_scales):
        for events, stream in zip(together, streams, strict=True):
            events.append(next(stream))
    for events, stream, (want, want_ids) in zip(together, streams, apart, strict=True):
        rest, ids = tiny.drain(stream)
        assert same(ids, want_ids)
        assert same([e.ids for e in events], want_ids)
        assert (rest[-1].image == want[-1].image).all()


def test_without_guidance_no_unconditional_rows_are_computed_and_ids_stay():
    seen = []
    off = tiny.setup(
        (0, 1),
        guidance=LinearGuidance(scale=0.0),
        observe=lambda what, scale, t: seen.append((what, t.shape[0])),
    )
    events, ids = tiny.drain(loop.run(off))
    assert ("raw_logits", 2) in seen and ("raw_logits", 4) not in seen

    class NoWeight(LinearGuidance):
        """Weight 0 at every scale, but with unconditional rows."""

        def rows(self, schedule):
            return ("full", "null")

    doubled, doubled_ids = tiny.drain(loop.run(tiny.setup((0, 1), guidance=NoWeight(scale=0.0))))
    assert same(ids, doubled_ids)
    assert doubled[-3].kv_bytes == 2 * events[-3].kv_bytes


def test_no_class_needs_no_guidance():
    """Unconditional rows equal conditional ones, so the weight does not matter."""
    free = ClassConditioning((None,))
    runs = [
        tiny.drain(loop.run(tiny.setup((0,), conditioning=free, guidance=LinearGuidance(scale=w))))
        for w in (0.0, 3.0)
    ]
    assert same(runs[0][1], runs[1][1])


class Watched(PlainDecoding):
    """Plain decoding that leaves weak references to what a run holds."""

    refs: list = []  # noqa: RUF012

    def session(self, setup, images):
        session = super().session(setup, images)
        held = (session, session.run, session.run.cache, session.run.context.head)
        object.__getattribute__(self, "refs").extend(map(weakref.ref, held))
        return session


@pytest.mark.parametrize("steps", [1, 3])
def test_closing_early_frees_everything(steps):
    strategy = Watched()
    seen = []

    def observe(what, scale, tensor):
        if what in ("f_hat", "codes"):
            seen.append(weakref.ref(tensor))

    gc.disable()  # nothing may need the collector
    try:
        stream = loop.run(tiny.setup((0, 1), decoding=strategy, lane_size=1, observe=observe))
        for _ in range(steps):
            next(stream)
        assert any(ref() is not None for ref in seen)
        assert all(ref() is not None for ref in strategy.refs)
        stream.close()
        assert [ref() for ref in strategy.refs + seen] == [None] * (8 + 4 * steps)
    finally:
        gc.enable()


def test_a_dropped_stream_frees_everything():
    strategy = Watched()
    for _ in loop.run(tiny.setup((0,), decoding=strategy)):
        break
    gc.collect()
    assert strategy.refs and not any(ref() for ref in strategy.refs)


def test_gradient_mode_does_not_leak_to_the_consumer():
    assert torch.is_grad_enabled()
    for event in loop.run(tiny.setup((0,), previews=True)):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        if isinstance(event, ScaleDone):
            table = torch.zeros(64, 2, requires_grad=True)
            table[event.ids].sum().backward()  # ids are ordinary tensors
            assert table.grad is not None


def test_modules_are_left_as_they_were():
    vq, var = tiny.shared()
    before = {k: v.clone() for m in (vq, var) for k, v in m.state_dict().items()}
    attributes = [{n: set(vars(m)) for n, m in module.named_modules()} for module in (vq, var)]
    tiny.drain(loop.run(tiny.setup((0,), previews=True)))
    assert all(torch.equal(before[k], v) for m in (vq, var) for k, v in m.state_dict().items())
    assert attributes == [{n: set(vars(m)) for n, m in mod.named_modules()} for mod in (vq, var)]
