import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny
from var_spaces import methods
from var_spaces.api import make_spec
from var_spaces.decoding.base import guide
from var_spaces.decoding.guidance.flexvar import FlexGuidance
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.sampling import top_k_top_p
from var_spaces.decoding.sampling.bits import BitSampling, filter_pair
from var_spaces.decoding.sampling.flexvar import FlexSampling
from var_spaces.decoding.sampling.per_scale import ScaleSampling
from var_spaces.decoding.sampling.top_k_top_p import (
    TopKTopP,
    draw,
    draw_again,
    draw_among_top,
    draw_ids,
    filter_top_k_top_p,
    surely_kept,
)
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.tasks.plan import plan
from var_spaces.zoo.cards import get_card

SCHEDULE = ScaleSchedule.square((1, 2, 4))


def naive_filter(logits, top_k, top_p):
    """One row, step by step as the specification says."""
    row = logits.clone()
    if top_k:
        row[row < row.sort(descending=True).values[top_k - 1]] = -torch.inf
    if top_p:
        order = row.argsort(stable=True)
        mass = row[order].softmax(0).cumsum(0)
        for place, code in enumerate(order[:-1]):
            if mass[place] <= 1 - top_p:
                row[code] = -torch.inf
    return row


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-6, 6), min_size=2, max_size=12),
    st.integers(0, 12),
    st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
)
def test_filter_agrees_with_the_rule_also_with_ties(values, top_k, top_p):
    logits = torch.tensor(values, dtype=torch.float32) / 2
    top_k = min(top_k, len(values))
    before = logits.clone()
    got = filter_top_k_top_p(logits[None, None], top_k, top_p)[0, 0]
    want = naive_filter(logits, top_k, top_p)
    assert torch.equal(logits, before)
    assert torch.equal(got, want)


def test_more_codes_than_the_vocabulary_is_refused_by_the_filter_and_harmless_in_the_sampler():
    logits = torch.randn(1, 2, 5)
    with pytest.raises(VarSpacesError, match="vocabulary of 5"):
        filter_top_k_top_p(logits, 6)
    noise = lambda tokens, vocab: torch.zeros(1, tokens, vocab)  # noqa: E731
    sampled = TopKTopP(top_k=900, top_p=0.0).sample(logits, noise, 0, SCHEDULE)
    assert torch.equal(sampled.logits(), logits)
    assert torch.equal(sampled.ids, logits.argmax(-1))


def test_temperature_acts_after_the_filter():
    logits = torch.tensor([[[2.0, 1.0, 0.0]]])
    noise = torch.tensor([[[0.0, 0.6, 5.0]]])
    kept = filter_top_k_top_p(logits, 2)
    assert draw_ids(kept, noise).item() == 0
    assert draw_ids(kept, noise, temperature=2.0).item() == 1  # 1.0 against 1.1; 2 is filtered


def test_a_sampler_with_numbers_per_scale_is_the_plain_one_of_each_scale():
    logits, gumbel = torch.randn(2, 2, 3, 40, generator=torch.Generator().manual_seed(0))
    several = ScaleSampling(top_k=(5, 20, 0), top_p=0.9, temperature=(1.1, 3.0, 1.0))
    several.check_schedule(SCHEDULE)
    for scale, (top_k, temperature) in enumerate(((5, 1.1), (20, 3.0), (0, 1.0))):
        alone = TopKTopP(top_k=top_k, top_p=0.9, temperature=temperature)
        got, want = (s.sample(logits, lambda *_: gumbel, scale, SCHEDULE) for s in (several, alone))
        assert torch.equal(got.ids, want.ids)
        assert torch.equal(got.logits(), want.logits())
    with pytest.raises(VarSpacesError, match="temperature has 2 numbers for 3 scales"):
        ScaleSampling(temperature=(1.0, 2.0)).check_schedule(SCHEDULE)


