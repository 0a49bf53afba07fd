"""Masked decoding: how tokens are split over passes, what stays, what is refused, and no cache."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import var_spaces
from tests import tiny
from tests.hmar import save_tiny
from var_spaces.backbones.hmar import HMAR
from var_spaces.backbones.hmar_config import HMARConfig
from var_spaces.cache.full import Full
from var_spaces.cache.none import NoCache
from var_spaces.cache.passing import PassingCache
from var_spaces.decoding.loop import run as loop
from var_spaces.decoding.strategies.masked import PUBLISHED, MaskedDecoding, split_tokens
from var_spaces.decoding.substitution import TokenSubstitution
from var_spaces.errors import VarSpacesError
from var_spaces.events import ScaleDone
from var_spaces.schedule import ScaleSchedule


@pytest.fixture(scope="module")
def hmar() -> HMAR:
    """A random HMAR of the sizes of the VAR that all tests share."""
    torch.manual_seed(0)
    var = tiny.shared()[1]
    model = HMAR(HMARConfig.branching(var.config, 1))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval().requires_grad_(False)


def drawn(hmar, images=(0, 1), **changes):
    """Ids per scale, and everything the observer saw."""
    seen = []
    fields = {"backbone": hmar, "cache": NoCache(), "decoding": MaskedDecoding(), **changes}
    setup = tiny.setup(images, observe=lambda what, k, t: seen.append((what, k, t)), **fields)
    events, ids = tiny.drain(loop.run(setup))
    return events, ids, seen


@pytest.mark.parametrize("tokens", [1, 2, 4, 9, 16, 25, 64, 256])
@pytest.mark.parametrize("passes", [1, 2, 3, 4, 8, 64])
def test_every_pass_settles_something_and_all_is_settled(tokens, passes):
    counts = split_tokens(tokens, passes)
    assert sum(counts) == tokens
    assert len(counts) == min(tokens, passes)
    assert min(counts) >= 1
    assert counts == PUBLISHED.get((tokens, passes), counts)


@pytest.mark.parametrize(
    ("sides", "steps", "splits"),
    [
        ((1, 2, 3, 4, 5, 6, 8, 10, 13, 16), (1, 2, 4), "1 1+3 1+1+2+5"),
        ((1, 2, 3, 4, 6, 9, 13, 18, 24, 32), (1, 2, 4, 2), "1 1+3 1+1+2+5 5+11"),
        ((1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 36, 48, 64), (1, 2, 4, 3), "1 1+3 1+1+2+5 3+5+8"),
    ],
)
def test_steps_give_the_published_schedules(sides, steps, splits):
    schedule = ScaleSchedule.square(sides)
    by_steps, by_splits = MaskedDecoding(steps=steps), MaskedDecoding(splits=splits.split())
    for scale, tokens in enumerate(schedule.lengths):
        assert by_steps.split(scale, tokens) == by_splits.split(scale, tokens)


def test_without_masks_it_is_plain_decoding(hmar):
    from var_spaces.decoding.strategies.plain import PlainDecoding

    one = drawn(hmar, decoding=MaskedDecoding(steps=(1,)))[1]
    plain = drawn(hmar, decoding=PlainDecoding())[1]
    assert all(map(torch.equal, one, plain))


def test_passes_change_masked_tokens_only(hmar):
    _, ids, seen = drawn(hmar)
    for scale, passes in ((1, 2), (2, 4)):
        draws = [t for what, k, t in seen if (what, k) == ("drawn_ids", scale)]
        orders = [t for what, k, t in seen if (what, k) == ("ranking", scale)]
        counts = MaskedDecoding().split(scale, ids[scale].shape[1])
        assert len(draws) == passes == len(counts)
        want, hidden = draws[0].clone(), None
        for step, new in enumerate(draws[1:], 1):
            hidden = orders[step - 1][:, : sum(counts[step:])]
            want.scatter_(1, hidden, new.gather(1, hidden))
        assert torch.equal(ids[scale], want)
    assert not torch.equal(ids[1], drawn(hmar, decoding=MaskedDecoding(steps=(1,)))[1][1])


def test_an_image_does_not_depend_on_its_batch(hmar):
    both, alone = drawn(hmar, (0, 1))[1], drawn(hmar, (1,))[1]
    assert all(torch.equal(a[1:], b) for a, b in zip(both, alone, strict=True))


def test_no_scale_is_remembered(hmar):
    """No bytes are held, and a cache that is handed in changes nothing."""
    events, ids, seen = drawn(hmar)
    scales = [event for event in events if isinstance(event, ScaleDone)]
    assert [event.kv_bytes for event in scales] == [0] * len(scales)
    assert all(event.kv_full_bytes > 0 for event in scales)
    assert not any(t.any() for what, _, t in seen if what == "kept")
    assert all(map(torch.equal, ids, drawn(hmar, cache=Full())[1]))


def test_a_scale_sees_itself_only(hmar):
    """Teacher forcing at once equals scale by scale, so nothing passes between scales."""
    vq, schedule = tiny.shared()[0], hmar.schedule
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(vq.vocab_size, (2, n), generator=generator) for n in schedule.lengths]
    labels, tokens, own = torch.tensor([0, 1]), vq.teacher_forcing(ids), vq.own_inputs(ids)
    masked = torch.rand(1, own.shape[1], generator=generator) < 0.5
    plain, rest = hmar.context(hmar.condition(labels)), schedule.lengths[1:]
    layers, heads, head_dim = hmar.kv_layout()
    sizes = {"layers": layers, "rows": 2, "heads": heads, "head_dim": head_dim}
    cache = PassingCache(capacity=1, **sizes)
    for path in (False, True):
        together = hmar(labels, tokens, **({"own": own, "masked": masked} if path else {}))
        parts = zip(tokens.split(rest, 1), own.split(rest, 1), masked.split(rest, 1), strict=True)
        context = plain.masked if path else plain
        inputs = [hmar.start(context)]
        for scale, (seen, known, hidden) in enumerate(parts, 1):
            more = (known, hidden, scale, context)
            inputs.append(
                hmar.embed_masked(seen, *more) if path else hmar.embed_scale(seen, *more[2:])
            )
        for scale, x in enumerate(inputs):
            hidden = hmar.forward_scale(x, range(scale, scale + 1), context, cache)
            alone = hmar.logits(hidden, context)
            torch.testing.assert_close(alone, together[:, schedule.span(scale)], **CLOSE)


CLOSE = {"atol": 1e-4, "rtol": 1e-4}


def test_an_edit_keeps_what_it_is_told_to_keep(hmar):
    vq, schedule = tiny.shared()[0], hmar.schedule
    generator = torch.Generator().manual_seed(1)
    source = [torch.randint(vq.vocab_size, (1, n), generator=generator) for n in schedule.lengths]
    keep = torch.zeros(schedule.last, dtype=torch.bool)
    keep[:, : schedule.last[1] // 2] = True
    substitution = TokenSubstitution(vq, source, keep, schedule)
    decoding = MaskedDecoding(steps=(1, 2, 4, 3))
    _, ids, seen = drawn(hmar, substitution=substitution, decoding=decoding)
    for scale, (got, given) in enumerate(zip(ids, source, strict=True)):
        kept = substitution.keep[scale].expand_as(got)
        assert torch.equal(got[kept], given.expand_as(got)[kept])
        assert kept.all() or not torch.equal(got, given.expand_as(got))
    for what, scale, order in seen:
        if what == "ranking":
            assert order.shape[1] <= int((~substitution.keep[scale]).sum())
            assert not substitution.keep[scale][0][order].any()
    draws = [t for what, scale, t in seen if (what, scale) == ("drawn_ids", 1)]
    free = ~substitution.keep[1].expand_as(ids[1])
    assert free.sum(1).tolist() == [2, 2]  # 3 of 4 tokens are drawn again: of two open ones both
    assert torch.equal(ids[1][free], draws[1][free])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"splits": ["1", "1+2"]}, "must add up to the 4 tokens"),
        ({"splits": ["1"] * 9}, "passes for 9 scales"),
        ({"splits": ["1+0", "4"]}, "the first scale has one pass"),
        ({"steps": [1, 2, 0]}, "steps"),
        ({"splits": ["1", "2+x"]}, "splits"),
        ({"guidance": -1}, "guidance"),
    ],
)
def test_bad_passes_are_refused(given, reason):
    with pytest.raises(VarSpacesError, match=reason):
        MaskedDecoding(**given).check_schedule(ScaleSchedule.square((1, 2, 3)))


# --- through the zoo ------------------------------------------------------------------------------


@pytest.fixture
def tiny_hmar(use_tiny_models, tmp_path, monkeypatch):
    """``tiny-hmar``, an HMAR made of ``tiny-var``."""
    save_tiny(tmp_path, use_tiny_models)
    folders = f"{use_tiny_models}:{tmp_path}"
    monkeypatch.setenv("VAR_SPACES_MODELS", folders)
    return "tiny-hmar"


def test_a_model_runs_with_the_defaults_of_its_card(tiny_hmar):
    *_, last = var_spaces.stream(model=tiny_hmar, class_="key", seed=3)
    spec = last.record.spec
    assert (spec.cache["name"], spec.decoding["name"]) == ("none", "masked")
    assert [row.kv_bytes for row in last.record.scales] == [0, 0, 0]
    again = var_spaces.generate(spec)
    assert np.array_equal(np.asarray(again[0]), last.images[0])


@pytest.mark.parametrize("cache", ["full", "scalekv", "sliding-window"])
def test_a_cache_policy_is_refused_with_the_reason(tiny_hmar, cache):
    with pytest.raises(VarSpacesError) as error:
        var_spaces.stream(model=tiny_hmar, cache=cache)
    assert f"cache '{cache}' does not work with model 'tiny-hmar'" in str(error.value)
    assert "keeps keys and values of earlier scales" in str(error.value)


def test_a_var_cannot_predict_masked_tokens(use_tiny_models):
    with pytest.raises(VarSpacesError, match="it predicts masked tokens of a scale"):
        var_spaces.stream(model="tiny-var", decoding="masked")


def test_a_var_without_history_is_an_experiment_that_runs(use_tiny_models):
    *_, last = var_spaces.stream(model="tiny-var", class_="key", cache="none")
    assert [row.kv_bytes for row in last.record.scales] == [0, 0, 0]


def test_zero_shot_editing(tiny_hmar):
    """Pixels outside the region are those of the picture when composited."""
    generator = np.random.default_rng(0)
    picture = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    (image,) = var_spaces.generate(
        model=tiny_hmar,
        task="edit",
        image=picture,
        rectangle=(0.25, 0.25, 1.0, 1.0),
        class_="key",
        composite=True,
    )
    pixels = np.asarray(image)
    assert np.array_equal(pixels[:4], picture[:4])
    assert np.array_equal(pixels[:, :4], picture[:, :4])
    assert not np.array_equal(pixels[4:, 4:], picture[4:, 4:])


def test_the_estimate_counts_no_cache(tiny_hmar):
    from var_spaces.decoding.guidance.linear import LinearGuidance
    from var_spaces.zoo.cards import get_card
    from var_spaces.zoo.estimate import estimate

    found = estimate(get_card(tiny_hmar), cache=NoCache(), guidance=LinearGuidance())
    assert (found.kv, found.kv_peak) == ((0, 0, 0), 0)
