"""A block of EchoGen gives the numbers of the reference (arXiv 2509.26127)."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from tests.masked_attention import masked_attend
from var_spaces.adapters.echo_network import EchoNetwork
from var_spaces.adapters.echo_run import EchoExtension
from var_spaces.backbones.infinity_config import InfinityConfig
from var_spaces.backbones.infinity_layers import InfinityBlock
from var_spaces.backbones.layers import FeedForward
from var_spaces.backbones.rope import Rotary
from var_spaces.decoding.guidance.conditions import ConditionGuidance
from var_spaces.schedule import ScaleSchedule

CLOSE = {"atol": 2e-5, "rtol": 1e-5}
pytestmark = pytest.mark.golden("echogen_block")


class Case:
    """The fixture's block as one block of a network, and its inputs."""

    def __init__(self, golden):
        config, self.tensors = golden.spec["config"], golden.tensors
        width, heads = config["C"], config["heads"]
        sizes = {"depth": 1, "width": width, "heads": heads, "latent_dim": 4}
        base = InfinityConfig(**sizes, patch_nums=(1,), text_dim=width, pool_heads=heads)
        self.own = EchoNetwork(base, (width, 2), (width, 2), exact=False).eval()
        # Of any width, where configurations know multiples of 256.
        self.own.blocks[0].control_ffn = FeedForward(width, config["ffn_hidden"])
        state = golden.state("block.")
        control = {k: v for k, v in state.items() if "control" in k}
        self.own.blocks[0].load_state_dict(control)  # strict: names are the published ones
        self.block = InfinityBlock(width, heads, config["ffn_hidden"], base.norm_eps).eval()
        plain = {k: v for k, v in state.items() if "control" not in k}
        self.block.load_state_dict(plain)
        visible = self.tensors["image_mask_visible"].bool()
        self.attend = masked_attend(visible)
        self.rotary = Rotary(self.tensors["rope_cos"], self.tensors["rope_sin"])
        rows = self.tensors["text_kv"].split(config["text_lens"])
        self.text = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
        longest = torch.arange(self.text.shape[1])
        self.mask = longest[None] < torch.tensor(config["text_lens"])[:, None]

    @torch.no_grad()
    def content(self):
        inputs = self.tensors["content"], self.tensors["cond_gss_content"]
        return self.own.blocks[0].content(*inputs, self.text, self.mask)

    @torch.no_grad()
    def extension(self) -> EchoExtension:
        keys = self.own.blocks[0].ca(self.tensors["semantic"])
        content = self.content()
        return EchoExtension(self.own, None, None, [keys], [(content.k, content.v)])

    @torch.no_grad()
    def image(self, extension):
        """The stream of the image through the block."""
        modulation = self.block.modulation(self.tensors["cond_gss"].flatten(1))
        memory = extension.memory(0, self.block.memory(self.text, self.mask))
        attend = extension.attend(0, range(1), self.attend)
        return self.block(self.tensors["x"], modulation, attend, self.rotary, memory)


def test_both_streams(golden):
    case = Case(golden)
    torch.testing.assert_close(case.image(case.extension()), golden.tensors["x_out"], **CLOSE)
    torch.testing.assert_close(case.content().stream, golden.tensors["content_out"], **CLOSE)


def test_parts(golden):
    """What the parts put out, so that a fault shows where it is."""
    case, tensors = Case(golden), golden.tensors
    extension = case.extension()
    own = case.own.blocks[0]
    gates = (own.control_ada_gss + tensors["cond_gss_content"]).unbind(2)
    normed = F.layer_norm(tensors["content"], tensors["content"].shape[-1:], eps=own.eps)
    with torch.no_grad():
        *_, attended = own.sa(normed * (1 + gates[2]) + gates[4])
        torch.testing.assert_close(attended, tensors["content_self_attn_out"], **CLOSE)
        text = own.control_ca.memory(case.text, case.mask)
        stream = tensors["content"] + gates[0] * attended
        found = own.control_ca(own.control_ca_norm(stream), text)
        torch.testing.assert_close(found, tensors["content_cross_attn_out"], **CLOSE)
        modulation = case.block.modulation(tensors["cond_gss"].flatten(1))
        attend = extension.attend(0, range(1), case.attend)
        stream = case.block.attended(tensors["x"], modulation, attend, case.rotary)
        memory = extension.memory(0, case.block.memory(case.text, case.mask))
        read = case.block.read(stream, memory) - stream
    torch.testing.assert_close(read, tensors["cross_attn_out"], **CLOSE)


def test_without_its_projection_the_image_ignores_the_content(golden):
    case = Case(golden)
    case.own.blocks[0].sa.control_attn.weight.data.zero_()
    before = case.image(case.extension())
    case.tensors = {**case.tensors, "content": torch.randn_like(case.tensors["content"])}
    assert torch.equal(case.image(case.extension()), before)


def test_content_is_computed_once(golden):
    """Scale by scale, with what was computed at the first, as all at once."""
    case, lengths = Case(golden), golden.spec["config"]["sequence_lengths_per_scale"]
    extension, seen = case.extension(), []
    ends = list(itertools.accumulate(lengths, initial=0))
    tensors, rotary = case.tensors, case.rotary
    keys = []

    def cached(q, k, v, scale, *more, **named):
        keys.append((k, v))
        k, v = (torch.cat(parts, 2) for parts in zip(*keys, strict=True))
        return F.scaled_dot_product_attention(q, k, v, scale=scale)

    for start, end in itertools.pairwise(ends):
        case.tensors = {**tensors, "x": tensors["x"][:, start:end]}
        case.rotary, case.attend = rotary.span(slice(start, end)), cached
        seen.append(case.image(extension))
    torch.testing.assert_close(torch.cat(seen, 1), tensors["x_out"], **CLOSE)


def test_guidance(golden):
    config = golden.spec["config"]
    rule = ConditionGuidance(scale=(config["gamma_t"],), condition=(config["gamma_i"],))
    names = ("full", "text", "null")
    logits = golden.tensors["cfg_logits_full_textonly_uncond"]
    parts = dict(zip(names, logits, strict=True))
    rows = rule.rows(ScaleSchedule(((1, 1),)))
    if config["gamma_t"] == config["gamma_i"]:  # then the words alone count nothing
        assert rows == ("full", "null")
    found = rule.combine({name: parts[name] for name in rows}, 0, None)
    torch.testing.assert_close(found, golden.tensors["cfg_combined"], **CLOSE)


def test_positions_of_the_token_in_front(golden):
    """It stands where the first token stands."""
    whole = golden.tensors["rope_cos"]
    extension = EchoExtension(None, torch.zeros(1, 1, 2), None, [], [])
    table = Rotary(whole[1:], golden.tensors["rope_sin"][1:])
    first = table.span(slice(0, golden.spec["config"]["sequence_lengths_per_scale"][0] - 1))
    found = extension.rotary(range(1), first)
    assert torch.equal(found.cos, whole[: len(found.cos)])
    assert extension.rotary(range(1, 2), first) is first
