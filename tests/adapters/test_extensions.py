"""Extensions of every kind: neutral where they must be, the same with a cache and all at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.adapters.toys import EXTENSIONS, NEUTRAL, Toy
from tests.infinity import PATCH_NUMS, write_models
from tests.tiny import drain
from var_spaces import methods
from var_spaces.adapters.base import Given, Loaded
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.cache.full import Full
from var_spaces.cache.kv import KVCache
from var_spaces.decoding.backbone import NULL, batch_rows, blocks
from var_spaces.decoding.guidance.conditions import ConditionGuidance
from var_spaces.decoding.guidance.per_scale import ScaleGuidance
from var_spaces.decoding.loop.lane import Lane
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.loop.run import run
from var_spaces.decoding.sampling.bits import BitSampling
from var_spaces.decoding.search.best_of_n import BestOfN
from var_spaces.decoding.search.scoring import Asked
from var_spaces.decoding.setup import RunSetup
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.decoding.strategies.supernet import Supernet
from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo.residency import Residency

SCHEDULE = ScaleSchedule.square(PATCH_NUMS)
WIDE = ScaleSchedule(((1, 1), (2, 3), (3, 5)))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = write_models(tmp_path_factory.mktemp("models"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAR_SPACES_MODELS", str(folder))
        loaded = Residency().model("tiny-t2i", "cpu")
        yield loaded.tokenizer, loaded.backbone


class Words:
    """Random text features of every image, unconditional rows the model's own."""

    def embed(self, backbone, rows, adapter=None):
        def encode(prompts):
            generator = torch.Generator().manual_seed(5)
            return TextFeatures.of([torch.randn(3, 384, generator=generator) for _ in prompts])

        parts = {}
        for name, images in blocks(rows).items():
            if name == NULL:
                parts[name] = backbone.empty_text(next(iter(parts.values())).lengths)
            else:
                prompts = ["words"] * len(images)
                parts[name] = adapter.text(prompts, name, encode) if adapter else encode(prompts)
        packed = torch.cat([part.packed for part in parts.values()])
        return backbone.condition(
            TextFeatures(packed, sum((part.lengths for part in parts.values()), ()))
        )


def prepared(models, **toy):
    toy = Toy(**toy)
    loaded = Loaded(models[1], models[0], toy.build(models[1].config))
    return toy.prepare(loaded, Given(SCHEDULE))


def setup(models, images=(0, 1), **changes):
    fields = {
        "tokenizer": models[0],
        "backbone": models[1],
        "schedule": SCHEDULE,
        "conditioning": Words(),
        "images": tuple(images),
        "noise": SeededNoise(0),
        "sampling": BitSampling(),
        "guidance": ScaleGuidance(scale=2.0),
        "cache": Full(),
        "decoding": PlainDecoding(),
    }
    return RunSetup(**{**fields, **changes})


def drawn(models, images=(0, 1), **changes):
    return drain(run(setup(models, images, **changes)))[1]


def same(one, two):
    return all(map(torch.equal, one, two))


