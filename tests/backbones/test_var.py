"""The VAR transformer apart from the reference: variants, caching, sub-networks, precision."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from var_spaces.backbones.var import VAR, VARConfig
from var_spaces.cache.kv import KVCache
from var_spaces.errors import VarSpacesError

CONFIG = VARConfig(
    depth=4,
    width=24,
    heads=3,
    vocab_size=32,
    latent_dim=6,
    num_classes=5,
    patch_nums=(1, 2, 3, 4),
    num_styles=2,
)
VARIANTS = {
    "published": {"num_styles": 0},
    "styles": {},
    "no-l2-norm": {"attn_l2_norm": False},
    "shared-adaln": {"shared_aln": True},
    "first-scale-2x2": {"patch_nums": (2, 3, 4)},
}


def tiny(**changes) -> VAR:
    """A model whose gates are open, so that every block matters."""
    torch.manual_seed(0)
    model = VAR(dataclasses.replace(CONFIG, **changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def inputs(model: VAR, batch: int = 2, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Labels, token inputs of scales 1.. and styles."""
    torch.manual_seed(seed)
    config = model.config
    length = model.schedule.total - model.schedule.lengths[0]
    return (
        torch.randint(config.num_classes + 1, (batch,)),
        torch.randn(batch, length, config.latent_dim),
        torch.randint(config.num_styles + 1, (batch,)),
    )


class Run:
    """One cached run, advanced scale by scale with given inputs."""

    def __init__(self, model: VAR, case: tuple[Tensor, Tensor, Tensor], blocks=None) -> None:
        labels, self.tokens, styles = case
        self.model, self.blocks, self.logits = model, blocks, []
        layers, heads, head_dim = model.kv_layout()
        self.cache = KVCache(
            layers=layers,
            rows=len(labels),
            heads=heads,
            head_dim=head_dim,
            capacity=model.schedule.total,
        )
        self.context = model.context(model.condition(labels, styles))

    @torch.no_grad()
    def step(self, scale: int) -> None:
        model, first = self.model, self.model.schedule.lengths[0]
        span = model.schedule.span(scale)
        if scale == 0:
            x = model.start(self.context)
        else:
            tokens = self.tokens[:, span.start - first : span.stop - first]
            x = model.embed_scale(tokens, scale, self.context)
        here = range(scale, scale + 1)
        hidden = model.forward_scale(x, here, self.context, self.cache, self.blocks)
        self.logits.append(model.logits(hidden, self.context))

    def result(self) -> Tensor:
        for scale in range(len(self.logits), self.model.schedule.num_scales):
            self.step(scale)
        return torch.cat(self.logits, dim=1)


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_cached_equals_masked(variant):
    model = tiny(**VARIANTS[variant])
    case = inputs(model)
    expected = model(*case)
    assert expected.shape == (2, model.schedule.total, CONFIG.vocab_size)
    torch.testing.assert_close(Run(model, case).result(), expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_interleaved_runs_equal_separate_ones():
    model = tiny()
    cases = inputs(model, 2, seed=1), inputs(model, 3, seed=2)
    separate = [Run(model, case).result() for case in cases]
    together = [Run(model, case) for case in cases]
    for scale in range(model.schedule.num_scales):
        for run in together:
            run.step(scale)
    for run, expected in zip(together, separate, strict=True):
        assert torch.equal(run.result(), expected)


@torch.no_grad()
def test_no_scale_sees_later_ones():
    model = tiny()
    labels, tokens, styles = inputs(model)
    changed = tokens.clone()
    changed[:, model.schedule.offsets[-2] - 1 :] += 1
    a, b = model(labels, tokens, styles), model(labels, changed, styles)
    last = model.schedule.span(model.schedule.num_scales - 1)
    assert torch.equal(a[:, : last.start], b[:, : last.start])
    assert not torch.isclose(a[:, last], b[:, last]).all()


@torch.no_grad()
def test_prefix_of_the_scales_gives_a_prefix_of_the_logits():
    model = tiny()
    labels, tokens, styles = inputs(model)
    end = model.schedule.offsets[2]
    torch.testing.assert_close(
        model(labels, tokens[:, : end - 1], styles), model(labels, tokens, styles)[:, :end]
    )
    with pytest.raises(VarSpacesError, match="do not end where a scale"):
        model(labels, tokens[:, :-1], styles)


@pytest.mark.parametrize("shared", [False, True])
@torch.no_grad()
def test_sub_network_equals_a_model_of_its_blocks(shared):
    model, blocks = tiny(shared_aln=shared), (0, 2, 3)
    small = VAR(dataclasses.replace(model.config, depth=len(blocks))).eval()
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("blocks.")}
    small.load_state_dict(state, strict=False)
    for own, source in zip(small.blocks, blocks, strict=True):
        own.load_state_dict(model.blocks[source].state_dict())
    case = inputs(model)
    run = Run(model, case, blocks)
    assert torch.equal(run.result(), Run(small, case).result())
    assert [layer[0] for layer in run.cache.lengths] == [30, 0, 30, 30]
    assert torch.equal(model(*case, blocks=blocks), small(*case))


