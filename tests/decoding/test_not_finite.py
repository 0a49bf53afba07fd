"""Numbers that are not finite end a run in one line; none of them leaves as an event."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import pytest
import torch

from tests import tiny
from var_spaces.decoding.guidance.per_scale import ScaleGuidance
from var_spaces.decoding.loop.run import run
from var_spaces.decoding.strategies.plain import PlainSession
from var_spaces.errors import VarSpacesError
from var_spaces.events import ScaleDone


def broken(module, name, value):
    module = copy.deepcopy(module)
    with torch.no_grad():
        module.get_parameter(name).view(-1)[0] = value
    return module


def until_it_ends(setup):
    """Events before the error, and the error."""
    events = []
    with pytest.raises(VarSpacesError) as error:
        events.extend(run(setup))
    assert all(math.isfinite(e.entropy) for e in events if isinstance(e, ScaleDone))
    assert "\n" not in str(error.value)
    return events, str(error.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["head.weight", "blocks.0.ffn.fc2.bias", "class_emb.weight"])
def test_weights_that_are_not_finite(name, value):
    _, var = tiny.shared()
    events, words = until_it_ends(tiny.setup(backbone=broken(var, name, value)))
    assert events == []
    assert words.startswith("Scale 1 of ") and "damaged" in words


def test_a_later_scale():
    """The first scale is fine; what the tokenizer makes of it is not."""
    _, var = tiny.shared()
    events, words = until_it_ends(tiny.setup(backbone=broken(var, "word_embed.bias", math.nan)))
    assert [event.scale for event in events] == [0]
    assert words.startswith("Scale 2 of ")


def test_overflow_in_half_precision_names_the_remedy():
    _, var = tiny.shared()
    half = copy.deepcopy(var).to(torch.float16)
    with torch.no_grad():
        half.head.weight.mul_(3e4 / half.head.weight.abs().max())
    _, words = until_it_ends(tiny.setup(backbone=half))
    assert "overflow in float16: try float32 (VAR_SPACES_DTYPE=float32)" in words


class SecondPass(PlainSession):
    """The first pass of a scale is fine, the second is not."""

    def predict(self, scale, tokens, draw):
        raw = self.run.logits(self.run.advance(scale, tokens))
        first = draw(raw)
        draw(raw * (math.nan if scale == 1 else 1), part=1)
        return first


def test_a_later_pass_of_a_scale():
    events, words = until_it_ends(tiny.setup(decoding=SimpleNamespace(session=SecondPass)))
    assert [event.scale for event in events] == [0]
    assert words.startswith("Scale 2 of ")


def test_a_strength_that_overflows():
    guidance = ScaleGuidance.model_construct(scale=(3e38,))
    _, words = until_it_ends(tiny.setup(guidance=guidance))
    assert "a strength is far too large" in words


def test_a_decoder_that_gives_no_numbers():
    vq, var = tiny.shared()
    name = next(n for n, _ in vq.named_parameters() if n.startswith("decoder."))
    events, words = until_it_ends(tiny.setup(tokenizer=broken(vq, name, math.nan)))
    assert [event.scale for event in events] == list(range(var.schedule.num_scales))
    assert "decoder gave no numbers" in words


def test_no_waiting_for_the_check():
    """What a lane returns is still on the device; only the loop reads it, once per scale."""
    from var_spaces.decoding.loop.lane import Lane

    entropy = Lane(tiny.setup(), (0,)).advance(0)[0]
    assert isinstance(entropy, torch.Tensor) and entropy.isfinite()