def test_smooth_ids_are_the_hard_draw_under_the_same_noise():
    logits = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(0))
    gumbel = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(1))
    hard = TopKTopP(top_k=5, top_p=0.0).sample(logits, lambda *_: gumbel, 2, SCHEDULE)
    soft = TopKTopP(top_k=5, top_p=0.0, smooth=True).sample(logits, lambda *_: gumbel, 2, SCHEDULE)
    assert hard.weights is None
    assert torch.equal(soft.ids, hard.ids)
    torch.testing.assert_close(soft.weights.sum(-1), torch.ones(2, 3))
    assert (soft.weights > 0).sum(-1).max() <= 5


def flexvar_draws(sides, **settings) -> list[int]:
    """Sides of the maps on which FlexVAR's sampling follows the noise."""
    schedule, drawn = ScaleSchedule.square(sides), []
    for scale, side in enumerate(sides):
        noise = torch.zeros(1, 1, 3)
        noise[..., 2] = 9.0
        logits = torch.tensor([[[1.0, 2.0, 0.0]]])
        settings = {"top_k": 0, "top_p": 0, **settings}
        found = FlexSampling(**settings).sample(logits, lambda *_, n=noise: n, scale, schedule)
        assert found.ids.item() in (1, 2)
        drawn += [side] if found.ids.item() == 2 else []
    return drawn


def test_flexvar_is_greedy_on_maps_that_its_public_code_does_not_list():
    """Sides 7, 9, 11, 12 and 14 always, and those above the largest of training."""
    sides = (*range(1, 17), 18, 23, 24, 32, 33)
    assert flexvar_draws(sides) == [1, 2, 3, 4, 5, 6, 8, 10, 13, 16]
    assert flexvar_draws(sides, max_side=32) == [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 23, 24, 32]
    assert flexvar_draws(sides, drawn=()) == list(range(1, 17))


def test_of_maps_that_are_not_square_flexvar_looks_at_the_longer_side():
    schedule = ScaleSchedule(((1, 1), (4, 8), (8, 20), (20, 8)))
    guidance = FlexGuidance(scale=3.0, max_side=16)
    assert [guidance.weight(k, schedule) for k in range(4)] == [0, 1, 3, 3]
    logits, noise = torch.tensor([[[1.0, 2.0, 0.0]]]), torch.tensor([[[0.0, 0.0, 9.0]]])
    sampling = FlexSampling(top_k=0, top_p=0)
    drawn = [sampling.sample(logits, lambda *_: noise, k, schedule).ids.item() for k in range(4)]
    assert drawn == [2, 2, 1, 1]


def test_forbidden_codes_are_drawn_nowhere():
    """Those that a run draws otherwise, on maps that are drawn and on greedy ones."""
    sampling = {"name": "flexvar", "top_k": 5, "drawn": [1, 3]}
    free = tiny.drain(loop.run(tiny.setup((0,), sampling=methods.parse("sampling", sampling))))[1]
    drawn = torch.cat([ids.flatten() for ids in free])
    most = drawn.bincount().topk(5).indices.tolist()
    forbidding = methods.parse("sampling", {**sampling, "forbidden": most})
    ids = tiny.drain(loop.run(tiny.setup((0,), sampling=forbidding)))[1]
    assert not set(most) & {*torch.cat([some.flatten() for some in ids]).tolist()}


@pytest.mark.parametrize("weight", [0.0, 2.5])
def test_codes_are_forbidden_as_if_before_guidance(weight):
    """The public code changes the logits of both conditions."""
    random = torch.Generator().manual_seed(0)
    parts = {name: torch.randn(2, 3, 9, generator=random) for name in ("full", "null")}
    noise, given = torch.randn(2, 3, 9, generator=random), guide(parts, weight)
    before = given.clone()
    found = FlexSampling(top_k=6, forbidden=(7, 2, 7)).sample(given, lambda *_: noise, 0, SCHEDULE)
    assert torch.equal(given, before)  # who else looks at them sees all
    for part in parts.values():
        part[..., [2, 7]] = -100.0
    want = FlexSampling(top_k=6).sample(guide(parts, weight), lambda *_: noise, 0, SCHEDULE)
    assert torch.equal(found.ids, want.ids)
    torch.testing.assert_close(found.logits(), want.logits())