@torch.no_grad()
def test_rows_can_be_gathered_within_a_run():
    model = tiny()
    labels, tokens, styles = inputs(model, 3)
    index = torch.tensor([2, 0])
    run = Run(model, (labels, tokens, styles))
    run.step(0)
    run.step(1)
    run.cache.gather_rows(index)
    run.tokens, run.context = run.tokens[index], run.context.gather_rows(index)
    run.logits = [logits[index] for logits in run.logits]
    expected = Run(model, (labels[index], tokens[index], styles[index])).result()
    torch.testing.assert_close(run.result(), expected)


@torch.no_grad()
def test_styles_add_to_the_class():
    model = tiny()
    labels = torch.tensor([0, 1])
    none = torch.tensor([model.null_style] * 2)
    assert torch.equal(model.condition(labels), model.condition(labels, none))
    assert not torch.equal(model.condition(labels), model.condition(labels, torch.tensor([0, 1])))
    assert "style_emb.weight" not in tiny(num_styles=0).state_dict()


def test_initialisation():
    model = VAR(dataclasses.replace(CONFIG, width=96, shared_aln=False))
    std = math.sqrt(1 / (3 * 96))
    state = model.state_dict()

    def spread(key: str, rows: slice = slice(None)) -> float:
        return state[key][rows].std().item() / std

    near_one = pytest.approx(1.0, rel=0.15)
    for key in ("word_embed.weight", "class_emb.weight", "style_emb.weight", "pos_1LC"):
        assert spread(key) == near_one, key
    assert spread("blocks.1.attn.mat_qkv.weight") == near_one
    assert spread("blocks.1.attn.proj.weight") * math.sqrt(2 * CONFIG.depth) == near_one
    assert spread("blocks.1.ffn.fc2.weight") * math.sqrt(2 * CONFIG.depth) == near_one
    assert spread("blocks.1.ada_lin.1.weight", slice(0, 192)) / 1e-3 == near_one
    assert spread("blocks.1.ada_lin.1.weight", slice(192, None)) / 0.5 == near_one
    assert spread("head_nm.ada_lin.1.weight") / 0.5 == near_one
    assert spread("head.weight") / 0.02 == near_one
    assert (state["blocks.1.attn.scale_mul_1H11"] == math.log(4)).all()
    assert all(not v.any() for k, v in state.items() if k.endswith("bias"))

    shared = VAR(dataclasses.replace(CONFIG, width=96, shared_aln=True))
    table = shared.blocks[0].ada_gss.detach() * math.sqrt(96)
    assert table[:, :, :2].std().item() / 1e-3 == pytest.approx(1.0, rel=0.2)
    assert table[:, :, 2:].std().item() / 0.5 == pytest.approx(1.0, rel=0.2)


@torch.no_grad()
def test_bfloat16_weights_and_autocast_stay_close():
    model = tiny()
    case = inputs(model)
    expected = model(*case)
    with torch.autocast("cpu", torch.bfloat16):
        autocast = model(*case)
    half = model.bfloat16()
    for actual in (autocast, half(*case), Run(half, case).result()):
        assert actual.dtype == torch.float32
        assert (actual - expected).abs().max() < 0.1 * expected.abs().max()


def test_stochastic_depth_drops_whole_samples_in_training_only():
    model = tiny(drop_path=0.5)
    case = inputs(model, batch=8)
    with torch.no_grad():
        assert torch.equal(model(*case), model(*case))
        model.train()
        assert not torch.equal(model(*case), model(*case))


def test_a_model_made_on_meta_loads_and_runs():
    model = tiny()
    with torch.device("meta"):
        empty = VAR(model.config)
    empty.load_state_dict(model.state_dict(), assign=True)
    case = inputs(model)
    with torch.no_grad():
        assert torch.equal(empty.eval()(*case), model(*case))


def test_no_run_state_in_the_module():
    model = tiny()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    names = set(vars(model))
    Run(model, inputs(model)).result()
    assert set(vars(model)) == names
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
