"""The attention that EchoGen and ScaleWeaver share, against the block of EchoGen."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.masked_attention import masked_attend
from var_spaces.adapters.two_softmax import Reference, two_softmax
from var_spaces.backbones.infinity_layers import RotaryAttention
from var_spaces.backbones.layers import SelfAttention, modulate

pytestmark = pytest.mark.golden("echogen_block")
CLOSE = {"atol": 2e-5, "rtol": 1e-5}
EPS = 1e-6


class Turn:
    """Rotary positions as the fixture holds them: cosines and sines of interleaved pairs."""

    def __init__(self, cos, sin):
        self.cos, self.sin = cos, sin

    def turn(self, x):
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = (even * self.cos - odd * self.sin, even * self.sin + odd * self.cos)
        return torch.stack(turned, -1).flatten(-2)


class Case:
    """Both streams of the fixture before their attention, and its layers under our names."""

    def __init__(self, golden):
        self.tensors = t = golden.tensors
        width, heads = golden.spec["config"]["C"], golden.spec["config"]["heads"]
        weights = {
            k.removeprefix("block.sa."): v for k, v in t.items() if k.startswith("block.sa.")
        }
        self.image = RotaryAttention(width, heads)
        self.image.load_state_dict(
            {k: v for k, v in weights.items() if not k.startswith("control_")}
        )
        self.content = SelfAttention(width, heads, l2_norm=True)
        self.content.load_state_dict(
            {
                "scale_mul_1H11": weights["control_scale_mul_1H11"],
                "mat_qkv.weight": torch.cat(
                    (weights["control_mat_q.weight"], weights["control_mat_kv.weight"])
                ),
                "q_bias": weights["control_q_bias"],
                "v_bias": weights["control_v_bias"],
                "proj.weight": weights["control_proj.weight"],
                "proj.bias": weights["control_proj.bias"],
            }
        )
        self.zero = nn.Linear(width, width, bias=False)
        self.zero.load_state_dict({"weight": weights["control_attn.weight"]})
        self.mask = torch.zeros(t["image_mask_visible"].shape).masked_fill_(
            ~t["image_mask_visible"].bool(), -torch.inf
        )
        self.rotary = Turn(t["rope_cos"], t["rope_sin"])

    def normed(self, stream, table, shared):
        _, _, scale, _, shift, _ = (self.tensors[f"block.{table}"] + self.tensors[shared]).unbind(2)
        return modulate(self.tensors[stream], scale, shift, EPS)

    @torch.no_grad()
    def outputs(self, rows=None):
        """Attention of the image and of the content; ``rows`` that see the content."""
        content = self.normed("content", "control_ada_gss", "cond_gss_content")
        q, k, v = self.content.project(content)
        rows = len(k) if rows is None else rows
        attend = two_softmax(
            masked_attend(self.mask), self.zero, Reference(k[:rows], v[:rows], rows)
        )
        image = self.image(self.normed("x", "ada_gss", "cond_gss"), attend, self.rotary)
        alone = F.scaled_dot_product_attention(q, k, v, scale=1).transpose(1, 2).flatten(2)
        return image, self.content.proj(alone)


def test_both_streams(golden):
    image, content = Case(golden).outputs()
    torch.testing.assert_close(image, golden.tensors["self_attn_out"], **CLOSE)
    torch.testing.assert_close(content, golden.tensors["content_self_attn_out"], **CLOSE)


def test_a_zero_projection_is_attention_without_reference(golden):
    case = Case(golden)
    case.zero.weight.data.zero_()
    image, _ = case.outputs()
    with torch.no_grad():
        alone = case.image(
            case.normed("x", "ada_gss", "cond_gss"), masked_attend(case.mask), case.rotary
        )
    assert torch.equal(image, alone)


def test_only_the_first_rows_see_the_reference(golden):
    case = Case(golden)
    image, _ = case.outputs(rows=1)
    torch.testing.assert_close(image[:1], golden.tensors["self_attn_out"][:1], **CLOSE)
    case.zero.weight.data.zero_()
    assert torch.equal(image[1:], case.outputs()[0][1:])