def test_forbidden_codes_came_later_and_are_the_same_in_any_order():
    sampling = {"name": "flexvar", "forbidden": [7, 2, 7]}
    found = methods.parse("sampling", sampling)
    assert methods.dump(found)["forbidden"] == [2, 7]
    assert found == FlexSampling(forbidden=(2, 7))
    assert "forbidden" not in methods.dump(FlexSampling())
    for codes in ([-1], [65536], list(range(65))):
        with pytest.raises(VarSpacesError, match="forbidden"):
            methods.parse("sampling", {**sampling, "forbidden": codes})


def test_codes_that_a_model_lacks_are_refused_before_loading(use_tiny_models):
    have = get_card("tiny-var").architecture["vocab_size"]
    for codes, wrong in (([have - 1], False), ([have], True), (range(have), True)):
        sampling = {"name": "flexvar", "forbidden": list(codes)}
        spec = make_spec("tiny-var", sampling=sampling)[0]
        if wrong:
            with pytest.raises(VarSpacesError, match=f"the model has {have} codes, from 0 to"):
                plan(spec)
        else:
            plan(spec)


def test_entropy_is_in_nats():
    """Of a token, whose bits are draws of their own."""
    assert TopKTopP().entropy(torch.zeros(1, 2, 8)) == pytest.approx(2.0794, abs=1e-4)
    bits = torch.tensor([[0.0, 0.0], [0.0, 0.0], [60.0, 0.0]]).expand(1, 4, 3, 2)
    assert BitSampling().entropy(bits) == pytest.approx(2 * 0.6931, abs=1e-4)


def test_linear_guidance_grows_with_the_scale():
    guidance = LinearGuidance(scale=4.0)
    assert [guidance.weight(k, SCHEDULE) for k in range(3)] == [0.0, 2.0, 4.0]
    assert guidance.is_active(SCHEDULE)
    assert not LinearGuidance(scale=0.0).is_active(SCHEDULE)
    assert not guidance.is_active(ScaleSchedule.square((1,)))


def test_guide_moves_away_from_the_unconditional_logits():
    full = torch.tensor([1.0, 5.0]).view(2, 1, 1)
    parts = {"full": full, "null": torch.tensor([3.0, 1.0]).view(2, 1, 1)}
    before = full.clone()
    got = guide(parts, 2.0).flatten().tolist()
    assert got == [3 * 1 - 2 * 3, 3 * 5 - 2 * 1]
    assert torch.equal(full, before)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("top_p", [0.0, 0.5, 0.96, 1.0])
@pytest.mark.parametrize("top_k", [1, 7, 40])
def test_a_draw_among_the_largest_is_that_among_all(top_k, top_p, temperature):
    torch.manual_seed(top_k)
    logits = 4 * torch.randn(3, 50, 64)
    noise = -torch.rand(3, 50, 64).log().neg().log()
    filtered = filter_top_k_top_p(logits, top_k, top_p)
    want = draw_ids(filtered, noise, temperature)
    drawn = draw_among_top(logits, noise, top_k, top_p, temperature)
    assert torch.equal(drawn.ids, want)
    assert torch.equal(drawn.logits(), filtered)


def test_of_equal_marks_the_first_code_is_drawn():
    logits, noise = torch.tensor([[[0.0, 3.0, 1.0, 2.0]]]), torch.tensor([[[9.0, 0.0, 2.0, 1.0]]])
    drawn = draw_among_top(logits, noise, 3, 0.0)
    assert drawn.ids.item() == draw_ids(filter_top_k_top_p(logits, 3), noise).item() == 1


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize(("top_k", "top_p"), [(2, 0.5), (9, 0.5), (12, 0.03), (0, 0.5), (5, 0.0)])
def test_what_is_drawn_is_among_the_logits_that_are_reported(top_k, top_p, far, monkeypatch):
    """With whole numbers as logits many are equal at both thresholds."""
    monkeypatch.setattr(top_k_top_p, "_is_far", lambda tensor: far)
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        logits = (2 * torch.randn(3, 5, 32, generator=generator)).round()
        noise = -torch.rand(3, 5, 32, generator=generator).log().neg().log()
        drawn = draw(logits, lambda *_, noise=noise: noise, top_k, top_p)
        assert torch.equal(drawn.ids, draw_ids(drawn.logits(), noise))
        assert drawn.logits().gather(-1, drawn.ids[..., None]).isfinite().all()


