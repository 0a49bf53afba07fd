"""Runs that share every pass are what each is alone, and may leave at any scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from var_spaces import RunSpec
from var_spaces.conditioning.text_conditioning import TextConditioning
from var_spaces.decoding.loop.lane import Lane
from var_spaces.errors import VarSpacesError
from var_spaces.events import Finished, ScaleDone
from var_spaces.methods import parse
from var_spaces.tasks.plan import plan
from var_spaces.tasks.prepare import Request
from var_spaces.tasks.run import run
from var_spaces.tasks.together import company, together
from var_spaces.zoo.residency import Residency

WINDOW = {"name": "sliding-window", "budget": 0.3}


@pytest.fixture(scope="module")
def zoo(known_models):
    return Residency()


@pytest.fixture(scope="module")
def known_models(tiny_models):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAR_SPACES_MODELS", str(tiny_models))
        yield


def request(seed: int = 0, count: int = 1, model: str = "tiny-var", **changes) -> Request:
    inputs = changes.pop("inputs", {"class": seed % 3})
    planned = plan(RunSpec(model=model, seed=seed, count=count, inputs=inputs, **changes))
    return Request(planned, previews=True)


def alone(asked: Request, zoo: Residency) -> list:
    return list(run(asked.plan, zoo, pictures=asked.pictures, previews=asked.previews))


def same(found: list, wanted: list) -> None:
    assert [type(event) for event in found] == [type(event) for event in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        match ours:
            case ScaleDone():
                assert torch.equal(ours.ids, theirs.ids)
                assert np.array_equal(ours.preview, theirs.preview)
                assert ours.entropy == theirs.entropy
                assert ours.kv_bytes == theirs.kv_bytes
                assert ours.kv_full_bytes == theirs.kv_full_bytes
                assert (ours.scale, ours.rows) == (theirs.scale, theirs.rows)
            case Finished():
                assert ours.record.spec == theirs.record.spec
                assert ours.record.image_sha256 == theirs.record.image_sha256
                assert ours.record.token_sha256 == theirs.record.token_sha256


@pytest.mark.parametrize(
    "changes", [{}, {"cache": WINDOW}, {"guidance": {"name": "linear", "scale": 0}}]
)
def test_each_is_what_it_is_alone(zoo, changes):
    asked = [request(7, **changes), request(8, 3, **changes), request(9, 2, **changes)]
    assert len({company(one) for one in asked}) == 1
    told: dict[int, list] = {0: [], 1: [], 2: []}
    for number, event in together(asked, zoo):
        told[number].append(event)
    for number, one in enumerate(asked):
        same(told[number], alone(one, zoo))


def test_one_batch_for_all(zoo, monkeypatch):
    """As on a GPU: all images in one lane; tokens are those of one image alone here."""
    monkeypatch.setenv("VAR_SPACES_LANE", "64")
    made = []
    monkeypatch.setattr(Lane, "__init__", _counting(made, Lane.__init__))
    asked = [request(1), request(2, 2), request(3)]
    ends = {n: e for n, e in together(asked, zoo) if isinstance(e, Finished)}
    assert made == [[0, 1, 2, 3]]
    monkeypatch.setenv("VAR_SPACES_LANE", "1")
    for number, one in enumerate(asked):
        assert ends[number].record.token_sha256 == alone(one, zoo)[-1].record.token_sha256


def _counting(made: list, original):
    def init(self, setup, images):
        made.append(list(images))
        original(self, setup, images)

    return init


def code(drafted: int) -> dict:
    return {"decoding": {"name": "collaborative", "refiner": "tiny-var", "drafted": drafted}}


@pytest.mark.parametrize(
    ("lane", "changes"),
    [
        ("1", {}),
        ("64", {}),
        ("64", code(1)),
        ("64", code(2)),
        ("64", {"decoding": {"name": "supernet", "depth": 2, "bridge": 1}}),
    ],
    ids=["alone", "plain", "CoDe at the hand-over", "CoDe before it", "VARiant"],
)
def test_who_leaves_does_not_disturb_the_others(zoo, monkeypatch, lane, changes):
    monkeypatch.setenv("VAR_SPACES_LANE", lane)
    asked = [request(4, **changes), request(5, 2, **changes), request(6, **changes)]
    rows, seen = [], []
    advance = Lane.advance
    monkeypatch.setattr(
        Lane,
        "advance",
        lambda self, scale: rows.append((scale, len(self.rows))) or advance(self, scale),
    )
    last = asked[0].plan.schedule.num_scales - 1
    for number, event in together(asked, zoo, gone=lambda n: n == 1 and len(seen) >= 6):
        seen.append((number, event))
    left = [event for number, event in seen if number == 1]
    assert not isinstance(left[-1], Finished)
    assert sum(n for scale, n in rows if scale == 0) == 4
    assert sum(n for scale, n in rows if scale == last) == 2  # its rows are free
    for number in (0, 2):
        found = [event for n, event in seen if n == number]
        want = alone(asked[number], zoo)[-1].record
        assert found[-1].record.token_sha256 == want.token_sha256
        if lane == "1":
            assert found[-1].record.image_sha256 == want.image_sha256


def test_nothing_goes_on_for_nobody(zoo):
    assert all(
        not isinstance(event, Finished)
        for _, event in together([request(1), request(2)], zoo, gone=lambda n: True)
    )


def test_bad_numbers_end_one_run(zoo, monkeypatch):
    from var_spaces.decoding.loop.lane import Drawing

    guided = Drawing._guided

    def broken(self, logits, weight, setup):
        found = guided(self, logits, weight, setup).clone()
        for b, row in enumerate(self.rows):
            if row.image == 1 and self.scale == 1:
                found[b] = torch.nan
        return found

    monkeypatch.setattr(Drawing, "_guided", broken)
    ends = dict(together([request(1), request(2), request(3)], zoo))
    assert isinstance(ends[1], VarSpacesError) and "not a number" in str(ends[1])
    assert isinstance(ends[0], Finished) and isinstance(ends[2], Finished)


def test_who_may_share(zoo):
    key = company(request(1))
    assert key is not None
    assert key == company(request(2, inputs={"class": 1}))
    assert key != company(request(1, cache=WINDOW))
    assert key != company(request(1, guidance={"name": "linear", "scale": 2}))
    assert key != company(Request(request(1).plan))  # without previews
    assert company(Request(request(1).plan, observe=print)) is None


def test_runs_with_other_negative_prompts_are_not_drawn_together():
    """One batch has one prompt in its unconditional rows."""
    encoder = parse("text_encoder", {"name": "minilm"})
    one, other = (TextConditioning(("a key",), encoder, said) for said in ("blurry", "a car"))
    assert one.company != other.company
    assert one.company == TextConditioning(("a cat",), encoder, "blurry").company
