"""CoDe: drafter and refiner of one run, the hand-over in one pass, pairs that do not fit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from leaderboard.entry import Entry
from tests import infinity, tiny
from tests.cache.policies import small
from var_spaces import RunSpec, methods
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.layers import LayerGuidance
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.loop.backbone_run import BackboneRun
from var_spaces.decoding.sampling.bits import BitSampling
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.decoding.strategies.collaborative import SAME, Collaborative
from var_spaces.decoding.substitution import TokenSubstitution
from var_spaces.errors import VarSpacesError
from var_spaces.tasks.plan import plan
from var_spaces.zoo.cards import get_card

SCALES = tiny.shared()[1].schedule.num_scales


def other_backbone():
    return tiny.backbone(stem="var_model_sharedaln")


def drawn(drafted, images=(0, 1), refiner=None, settings=None, **changes):
    decoding = Collaborative(refiner="r", drafted=drafted, **(settings or {}))
    extra = {"r": refiner or tiny.shared()[1]}
    return tiny.drain(loop.run(tiny.setup(images, decoding=decoding, extra=extra, **changes)))


def test_drafting_all_scales_is_plain_decoding_bit_for_bit():
    plain, want = tiny.drain(loop.run(tiny.setup((0, 1))))
    events, ids = drawn(SCALES, refiner=other_backbone())
    assert all(map(torch.equal, ids, want))
    assert [e.kv_bytes for e in events[:-2]] == [e.kv_bytes for e in plain[:-2]]
    assert all((a.image == b.image).all() for a, b in zip(events[-2:], plain[-2:], strict=True))


def test_the_drafter_holds_no_more_than_its_scales():
    decoding = Collaborative(refiner="r", drafted=3)
    setup = tiny.setup((0,), decoding=decoding, extra={"r": tiny.shared()[1]})
    session = decoding.session(setup, (0,))
    assert session.run.cache.peak_bytes == session.kv_full_bytes(2)


@pytest.mark.parametrize("drafted", range(1, SCALES))
def test_a_model_refining_itself_is_plain_decoding(drafted):
    _, want = tiny.drain(loop.run(tiny.setup((0, 1))))
    events, ids = drawn(drafted)
    assert all(map(torch.equal, ids, want))
    assert all(e.kv_bytes == e.kv_full_bytes for e in events[:-2])


@pytest.mark.parametrize("name", [n for n in methods.names("cache") if n != "none"])
def test_one_pass_equals_scale_by_scale(name):
    """A policy that drops entries gets its scales one by one, others all at once."""
    close = 5e-3 if name == "quantised" else 1e-4  # a rounding may fall the other way
    check_one_pass(tiny.setup((0, 1), cache=small(name)), close)


def test_guidance_between_blocks_acts_before_the_hand_over_too():
    check_one_pass(tiny.setup((0, 1), guidance=LayerGuidance(scale=(3.0,), layers=(-2,))))


def check_one_pass(setup, close=1e-4):
    """What the refiner reads at once is what it would have read scale by scale."""
    noise = torch.Generator().manual_seed(0)
    lengths = setup.schedule.lengths[1:4]
    inputs = [None, *(torch.randn(2, n, 8, generator=noise) for n in lengths)]
    one, several = (BackboneRun(setup.backbone, setup, (0, 1)) for _ in range(2))
    hidden = one.prefill(inputs)
    for scale, tokens in enumerate(inputs):
        expected = several.advance(scale, tokens)
    torch.testing.assert_close(hidden, expected, atol=close, rtol=close)
    assert one.cache.lengths == several.cache.lengths


def test_the_refiner_has_its_own_sampling_and_guidance():
    _, greedy = drawn(3, settings={"refiner_top_k": (1,), "refiner_guidance": (0.0,)})
    _, want = drawn(3, sampling=TopKTopP(top_k=1), guidance=LinearGuidance(scale=0.0))
    _, plain = drawn(3)
    assert all(map(torch.equal, greedy[:3], plain[:3]))  # the drafter keeps those of the run
    assert not torch.equal(greedy[-1], plain[-1])
    # from the same draft on, the refiner is what a run with these settings would be
    seen = {}
    run = tiny.setup((0, 1), sampling=TopKTopP(top_k=1), guidance=LinearGuidance(scale=0.0))
    forced = lambda k, ids, codes, images: (  # noqa: E731
        (plain[k], run.tokenizer.embed(plain[k])) if k < 3 else (ids, codes)
    )
    setup = tiny.setup(
        (0, 1),
        sampling=run.sampling,
        guidance=run.guidance,
        substitution=forced,
        observe=lambda what, k, x: seen.__setitem__((what, k), x),
    )
    _, forced_ids = tiny.drain(loop.run(setup))
    assert all(map(torch.equal, greedy[3:], forced_ids[3:]))
    assert len(want) == SCALES


def test_an_image_does_not_depend_on_its_batch():
    same = ClassConditioning((3, 3))
    other = other_backbone()
    _, both = drawn(3, conditioning=same, refiner=other)
    _, alone = drawn(3, (1,), conditioning=ClassConditioning((3,)), refiner=other)
    assert all(torch.equal(x[1:], y) for x, y in zip(both, alone, strict=True))


def test_both_models_see_the_kept_part_of_an_in_painting():
    """Tokens outside the region are the source's at drafted and refined scales alike."""
    vq, other = tiny.shared()[0], other_backbone()
    seen, schedule = {}, tiny.shared()[1].schedule
    source = [torch.randint(0, vq.vocab_size, (1, n)) for n in schedule.lengths]
    mask = torch.zeros(schedule.last, dtype=torch.bool)
    mask[:, : schedule.last[1] // 2] = True
    painted = TokenSubstitution(vq, source, mask, schedule)
    kwargs = {"substitution": painted, "sampling": TopKTopP(top_k=1)}
    for name, refiner in (("pair", other), ("self", None)):
        seen[name] = drawn(3, refiner=refiner, **kwargs)[1]
    _, plain = tiny.drain(loop.run(tiny.setup((0, 1), **kwargs)))
    assert all(map(torch.equal, seen["self"], plain))
    for scale, ids in enumerate(seen["pair"]):
        keep = painted.kept(scale, (0, 1)).expand_as(ids)
        assert torch.equal(ids[keep], source[scale].expand_as(ids)[keep])
    assert not torch.equal(seen["pair"][-1], plain[-1])  # the refiner did paint the rest


def test_published_pairs_sample_as_published():
    """At N = 6 the temperature changes inside the refiner's scales."""
    for role in ("drafter", "refiner"):
        card = get_card(f"code-{role}-6")
        sampling = methods.parse("sampling", card.defaults["sampling"])
        sampling.check_schedule(card.schedule)
        assert sampling.temperature == (1.1,) * 7 + (1.0,) * 3
        assert (sampling.top_k, sampling.top_p) == ((600,), 0.96)


def test_text_to_image_pairs(tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(infinity.write_models(tmp_path)))
    card = get_card("tiny-t2i")
    Collaborative(refiner="tiny-t2i", drafted=2).check({"": card, "tiny-t2i": card})
    assert BitSampling().name == card.defaults["sampling"]["name"]
    spec = RunSpec(
        model="tiny-t2i",
        task="text-to-image",
        inputs={"prompt": "a key"},
        sampling={"name": "bits"},
        guidance={"name": "per-scale"},
        decoding={"name": "collaborative", "refiner": "tiny-t2i", "drafted": 2},
    )
    assert plan(spec).extra["tiny-t2i"] == card


def test_pairs_that_do_not_fit_are_refused(use_tiny_models):
    pair = {"name": "collaborative", "refiner": "var-small", "drafted": 1}
    with pytest.raises(VarSpacesError, match=r"'tiny-var' and 'var-small' .* differ in their"):
        plan(RunSpec(model="tiny-var", decoding=pair))
    with pytest.raises(VarSpacesError, match="Did you mean 'var-small'"):
        plan(RunSpec(model="var-base", decoding={**pair, "refiner": "var-smal"}))
    with pytest.raises(VarSpacesError, match="there are 3 scales"):
        plan(RunSpec(model="tiny-var", decoding={**pair, "refiner": "tiny-var", "drafted": 4}))


@pytest.mark.parametrize(
    ("model", "drafted", "found"),
    [
        ("var-base", -2, ("var-small", 4)),
        ("var-ten", -2, ("var-ten-small", 8)),
        ("var-ten", -4, ("var-ten-small", 6)),
        ("var-ten", 10, ("var-ten-small", 10)),
        ("hmar", -1, ("var-small", 5)),
    ],
)
def test_what_is_left_open_is_chosen_for_the_model(model, drafted, found):
    """So that the run says what drew it: the same id as if it had been asked for."""
    asked = RunSpec(
        model=model,
        inputs={"class": "key"},
        decoding={"name": "collaborative", "drafted": drafted},
    )
    named = dict(zip(("refiner", "drafted"), found, strict=True))
    spec = plan(asked).spec
    assert spec == plan(spec).spec == plan(asked.replace(decoding=asked.decoding | named)).spec
    assert {name: spec.decoding[name] for name in named} == named
    assert Entry.of(model, decoding=asked.decoding).decoding == spec.decoding


def test_nothing_to_choose_is_said():
    code = {"name": "collaborative"}
    with pytest.raises(VarSpacesError, match="No smaller model goes on with what 'var-small'"):
        plan(RunSpec(model="var-small", inputs={"class": "key"}, decoding=code))
    with pytest.raises(VarSpacesError, match=r"drafted = -6: .* 1 to 6, or -5 to 0"):
        plan(RunSpec(model="var-base", decoding={**code, "drafted": -6}))


def test_a_refiner_guided_by_conditions_that_nobody_tells_apart_is_refused(use_tiny_models):
    alike = {"name": "conditions", "scale": 2, "condition": 2}
    pair = {"name": "collaborative", "refiner": "tiny-var", "drafted": 1}
    plan(RunSpec(model="tiny-var", guidance=alike, decoding=pair))
    with pytest.raises(VarSpacesError, match="this run knows full, null only"):
        plan(RunSpec(model="tiny-var", guidance=alike, decoding={**pair, "refiner_guidance": [5]}))


def test_a_refiner_that_reads_one_scale_at_a_time_is_refused():
    slow = SimpleNamespace(id="slow", offers=(), **dict.fromkeys(SAME))
    with pytest.raises(VarSpacesError, match="'slow' cannot read several scales in one pass"):
        Collaborative(refiner="slow").check({"": slow, "slow": slow})


def test_a_cache_without_history_is_refused(use_tiny_models):
    spec = RunSpec(
        model="tiny-var", cache="none", decoding={"name": "collaborative", "refiner": "tiny-var"}
    )
    with pytest.raises(VarSpacesError, match="reads what the drafter drew"):
        plan(spec)