def test_a_row_is_filtered_the_same_beside_any_other():
    generator = torch.Generator().manual_seed(0)
    logits = (2 * torch.randn(9, 32, generator=generator)).round()
    for top_k, top_p in ((2, 0.5), (9, 0.5), (9, 0.9)):
        together = filter_top_k_top_p(logits, top_k, top_p)
        alone = [filter_top_k_top_p(row, top_k, top_p) for row in logits]
        assert torch.equal(together, torch.stack(alone))


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([0, 1, 5, 40, 64]),
    st.sampled_from([0.0, 1e-6, 0.5, 0.96, 0.9999, 1.0]),
    st.sampled_from([0.3, 1.0, 8.0]),
    st.sampled_from([0.0, 0.1, 1.0, 9.0]),
)
def test_a_draw_that_sorts_only_doubtful_rows_is_that_of_the_filter(seed, k, p, temperature, wide):
    """Ties at every place of the order too."""
    generator = torch.Generator().manual_seed(seed)
    logits = wide * torch.randn(2, 9, 64, generator=generator)
    logits[1] = logits[1].round()
    noise = -torch.rand(2, 9, 64, generator=generator).log().neg().log()
    filtered = filter_top_k_top_p(logits, k, p)
    want = draw_ids(filtered, noise, temperature)
    assert torch.equal(draw_again(logits, noise, k, p, temperature), want)
    some = torch.randint(64, (2, 9), generator=generator)
    for ids in (want, some, logits.argmax(-1), logits.argmin(-1)):
        sure = surely_kept(logits, ids, k, p)
        kept = filtered.gather(-1, ids[..., None])[..., 0] > -torch.inf
        ties = (logits == logits.gather(-1, ids[..., None])).sum(-1) > 1  # any of them may go
        assert (kept | ~sure | ties).all()


def test_most_rows_of_a_common_filter_need_no_sorting():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(1, 400, 2048, generator=generator)
    noise = -torch.rand(1, 400, 2048, generator=generator).log().neg().log()
    sure = surely_kept(logits, draw_ids(logits, noise), 900, 0.96)
    assert sure.float().mean() > 0.8


def test_what_is_no_number_is_not_sure():
    logits = torch.tensor([[[0.0, torch.nan, 1.0], [0.0, torch.inf, 1.0]]])
    assert not surely_kept(logits, torch.tensor([[1, 1]]), 2, 0.9).any()


def test_on_a_device_the_draw_is_among_the_largest(monkeypatch):
    monkeypatch.setattr(top_k_top_p, "_is_far", lambda tensor: True)
    torch.manual_seed(0)
    logits, noise = torch.randn(2, 9, 64), torch.randn(2, 9, 64)
    far = TopKTopP(top_k=9, top_p=0.9).sample(logits, lambda *_: noise, 0, None)
    monkeypatch.undo()
    near = TopKTopP(top_k=9, top_p=0.9).sample(logits, lambda *_: noise, 0, None)
    assert torch.equal(far.ids, near.ids)
    assert torch.equal(far.logits(), near.logits())  # worked out when somebody asks


@pytest.mark.parametrize("top_p", [0.0, 0.5, 0.6, 0.97, 1.0])
def test_of_two_values_the_unlikely_one_goes(top_p):
    torch.manual_seed(0)
    logits = torch.cat((8 * torch.randn(4, 99, 6, 2), torch.ones(4, 1, 6, 2)), 1)
    want = filter_top_k_top_p(logits, 0, top_p)
    assert torch.equal(filter_pair(logits, top_p), want)
