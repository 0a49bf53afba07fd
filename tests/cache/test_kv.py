"""The KV cache against a naive one that keeps a list of vectors per layer, row and head."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from var_spaces.cache.kv import KVCache
from var_spaces.errors import VarSpacesError

HEAD_DIM = 4
CAPACITY = 12


class NaiveCache:
    """``entries[layer][row][head]`` lists ``(key, value, position)``."""

    def __init__(self, layers: int, rows: int, heads: int) -> None:
        self.entries = [[[[] for _ in range(heads)] for _ in range(rows)] for _ in range(layers)]
        self.seen = [0] * layers

    def append(self, layer, k, v):
        for row, heads in enumerate(self.entries[layer]):
            for head, held in enumerate(heads):
                for i in range(k.shape[2]):
                    held.append((k[row, head, i], v[row, head, i], self.seen[layer] + i))
        self.seen[layer] += k.shape[2]

    def keep(self, layer, heads, index):
        for row, per_row in enumerate(self.entries[layer]):
            for g, head in enumerate(heads):
                per_row[head] = [per_row[head][i] for i in index[row, g].tolist()]

    def gather_rows(self, index):
        self.entries = [[[list(h) for h in rows[i]] for i in index] for rows in self.entries]

    def attend(self, layer, q, scale):
        out = torch.empty_like(q)
        for row, heads in enumerate(self.entries[layer]):
            for head, held in enumerate(heads):
                k = torch.stack([entry[0] for entry in held])
                v = torch.stack([entry[1] for entry in held])
                out[row, head] = (scale * q[row, head] @ k.T).softmax(-1) @ v
        return out


@st.composite
def partitions(draw, heads: int):
    """Random head groups: a shuffled list of heads cut into parts."""
    order = draw(st.permutations(range(heads)))
    cuts = sorted(draw(st.sets(st.integers(1, heads - 1), max_size=heads - 1)) if heads > 1 else [])
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, heads], strict=True)]


def check_equal(cache: KVCache, naive: NaiveCache, groups) -> None:
    held_bytes = 0
    for layer, per_layer in enumerate(groups):
        for g, heads in enumerate(per_layer):
            view = cache.views(layer)[g]
            positions = cache.positions(layer, g)
            for row in range(cache.rows):
                for i, head in enumerate(heads):
                    expected = naive.entries[layer][row][head]
                    assert len(expected) == cache.lengths[layer][g] == view.k.shape[2]
                    assert positions[row, i].tolist() == [entry[2] for entry in expected]
                    for n, (k, v, _) in enumerate(expected):
                        assert torch.equal(view.k[row, i, n], k)
                        assert torch.equal(view.v[row, i, n], v)
                    held_bytes += 2 * len(expected) * HEAD_DIM * 4
    assert cache.nbytes == held_bytes <= cache.allocated_bytes
    full = sum(naive.seen) * 2 * cache.rows * cache.heads * HEAD_DIM * 4
    assert cache.full_nbytes == full


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_equals_naive_cache_under_random_operations(data):
    layers, heads = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    rows = data.draw(st.integers(1, 3))
    groups = [data.draw(partitions(heads)) for _ in range(layers)]
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    cache = KVCache(
        layers=layers,
        rows=rows,
        heads=heads,
        head_dim=HEAD_DIM,
        capacity=CAPACITY,
        head_groups=groups,
    )
    naive = NaiveCache(layers, rows, heads)

    def attend(layer: int) -> None:
        new = data.draw(st.integers(1, 4))
        if max(cache.lengths[layer]) + new > CAPACITY:
            return
        shape = (3, cache.rows, heads, new, HEAD_DIM)
        q, k, v = torch.randn(shape, generator=generator).unbind(0)
        naive.append(layer, k, v)
        out = cache.attend(layer, q, k, v, 0.7)
        torch.testing.assert_close(out, naive.attend(layer, q, 0.7))

    def keep(layer: int) -> None:
        group = data.draw(st.integers(0, len(groups[layer]) - 1))
        length = cache.lengths[layer][group]
        size = data.draw(st.integers(0, length))
        shape = (cache.rows, len(groups[layer][group]), length)
        index = torch.rand(shape, generator=generator).argsort(-1)[..., :size].sort(-1).values
        naive.keep(layer, groups[layer][group], index)
        cache.keep(layer, group, index, shrink=data.draw(st.booleans()))

    def gather(layer: int) -> None:
        rows = st.lists(st.integers(0, cache.rows - 1), min_size=1, max_size=4)
        index = torch.tensor(data.draw(rows))
        naive.gather_rows(index.tolist())
        cache.gather_rows(index)

    def shrink(layer: int) -> None:
        cache.shrink(layer if data.draw(st.booleans()) else None)

    for _ in range(data.draw(st.integers(1, 10))):
        operation = data.draw(st.sampled_from([attend, attend, keep, gather, shrink]))
        operation(data.draw(st.integers(0, layers - 1)))
        check_equal(cache, naive, groups)


def new_cache(**changes) -> KVCache:
    sizes = {"layers": 2, "rows": 2, "heads": 4, "head_dim": HEAD_DIM, "capacity": CAPACITY}
    return KVCache(**(sizes | changes))


def kv(tokens: int, rows: int = 2, heads: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, rows, heads, tokens, HEAD_DIM).unbind(0)


def test_append_writes_in_place():
    cache = new_cache()
    first = cache.append(0, *kv(3))[0].k
    second = cache.append(0, *kv(5))[0].k
    assert first.data_ptr() == second.data_ptr()
    assert cache.lengths == ((8,), (0,))


def test_bytes_are_exact():
    cache = new_cache(capacity=[10, 20], dtype=torch.bfloat16)
    entry = 2 * 2 * 4 * HEAD_DIM * 2  # k and v, rows, heads, channels, bytes
    assert cache.allocated_bytes == 30 * entry
    cache.append(1, *kv(6))
    assert cache.nbytes == cache.full_nbytes == 6 * entry
    cache.keep(1, 0, torch.arange(2), shrink=True)
    assert (cache.nbytes, cache.full_nbytes) == (2 * entry, 6 * entry)
    assert cache.allocated_bytes == 12 * entry
    cache.release(0)
    assert cache.allocated_bytes == cache.nbytes == 2 * entry
    cache.release()
    assert cache.allocated_bytes == 0


def test_capacity_per_group():
    entry = 2 * 2 * HEAD_DIM * 4
    groups = [[[0], [1, 2, 3]], [range(4)]]
    cache = new_cache(head_groups=groups, capacity=[[3, 5], 7])
    assert cache.allocated_bytes == (3 + 3 * 5 + 4 * 7) * entry


def test_keep_restricts_attention_to_what_is_kept():
    cache, (k, v), q = new_cache(), kv(4), torch.randn(2, 4, 1, HEAD_DIM)
    cache.append(0, k, v)
    cache.keep(0, 0, torch.tensor([1]))
    new_k, new_v = kv(1)
    out = cache.attend(0, q, new_k, new_v, 1.0)
    k, v = torch.cat((k[:, :, 1:2], new_k), 2), torch.cat((v[:, :, 1:2], new_v), 2)
    torch.testing.assert_close(out, (q @ k.mT).softmax(-1) @ v)


def test_attention_in_another_dtype_than_the_cache():
    cache, (k, v) = new_cache(dtype=torch.bfloat16), kv(3)
    out = cache.attend(0, k, k, v, 1.0)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, (k @ k.mT).softmax(-1) @ v, atol=0.05, rtol=0.05)


def test_usable_across_inference_mode():
    cache = new_cache()
    with torch.inference_mode():
        cache.append(0, *kv(2))
        cache.keep(0, 0, torch.arange(1), shrink=True)
    cache.append(0, *kv(2))
    cache.gather_rows(torch.tensor([1]))
    cache.append(0, *kv(1, rows=1))
    assert cache.lengths[0] == (4,)


class Recorder:
    """Keeps only the newest token before attention; notes what it is told."""

    def __init__(self, cache: KVCache) -> None:
        self.cache, self.calls = cache, []

    def before_attention(self, layer, scale, q, score_scale):
        self.calls.append(("before", layer, scale, self.cache.lengths[layer][0], score_scale))
        self.cache.keep(layer, 0, torch.tensor([self.cache.lengths[layer][0] - 1]))

    def after_attention(self, layer, scale, q, score_scale):
        self.calls.append(("after", layer, scale, self.cache.lengths[layer][0], score_scale))


class Asker:
    """Asks for the queries of some tokens as projected."""

    def __init__(self, cache: KVCache) -> None:
        self.cache = cache

    def before_attention(self, layer, scale, q, score_scale):
        self.shape = q.shape

    def after_attention(self, layer, scale, q, score_scale):
        self.given = self.cache.raw_queries(torch.tensor([0, 2]))


def test_an_observer_counts_tokens_from_the_first_that_is_not_pinned():
    cache, (k, v), raw = new_cache(), kv(5), torch.randn(2, 4, 5, HEAD_DIM)
    asker = Asker(cache)
    cache.watch(asker)
    cache.attend(0, k, k, v, 1.0, raw=lambda index: raw[:, :, index], front=2)
    assert asker.shape[2] == 3 == cache.lengths[0][0] and cache.pinned == (2, 0)
    assert torch.equal(asker.given, raw[:, :, [2, 4]])


def test_observer_sees_queries_and_can_drop_keys_before_attention():
    cache, (k, v) = new_cache(), kv(3)
    recorder = Recorder(cache)
    cache.watch(recorder)
    cache.begin_scale(5)
    out = cache.attend(1, torch.randn_like(k), k, v, 0.5)
    assert recorder.calls == [("before", 1, 5, 3, 0.5), ("after", 1, 5, 1, 0.5)]
    torch.testing.assert_close(out, v[:, :, -1:].expand_as(out))
    del recorder
    cache.attend(1, k, k, v, 0.5)
    assert cache.lengths[1] == (4,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 0}, "rows of at least 1"),
        ({"head_groups": [[[0, 1, 2, 3]]]}, "1 layers, the cache has 2"),
        ({"head_groups": [[[0, 1], [1, 2, 3]]] * 2}, "each of the 4 heads once"),
        ({"capacity": [3]}, "1 entries for 2 layers"),
        ({"capacity": 0}, "capacity of at least 1"),
        ({"capacity": [[3, 3], [3]]}, "each of its 1 head groups"),
    ],
)
def test_wrong_sizes_are_refused(changes, message):
    with pytest.raises(VarSpacesError, match=message):
        new_cache(**changes)


def test_wrong_use_is_refused():
    cache = new_cache()
    with pytest.raises(VarSpacesError, match=r"do not fit the cache"):
        cache.append(0, *kv(2, rows=3))
    with pytest.raises(VarSpacesError, match="0 of 12 entries are in use and 13 more"):
        cache.append(0, *kv(13))
    cache.release(0)
    with pytest.raises(VarSpacesError, match="released layer"):
        cache.append(0, *kv(1))
