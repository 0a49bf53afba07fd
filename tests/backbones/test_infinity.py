"""Infinity transformer: cache equals teacher forcing, rows, schedules, published files."""

from __future__ import annotations

import pytest
import torch

from var_spaces.aspect import TEMPLATES, nearest_template, published, reference_grid, shaped
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.rope import rotary
from var_spaces.backbones.text_features import TextFeatures, concatenate
from var_spaces.cache.kv import KVCache
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule

SIZES = {"depth": 4, "width": 32, "heads": 2, "latent_dim": 3, "text_dim": 24, "text_len": 6}
SIZES |= {"patch_nums": (1, 2, 3), "pool_heads": 2, "levels": 5}


@pytest.fixture(scope="module", params=[1, 2], ids=["flat", "chunked"])
def model(request) -> Infinity:
    torch.manual_seed(0)
    model = Infinity(InfinityConfig(**SIZES, chunks=request.param)).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(std=0.3)
    return model


def prompts(lengths=(3, 1, 5)) -> TextFeatures:
    return TextFeatures(torch.randn(sum(lengths), SIZES["text_dim"]), lengths)


def run_scales(model, cond, tokens, schedule):
    """Hidden states and logits of all scales with a KV cache, ``tokens`` teacher-forced."""
    context = model.context(cond, schedule)
    layers, heads, dim = model.kv_layout()
    rows = cond.shape[0]
    cache = KVCache(layers=layers, rows=rows, heads=heads, head_dim=dim, capacity=schedule.total)
    parts = tokens.split(schedule.lengths[1:], dim=1)
    logits = []
    for k in range(schedule.num_scales):
        x = model.start(context) if k == 0 else model.embed_scale(parts[k - 1], k, context)
        hidden = model.forward_scale(x, range(k, k + 1), context, cache)
        logits.append(model.logits(hidden, context))
    return torch.cat(logits, 1)


@pytest.mark.parametrize("sizes", [((1, 1), (2, 2), (3, 3)), ((1, 1), (1, 3), (2, 5), (3, 6))])
def test_cached_scales_equal_teacher_forcing(model, sizes):
    schedule = ScaleSchedule(sizes)
    text, tokens = prompts(), torch.randn(3, schedule.total - 1, SIZES["latent_dim"])
    whole = model(text, tokens, schedule)
    assert whole.shape == (3, schedule.total, SIZES["latent_dim"], 2)
    stepwise = run_scales(model, model.condition(text), tokens, schedule)
    torch.testing.assert_close(stepwise, whole, atol=2e-5, rtol=1e-4)
    first = schedule.offsets[2]  # fewer scales: a beginning
    torch.testing.assert_close(model(text, tokens[:, : first - 1], schedule), whole[:, :first])
    torch.testing.assert_close(model(text, tokens[:, :0], schedule), whole[:, :1])


def test_rows_are_independent_of_padding_and_order(model):
    text, tokens = prompts(), torch.randn(3, 13, 3)
    whole = model(text, tokens)
    for row, rows in enumerate(text.prompts()):
        alone = model(TextFeatures.of([rows]), tokens[row : row + 1])
        torch.testing.assert_close(alone, whole[row : row + 1], atol=2e-5, rtol=1e-4)
    cond = model.condition(text)
    index = torch.tensor([2, 0])
    context = model.context(cond).gather_rows(index)
    again = model.context(cond[index])
    torch.testing.assert_close(context.head, again.head)
    for one, two in zip(context.memory, again.memory, strict=True):
        torch.testing.assert_close(one.keys, two.keys)
        assert torch.equal(one.mask, two.mask)


def test_empty_text_stands_for_dropped_prompts(model):
    text, tokens = prompts(), torch.randn(3, 13, 3)
    dropped = torch.tensor([False, True, True])
    logits = model(text, tokens, dropped=dropped)
    empty = model.empty_text(text.lengths).prompts()
    same = TextFeatures.of([text.prompts()[0], *empty[1:]])
    torch.testing.assert_close(logits, model(same, tokens))
    assert concatenate([text, same]).lengths == (3, 1, 5, 3, 1, 5)
    with pytest.raises(VarSpacesError, match="longer than this model's 6"):
        model.empty_text((7,))


def test_runs_of_other_schedules_leave_no_trace(model):
    text = prompts()
    schedules = (ScaleSchedule(((1, 1), (2, 2))), ScaleSchedule(((1, 1), (2, 1), (4, 2))))
    jobs = [(torch.randn(3, s.total - 1, 3), s) for s in schedules]
    alone = [run_scales(model, model.condition(text), *job) for job in jobs]
    for job, logits in zip(reversed(jobs), reversed(alone), strict=True):
        assert torch.equal(run_scales(model, model.condition(text), *job), logits)