@pytest.mark.parametrize("number", range(len(EXTENSIONS)))
@torch.no_grad()
def test_scale_by_scale_equals_all_at_once(models, number):
    """With a cache, and masked; of a schedule that is not square, too."""
    backbone: Infinity = models[1]
    adapter, rows = prepared(models, number=number), batch_rows(("full",), (1, 2))
    text = TextFeatures(torch.randn(7, 384), (3, 4))
    for schedule in (SCHEDULE, WIDE):
        tokens = torch.randn(2, schedule.total - 1, 6)

        def extend(context):
            return adapter.extension(context, rows)

        whole = backbone(text, tokens, schedule, extend=extend)
        plain = backbone(text, tokens, schedule)
        assert whole.shape == plain.shape
        assert not torch.allclose(whole, plain, atol=1e-3)
        context = backbone.context(backbone.condition(text), schedule)
        context = context.extended(extend(context))
        layers, heads, dim = backbone.kv_layout()
        cache = KVCache(layers=layers, rows=2, heads=heads, head_dim=dim, capacity=schedule.total)
        for b in range(layers):
            if (pinned := context.extension.pinned(b)) is not None:
                cache.pin(b, *pinned)
        parts, logits = tokens.split(schedule.lengths[1:], 1), []
        for k in range(schedule.num_scales):
            x = backbone.embed_scale(parts[k - 1], k, context) if k else backbone.start(context)
            hidden = backbone.forward_scale(x, range(k, k + 1), context, cache)
            logits.append(backbone.logits(hidden, context))
        torch.testing.assert_close(torch.cat(logits, 1), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", NEUTRAL)
def test_an_output_of_zero_changes_no_bit(models, kind):
    adapter = prepared(models, number=EXTENSIONS.index(kind), weight=0.0)
    assert same(drawn(models, adapter=adapter), drawn(models))


@pytest.mark.parametrize("other", ["weights", "low-rank", "text"])
def test_other_weights_and_words(models, other):
    before = {name: value.clone() for name, value in models[1].state_dict().items()}
    changed = drawn(models, adapter=prepared(models, other=other))
    assert not same(changed, drawn(models))
    assert all(torch.equal(models[1].state_dict()[name], value) for name, value in before.items())
    if other != "text":
        neutral = prepared(models, other=other, weight=0.0)
        assert same(drawn(models, adapter=neutral), drawn(models))


@pytest.mark.parametrize("number", range(len(EXTENSIONS)))
def test_interleaved_runs_on_one_base_do_not_disturb_each_other(models, number):
    several = [{"adapter": prepared(models, number=number)}, {}]
    several += [{"adapter": prepared(models, other=other)} for other in ("low-rank", "weights")]
    alone = [drawn(models, **changes) for changes in several]
    lanes = [Lane(setup(models, **changes), (0, 1)) for changes in several]
    for scale in range(SCHEDULE.num_scales):
        for lane in lanes:
            lane.advance(scale)
    for lane, ids in zip(lanes, alone, strict=True):
        assert same(lane.ids, ids)
    assert not same(alone[0], alone[1])


@pytest.mark.parametrize("name", methods.names("cache"))
@pytest.mark.parametrize("number", [0, 1], ids=["prefix", "front"])
def test_every_policy_keeps_what_is_pinned(models, name, number):
    fields = methods.get("cache", name).model_fields
    policy = methods.parse(
        "cache", {"name": name, **({"budget": 0.3} if "budget" in fields else {})}
    )
    if name == "quantised":
        policy = methods.parse("cache", {"name": name, "policy": "h2o", "policy_budget": 0.3})
    adapter = prepared(models, number=number)
    lane, seen = Lane(setup(models, cache=policy, adapter=adapter), (0, 1)), []
    plain = Lane(setup(models, cache=policy), (0, 1))
    for scale in range(SCHEDULE.num_scales):
        lane.advance(scale)
        plain.advance(scale)
        cache, without = (one.session.run.cache for one in (lane, plain))
        seen.append(cache.pinned)
        held, full = lane.kv_bytes, lane.kv_full_bytes(scale)
        assert held == full if name == "full" else held <= full  # what is pinned counts in both
        assert full - lane.kv_pinned_bytes == plain.kv_full_bytes(scale)
        assert cache.lengths == without.lengths  # budgets are those of a run without
        for layer in range(len(cache.lengths)):
            for group in range(len(cache.lengths[layer])):
                if name != "none":
                    positions = cache.positions(layer, group)
                    assert positions.min() >= 0
                    assert positions.max() < SCHEDULE.offsets[scale + 1]
    pinned = {0: (0, 3), 1: (1, 1)}[number]
    assert seen == [pinned] * SCHEDULE.num_scales
    one = without.allocated_bytes if name == "none" else without.nbytes
    assert cache.nbytes > one


def test_pinned_entries_are_counted():
    sizes = {"layers": 2, "rows": 2, "heads": 2, "head_dim": 4}
    cache = KVCache(**sizes, capacity=6)
    k, v = torch.randn(2, 2, 2, 3, 4)
    cache.pin(1, k, v)
    assert (cache.pinned, cache.lengths) == ((0, 3), ((0,), (0,)))
    assert cache.nbytes == cache.full_nbytes == 2 * 2 * 2 * 3 * 4 * 4
    later = torch.randn(2, 2, 2, 5, 4)
    cache.append(1, *later)
    cache.keep(1, 0, torch.tensor([4, 0]), shrink=True)
    cache.gather_rows(torch.tensor([1, 1, 0]))
    everything = cache.views(1, pinned=True)[0]
    index = torch.tensor([1, 1, 0])
    assert torch.equal(everything.k, torch.cat((k, later[0][:, :, [4, 0]]), 2)[index])
    assert torch.equal(everything.v, torch.cat((v, later[1][:, :, [4, 0]]), 2)[index])
    assert torch.equal(cache.views(1)[0].k, later[0][index][:, :, [4, 0]])
    cache.release()
    assert cache.nbytes == 0
    assert cache.pinned_bytes == 2 * 3 * 2 * 3 * 4 * 4  # a full cache would hold it still


@pytest.mark.parametrize("number", range(len(EXTENSIONS)))
def test_a_search_gathers_the_rows_of_an_extension(models, number):
    """Rows that were reordered and repeated go on as runs of their own would."""
    adapter = prepared(models, number=number)
    straight = Lane(setup(models, (0, 1), adapter=adapter), (0, 1))
    turned = Lane(setup(models, (0, 1), adapter=adapter), (0, 1))
    for lane in (straight, turned):
        lane.advance(0)
    index = torch.tensor([1, 0, 1])
    turned.session.gather_rows(index)
    turned.f_hat, turned.tokens = turned.f_hat[index], turned.tokens[index]
    for scale in (1, 2):
        one, two = (lane.session.run for lane in (straight, turned))
        logits = one.logits(one.advance(scale, straight.tokens))
        again = two.logits(two.advance(scale, turned.tokens))
        for name, part in one.parts(logits).items():
            torch.testing.assert_close(two.parts(again)[name], part[index], atol=1e-4, rtol=1e-4)
        f_hat = torch.randn_like(straight.f_hat)
        straight.tokens = models[0].next_input(f_hat, 1, SCHEDULE)
        turned.tokens = straight.tokens[index]


def test_three_rows_of_guidance(models):
    adapter = prepared(models, number=2)
    ids = {}
    for words, picture in ((1.0, 1.0), (2.0, 2.0), (1.0, 3.0), (2.0, 3.0)):
        rule = ConditionGuidance(scale=words, condition=picture)
        ids[words, picture] = drawn(models, guidance=rule, adapter=adapter)
        rows = {(1.0, 1.0): 1, (2.0, 2.0): 2, (1.0, 3.0): 2, (2.0, 3.0): 3}[words, picture]
        assert len(rule.rows(SCHEDULE)) == rows
    usual = drawn(models, guidance=ScaleGuidance(scale=2.0), adapter=adapter)
    off = drawn(models, guidance=ScaleGuidance(scale=1.0), adapter=adapter)
    assert same(ids[1.0, 1.0], off)
    assert torch.equal(ids[2.0, 2.0][0], usual[0])
    assert not same(ids[2.0, 3.0], ids[2.0, 2.0])
    parts = {name: torch.randn(2, 3, 4) for name in ("full", "text", "null")}
    mixed = ConditionGuidance(scale=2.0, condition=3.0).combine(parts, 0, SCHEDULE)
    full, text, null = parts.values()
    torch.testing.assert_close(mixed, null + 2 * (text - null) + 3 * (full - text))


@pytest.mark.parametrize(
    "decoding", [Supernet(depth=2, bridge=1), BestOfN(candidates=3, reward="clip")]
)
def test_strategies_run_with_three_rows_and_an_extension(models, decoding):
    for number in range(len(EXTENSIONS)):
        rule = ConditionGuidance(scale=2.0, condition=3.0)
        change = replace(
            setup(models, guidance=rule, adapter=prepared(models, number=number)),
            decoding=decoding,
            asked=(Asked("a key"),) * 2,
        )
        ids = drain(run(change))[1]
        assert [len(one) for one in ids] == [2, 2, 2]
