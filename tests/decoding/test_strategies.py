"""Strategies of other kinds, sketched here, run through the loop unchanged.

They show what the interface carries: two backbones with a hand-over, blocks left out at late
scales, several passes within a scale, and candidates that are selected between scales.
"""

import pytest
import torch

from tests import tiny
from var_spaces.decoding.base import Drawn
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.backbone_run import BackboneRun
from var_spaces.decoding.strategies.plain import PlainSession
from var_spaces.decoding.strategy import DecodingSession, DecodingStrategy
from var_spaces.errors import VarSpacesError

SWITCH = 3


def strategy(session_class, title="For tests"):
    class Sketch(DecodingStrategy):
        name = "sketch"

        def session(self, setup, images):
            return session_class(setup, images)

    Sketch.title = title
    return Sketch()


def ids_of(session_class, images=(0, 1), **changes):
    setup = tiny.setup(images, decoding=strategy(session_class), **changes)
    return tiny.drain(loop.run(setup))


class Collaborative(DecodingSession):
    """A drafter draws the first scales; a refiner reads them in one go and draws the rest."""

    def __init__(self, setup, images):
        self.setup, self.images = setup, images
        self.run = BackboneRun(setup.backbone, setup, images)
        self.inputs = []

    def predict(self, scale, tokens, draw):
        self.inputs.append(tokens)
        if scale == SWITCH:
            self.run = BackboneRun(self.setup.extra["refiner"], self.setup, self.images)
            for earlier in range(scale):
                self.run.advance(earlier, self.inputs[earlier])
        return draw(self.run.logits(self.run.advance(scale, tokens)))

    @property
    def kv_bytes(self):
        return self.run.kv_bytes


def test_collaboration_of_a_model_with_itself_is_plain_decoding():
    plain, want = tiny.drain(loop.run(tiny.setup((0, 1))))
    events, ids = ids_of(Collaborative, extra={"refiner": tiny.shared()[1]})
    assert all(map(torch.equal, ids, want))
    assert [e.kv_bytes for e in events[:-2]] == [e.kv_bytes for e in plain[:-2]]


def test_the_refiner_draws_only_its_own_scales():
    other = tiny.backbone()
    torch.nn.init.normal_(other.head.weight, std=0.1)
    _, want = tiny.drain(loop.run(tiny.setup((0, 1))))
    _, ids = ids_of(Collaborative, extra={"refiner": other})
    assert all(map(torch.equal, ids[:SWITCH], want[:SWITCH]))
    assert not torch.equal(ids[-1], want[-1])


class SubNetwork(PlainSession):
    """Late scales skip the middle block, whose cache is freed then."""

    def predict(self, scale, tokens, draw):
        blocks = None
        if scale >= SWITCH:
            blocks = (0, 2)
            self.run.cache.release(1)
        return draw(self.run.logits(self.run.advance(scale, tokens, blocks)))


def test_a_sub_network_at_late_scales_holds_less():
    events, ids = ids_of(SubNetwork)
    _, want = tiny.drain(loop.run(tiny.setup((0, 1))))
    assert all(map(torch.equal, ids[:SWITCH], want[:SWITCH]))
    scales = events[:-2]
    assert [3 * e.kv_bytes == 2 * e.kv_full_bytes for e in scales] == [
        k >= SWITCH for k in range(len(scales))
    ]


class MaskedPasses(PlainSession):
    """A second pass redraws the least confident half of a scale, unguided."""

    def predict(self, scale, tokens, draw):
        raw = self.run.logits(self.run.advance(scale, tokens))
        first, second = draw(raw), draw(raw, part=1, weight=0.0)
        confidence = first.logits.softmax(-1).gather(-1, first.ids[..., None])[..., 0]
        redrawn = confidence.argsort(-1).argsort(-1) < first.ids.shape[1] // 2
        ids = torch.where(redrawn, second.ids, first.ids)
        codes = torch.where(redrawn[..., None], second.codes, first.codes)
        return Drawn(ids, codes, first.logits)


def test_passes_within_a_scale_have_their_own_noise():
    seen = []
    _, ids = ids_of(
        MaskedPasses, observe=lambda what, *rest: seen.append(what) if what == "drawn_ids" else None
    )
    _, want = tiny.drain(loop.run(tiny.setup((0, 1))))
    assert len(seen) == 2 * len(ids)
    assert torch.equal(ids[0], want[0])  # one token: nothing is redrawn
    assert not torch.equal(ids[-1], want[-1])


class Search(PlainSession):
    """Four candidates per image; two live on after scale 1, copies of the first; one at the end."""

    rows_per_image = 4

    def __init__(self, setup, images):
        self.run = BackboneRun(setup.backbone, setup, [i for i in images for _ in range(4)])

    def select(self, scale, f_hat):
        images = f_hat.shape[0] // {0: 4, 1: 4}.get(scale, 2)
        if scale == 1:  # in any order: the loop sorts rows by image
            return torch.tensor([4 * i for i in range(images)] * 2)
        if scale == self.run.schedule.num_scales - 1:
            return torch.arange(images) * 2 + 1
        return None


def test_candidates_are_drawn_apart_selected_and_diverge():
    events, ids = ids_of(Search)
    assert [e.ids.shape[0] for e in events[:-2]] == [8, 4, 4, 4, 4, 4, 2]
    assert all(len(scale) == 2 for scale in ids)  # the survivors' own history
    first = events[0].ids.view(2, 4)
    assert torch.equal(ids[0][:, 0], first[:, 0])  # both survivors descend from candidate 0
    copies = events[2].ids.view(2, 2, -1)
    assert not torch.equal(copies[:, 0], copies[:, 1])
    assert torch.equal(ids[2], copies[:, 1])
    plain, want = tiny.drain(loop.run(tiny.setup((0, 1))))
    assert torch.equal(first[:, :1], want[0])  # candidate 0 draws what a plain run would
    assert events[-3].kv_bytes == plain[-3].kv_bytes
    assert (events[-1].image != events[-2].image).any()


def test_selection_is_the_same_for_an_image_alone():
    same_class = ClassConditioning((3, 3))
    _, ids = ids_of(Search, conditioning=same_class)
    for lane_size in (1, None):
        _, alone = ids_of(Search, (1,), conditioning=same_class, lane_size=lane_size)
        assert all(torch.equal(x[1:], y) for x, y in zip(ids, alone, strict=True))


class Careless(PlainSession):
    def select(self, scale, f_hat):
        return torch.tensor([0]) if scale == 1 else None


def test_a_strategy_that_loses_an_image_is_named():
    with pytest.raises(VarSpacesError, match="'sketch' left 1 rows for 2 images"):
        ids_of(Careless)
