"""Cache policies: the registered ones, and how a new one plugs in."""

from __future__ import annotations

import subprocess
import sys

import torch

from var_spaces import methods
from var_spaces.backbones.var import VAR, VARConfig
from var_spaces.cache.base import CachePolicy, CacheSession
from var_spaces.schedule import ScaleSchedule

SCHEDULE = ScaleSchedule.square((1, 2, 3))
CONFIG = VARConfig(
    depth=2,
    width=16,
    heads=4,
    vocab_size=8,
    latent_dim=4,
    num_classes=3,
    patch_nums=(1, 2, 3),
)


def run(policy: CachePolicy) -> tuple[torch.Tensor, list[tuple[tuple[int, ...], ...]]]:
    """Hidden states of the last scale and the lengths after every scale."""
    torch.manual_seed(0)
    model = VAR(CONFIG).eval()
    layers, heads, head_dim = model.kv_layout()
    context = model.context(model.condition(torch.tensor([0, 3])))
    cache = policy.new_cache(
        SCHEDULE,
        layers=layers,
        rows=2,
        heads=heads,
        head_dim=head_dim,
        dtype=torch.float32,
        device="cpu",
    )
    session = policy.session(cache, SCHEDULE)
    lengths = []
    with torch.no_grad():
        for scale, count in enumerate(SCHEDULE.lengths):
            tokens = torch.randn(2, count, CONFIG.latent_dim)
            x = model.embed_scale(tokens, scale, context) if scale else model.start(context)
            hidden = model.forward_scale(x, range(scale, scale + 1), context, cache)
            session.after_scale(scale)
            lengths.append(cache.lengths)
    return hidden, lengths


def test_full_keeps_everything():
    policy = methods.parse("cache", {"name": "full"})
    assert methods.dump(policy) == {"name": "full"}
    _, lengths = run(policy)
    assert lengths == [((n,), (n,)) for n in (1, 5, 14)]


class LastScale(CachePolicy):
    """Forgets all but the last scale, in the first two heads only."""

    name, title = "test-last-scale", "Last scale"

    def head_groups(self, schedule, layers, heads):
        return [[range(2), range(2, heads)]] * layers

    def session(self, cache, schedule):
        return LastScaleSession(cache, schedule)


class LastScaleSession(CacheSession):
    def after_scale(self, scale):
        for layer in range(len(self.cache.lengths)):
            held = self.cache.lengths[layer][0]
            index = torch.arange(held - self.schedule.lengths[scale], held)
            self.cache.keep(layer, 0, index, shrink=True)


def test_policy_with_head_groups_keeps_ragged_lengths():
    hidden, lengths = run(LastScale())
    assert lengths == [((a, b), (a, b)) for a, b in ((1, 1), (4, 5), (9, 14))]
    assert not torch.equal(hidden, run(methods.parse("cache", "full"))[0])


class Watching(CachePolicy):
    """Asks for queries and keeps everything."""

    name, title = "test-watching", "Watching"

    def session(self, cache, schedule):
        return WatchingSession(cache, schedule)


class WatchingSession(CacheSession):
    wants_queries = True
    calls: list[tuple[int, int, tuple[int, ...]]]

    def __init__(self, cache, schedule):
        super().__init__(cache, schedule)
        Watching.calls = self.calls = []

    def after_attention(self, layer, scale, q, score_scale):
        self.calls.append((layer, scale, tuple(q.shape)))


def test_session_that_wants_queries_gets_those_of_every_layer_and_scale():
    hidden, _ = run(Watching())
    head_dim = CONFIG.width // CONFIG.heads
    assert Watching.calls == [
        (layer, scale, (2, CONFIG.heads, count, head_dim))
        for scale, count in enumerate(SCHEDULE.lengths)
        for layer in range(CONFIG.depth)
    ]
    assert torch.equal(hidden, run(methods.parse("cache", "full"))[0])


def test_policies_are_described_without_torch():
    code = (
        "import sys; from var_spaces import methods; methods.parse('cache', 'full'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