def test_published_files_in_other_spellings(model):
    state = model.state_dict()
    other = Infinity(InfinityConfig(**SIZES, chunks=3 - model.config.chunks))
    other.load_state_dict(other.adapt_state(state))
    other.requires_grad_(False)
    text, tokens = prompts(), torch.randn(3, 13, 3)
    assert torch.equal(other.eval()(text, tokens), model(text, tokens))

    flipped = {
        k: v.transpose(1, 2) if k.endswith("scale_mul_1H11") else v for k, v in state.items()
    }
    adapted = model.adapt_state({**flipped, "x.zero_k_bias": torch.zeros(1)})
    assert all(torch.equal(adapted[key], value) for key, value in state.items())
    for rows in (4, 9):
        file = {**state, "cfg_uncond": torch.ones(rows, SIZES["text_dim"])}
        fitted = model.adapt_state(file)["cfg_uncond"]
        assert fitted.shape == state["cfg_uncond"].shape
        assert (fitted[: min(rows, 6)] == 1).all()
        assert fitted.isfinite().all()
        assert not (fitted[rows:] == 1).any()


def test_a_fresh_model_predicts_even_odds():
    torch.manual_seed(0)
    model = Infinity(InfinityConfig(**SIZES))
    logits = model(prompts(), torch.randn(3, 13, 3))
    assert logits.softmax(-1).sub(0.5).abs().max() < 0.05
    logits.square().mean().backward()
    silent = {"cfg_uncond"}  # only dropped prompts reach it
    assert {n for n, p in model.named_parameters() if p.grad is None} == silent


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"heads": 3}, "multiple of heads"),
        ({"chunks": 3}, "multiple of chunks"),
        ({"pool_heads": 5}, "multiple of pool_heads"),
        ({"heads": 16}, "multiple of 4"),
        ({"levels": 2}, "as many levels"),
        ({"rope_mode": 3}, "0, 1 or 2"),
        ({"depth": 0}, "at least 1"),
    ],
)
def test_bad_sizes(change, words):
    with pytest.raises(VarSpacesError, match=words):
        InfinityConfig(**{**SIZES, **change})


def test_bad_inputs(model):
    with pytest.raises(VarSpacesError, match="do not end where a scale"):
        model(prompts(), torch.randn(3, 6, 3))
    with pytest.raises(VarSpacesError, match="text encoder of its card"):
        model.condition(TextFeatures(torch.randn(2, 5), (2,)))
    with pytest.raises(VarSpacesError, match="knows 5 scales"):
        model.rotary(ScaleSchedule.square((1, 2, 3, 4, 5, 6)), torch.device("cpu"))
    with pytest.raises(VarSpacesError, match="Did you mean"):
        InfinityConfig.published("2bb")


# --- schedules and positions ------------------------------------------------------------------


def test_nearest_template():
    assert nearest_template(9 / 16) == 0.571
    assert nearest_template(1.02) == 1.0
    assert nearest_template(100) == 3.0
    for bad in (0, -1, float("nan"), float("inf")):
        with pytest.raises(VarSpacesError, match="above 0"):
            nearest_template(bad)
    with pytest.raises(VarSpacesError, match="Presets"):
        published("0.2M")


def test_shaped_schedules_keep_the_area():
    assert shaped((1, 2, 4, 6, 8, 12, 16), 1.5).sizes == TEMPLATES[1.5].sizes[:7]
    own = (1, 2, 3, 4, 6, 8)
    assert shaped(own, 1.0) == ScaleSchedule.square(own)
    for ratio in TEMPLATES:
        schedule = shaped(own, ratio)
        height, width = schedule.last
        assert schedule.sizes[0] == (1, 1)
        assert 0.75 < height * width / 64 < 1.3
        assert 0.7 < height / width / ratio < 1.4


def test_reference_grid():
    assert reference_grid(published("0.06M", 0.5)) == (45, 90)
    assert reference_grid(ScaleSchedule.square((1, 2, 3, 4, 6, 8))) == (64, 64)
    assert reference_grid(ScaleSchedule.square((1, 2, 3, 4, 6, 8)), 16) == (16, 16)
    assert reference_grid(ScaleSchedule(((1, 1), (4, 16))), 16) == (8, 32)


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_rotation_keeps_lengths_and_starts_at_nothing(mode):
    table = rotary(published("0.06M", 1.5), 8, mode)
    x = torch.randn(2, 3, len(table.cos), 8)
    turned = table.turn(x)
    norm = x.norm(dim=-1) if mode != 1 else None  # shrunk maps are no rotations any more
    if norm is not None:
        torch.testing.assert_close(turned.norm(dim=-1), norm)
    torch.testing.assert_close(turned[:, :, 0], x[:, :, 0])
    assert table.turn(x.bfloat16()).dtype == torch.bfloat16
