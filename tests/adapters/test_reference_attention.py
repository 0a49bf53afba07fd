"""The condition stream: starts from the base model, never sees the image, costs less than joint."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from var_spaces.adapters.joint_stream import JointStream
from var_spaces.adapters.reference_attention import ReferenceAttention
from var_spaces.adapters.reference_run import SeenStream
from var_spaces.backbones.infinity import Infinity
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.text_features import TextFeatures
from var_spaces.cache.kv import KVCache
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule

ROWS, KINDS = 2, ("canny", "mask")
WAYS = ("reference", "additive")
SIZES = {"depth": 4, "width": 48, "heads": 2, "latent_dim": 6, "text_dim": 32, "text_len": 8}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = Infinity(InfinityConfig(**SIZES, patch_nums=(1, 2, 4), levels=6, rope_extent=4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def case(model):
    """Text, tokens of the image, tokens of the maps."""
    torch.manual_seed(1)
    total = model.schedule.total
    text = TextFeatures(torch.randn(7, 32), (3, 4))
    return text, torch.randn(ROWS, total - 1, 6), torch.randn(ROWS, total, 6)


def stream_of(model, drawn=True, **choices):
    """An adapter; ``drawn`` as if it had been trained."""
    torch.manual_seed(2)
    stream = ReferenceAttention(kinds=KINDS, **choices).build(model.config)
    if drawn:
        for name, parameter in stream.named_parameters():
            if name.startswith("into") or ".up." in name:
                nn.init.normal_(parameter, std=0.2)
    return stream


def extension_of(model, stream, maps, rows=ROWS, **more):
    kinds = torch.arange(len(maps)) % len(KINDS)
    if stream.config.way == "joint":
        embedded = stream.embedded(model, maps, kinds, model.schedule)
        return JointStream(stream, model, embedded, model.schedule)
    passed = stream(model, maps, kinds, model.schedule)
    return SeenStream(stream, passed, model.schedule, rows, **more)


def taught(model, case, stream=None, **more):
    """Logits of all scales at once."""
    text, tokens, maps = case
    if stream is None:
        return model(text, tokens)
    return model(text, tokens, extend=lambda _: extension_of(model, stream, maps, **more))


def drawn(model, case, extension, blocks=None):
    """Logits of all scales, one scale after the other with a cache."""
    text, tokens, _ = case
    context = model.context(model.condition(text)).extended(extension)
    layers, heads, head_dim = model.kv_layout()
    sizes = {"layers": layers, "rows": ROWS, "heads": heads, "head_dim": head_dim}
    cache = KVCache(**sizes, capacity=model.schedule.total)
    parts = tokens.split(model.schedule.lengths[1:], dim=1)
    found = []
    for scale in range(model.schedule.num_scales):
        given = model.embed_scale(parts[scale - 1], scale, context) if scale else None
        x = model.start(context) if given is None else given
        hidden = model.forward_scale(x, range(scale, scale + 1), context, cache, blocks)
        found.append(model.logits(hidden, context))
    return torch.cat(found, dim=1)


# --- where training starts ------------------------------------------------------------------------


@pytest.mark.parametrize("sees", ["same", "up-to", "all"])
@pytest.mark.parametrize("gate", ["linear", "scalar"])
@pytest.mark.parametrize("way", WAYS)
def test_the_start_is_the_base_model_bit_for_bit(model, case, way, gate, sees):
    stream = stream_of(model, drawn=False, way=way, gate=gate, sees=sees)
    assert torch.equal(taught(model, case, stream), taught(model, case))
    other = stream_of(model, drawn=False, way=way, gate=gate, sees=sees, zero_start=False)
    assert not torch.allclose(taught(model, case, other), taught(model, case))


@pytest.mark.parametrize("choices", [{}, {"gate": "scalar"}, {"place": "last"}, {"way": "joint"}])
def test_only_the_adapter_learns_and_all_of_it(model, case, choices):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stream = stream_of(model, **choices)
    optimizer = torch.optim.SGD(stream.parameters(), lr=0.1)
    taught(model, case, stream).square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in stream.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_first_step_moves_the_projections(model, case):
    stream = stream_of(model, drawn=False)
    taught(model, case, stream).square().mean().backward()
    moved = {name for name, p in stream.named_parameters() if p.grad.abs().sum() > 0}
    assert moved == {f"into.{block}.weight" for block in stream.blocks}


# --- what a run computes --------------------------------------------------------------------------


@pytest.mark.parametrize("sees", ["same", "up-to", "all"])
@pytest.mark.parametrize("way", [*WAYS, "joint"])
def test_scale_by_scale_equals_all_at_once(model, case, way, sees):
    stream = stream_of(model, way=way, sees=sees)
    with torch.no_grad():
        found = drawn(model, case, extension_of(model, stream, case[2]))
        torch.testing.assert_close(found, taught(model, case, stream), atol=2e-5, rtol=1e-4)
        assert not torch.allclose(found, taught(model, case), atol=1e-3)


def test_the_stream_of_a_run_equals_one_computed_anew_at_every_scale(model, case):
    """It sees neither the image nor finer scales, so nothing that comes later can change it."""
    stream, (_, _, maps), whole = stream_of(model), case, model.schedule
    with torch.no_grad():
        cached = stream(model, maps, torch.tensor([0, 1]), whole)
        for scales in range(1, whole.num_scales + 1):
            part = ScaleSchedule(whole.sizes[:scales])
            anew = stream(model, maps[:, : part.total], torch.tensor([0, 1]), part)
            for block, (keys, values, _) in anew.items():
                for name, tensor in (("keys", keys), ("values", values)):
                    held = getattr(cached[block], name)[:, :, : part.total]
                    torch.testing.assert_close(held, tensor, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("sees", "changes"),
    [("same", (False, True, False)), ("up-to", (False, True, True)), ("all", (True, True, True))],
)
def test_which_scales_of_the_map_are_seen(model, case, sees, changes):
    """Only the middle scale of the map changes. Its own stream carries it on to finer scales."""
    text, tokens, maps = case
    other, middle = maps.clone(), model.schedule.span(1)
    other[:, middle] += 1
    stream = stream_of(model, sees=sees, share=0.25)  # one block: the stream does not mix scales
    with torch.no_grad():
        one, two = (taught(model, (text, tokens, seen), stream) for seen in (maps, other))
    # the image passes on what it saw in the first block; its attention there tells what it sees
    spans = [model.schedule.span(k) for k in range(3)]
    found = [not torch.allclose(one[:, s], two[:, s], atol=1e-6) for s in spans]
    expected = [any(changes[: k + 1]) for k in range(3)]
    assert found == expected
    extension = extension_of(model, stream, maps)
    lengths = [extension._visible(range(k, k + 1))[0] for k in range(3)]
    ends = {"same": [(0, 1), (1, 5), (5, 21)], "up-to": [(0, 1), (0, 5), (0, 21)]}
    if sees == "all":
        assert lengths == [slice(None)] * 3
    else:
        assert [(s.start, s.stop) for s in lengths] == ends[sees]


def test_strength_and_scales_of_a_run(model, case):
    stream, base = stream_of(model), taught(model, case)
    with torch.no_grad():
        assert torch.equal(taught(model, case, stream, strength=0.0), base)
        some = taught(model, case, stream, seen_by=range(1, 2))
        start = model.schedule.offsets[1]
        assert torch.equal(some[:, :start], base[:, :start])
        assert not torch.allclose(some[:, start:], base[:, start:])
        one, half = (taught(model, case, stream, strength=s) for s in (1.0, 0.5))
        assert (half - base).abs().mean() < (one - base).abs().mean()
        found = drawn(model, case, extension_of(model, stream, case[2], seen_by=range(1, 2)))
        torch.testing.assert_close(found, some, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("way", WAYS)
def test_rows_without_the_map_are_those_of_the_base_model(model, case, way):
    stream = stream_of(model, way=way)
    with torch.no_grad():
        one_map = (case[0], case[1], case[2][:1])
        found = taught(model, one_map, stream, rows=1)
        base, both = taught(model, case), taught(model, one_map, stream, rows=2)
    torch.testing.assert_close(found[1], base[1], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(found[0], both[0], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(both[1], base[1], atol=1e-3)


@pytest.mark.parametrize("maps", [1, 3])
def test_rows_that_a_search_chooses_keep_their_map(model, maps):
    stream = stream_of(model)
    tokens = torch.randn(maps, model.schedule.total, 6)
    extension = extension_of(model, stream, tokens, rows=3)
    chosen = extension.gather_rows(
        torch.tensor([2, 2, 5, 5, 8, 8])
    )  # of three rows, of three names
    assert chosen.rows == 2
    expected = extension.passed[0].keys[[2, 2]] if maps > 1 else extension.passed[0].keys
    assert torch.equal(chosen.passed[0].keys, expected)


@pytest.mark.parametrize("way", [*WAYS, "joint"])
def test_sub_networks_see_the_map_in_the_blocks_that_run(model, case, way):
    stream = stream_of(model, way=way)
    with torch.no_grad():
        found = [
            drawn(model, case, extension_of(model, stream, case[2]), blocks)
            for blocks in ([0, 1, 3], [0, 3], range(4))
        ]
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


def test_joint_attention_begins_in_the_first_block():
    with pytest.raises(VarSpacesError, match="place is first"):
        ReferenceAttention(way="joint", place="last")
    assert ReferenceAttention(way="joint").rows == ("full", "null")
    assert ReferenceAttention().rows == ("full", "text", "null")


def test_the_image_sees_the_map_in_its_share_of_the_blocks():
    """In one at least."""
    for share, first, last in ((0.5, (0, 1), (2, 3)), (0.01, (0,), (3,)), (1, range(4), range(4))):
        for place, blocks in (("first", first), ("last", last)):
            assert tuple(ReferenceAttention(share=share, place=place).blocks(4)) == tuple(blocks)


def test_unknown_kinds_are_refused():
    with pytest.raises(VarSpacesError, match="knows no control 'depth': choose canny, mask"):
        ReferenceAttention(kinds=KINDS).number("depth")


# --- cost -----------------------------------------------------------------------------------------


def flops(way: str, rows: int) -> int:
    """Of two of Infinity-2B's blocks and what the adapter adds, up to the last scale of a
    1 megapixel image; counted without computing."""
    sizes = {"depth": 2, "width": 2048, "heads": 16, "latent_dim": 32, "text_dim": 2048}
    sides = (1, 16, 40, 64)
    with torch.device("meta"):
        model = Infinity(InfinityConfig(**sizes, text_len=8, patch_nums=sides))
        stream = ReferenceAttention(way=way, share=1.0).build(model.config)
        maps = torch.empty(1, model.schedule.total, 32)
        text = TextFeatures(torch.empty(8 * rows, 2048), (8,) * rows)
        kinds = torch.zeros(1, dtype=torch.int64)
        context = model.context(model.condition(text))
        x = torch.empty(rows, model.schedule.total, 2048)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            if way == "joint":
                embedded = stream.embedded(model, maps, kinds, model.schedule)
                extension = JointStream(stream, model, embedded, model.schedule)
            else:
                passed = stream(model, maps, kinds, model.schedule)
                extension = SeenStream(stream, passed, model.schedule, rows)
            _walk(model, context.extended(extension), x)
    return counter.get_total_flops()


def _walk(model, context, x):
    """All scales with a cache, as a run does."""
    layers, heads, head_dim = model.kv_layout()
    sizes = {"layers": layers, "rows": len(x), "heads": heads, "head_dim": head_dim}
    cache = KVCache(**sizes, capacity=model.schedule.total, device="meta")
    for scale in range(model.schedule.num_scales):
        here = x[:, model.schedule.span(scale)]
        model.forward_scale(here, range(scale, scale + 1), context, cache)


def test_reference_attention_costs_less_than_joint_attention():
    assert flops("reference", rows=1) < flops("joint", rows=1)
