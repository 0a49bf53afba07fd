"""Refinement: coarse scales of the picture, details drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import var_spaces
from var_spaces.errors import VarSpacesError
from var_spaces.events import ScaleDone
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import plan

SOURCE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.mark.parametrize("keep", [1, 2])
def test_coarse_scales_stay_and_the_others_are_drawn(use_tiny_models, keep):
    vq = var_spaces.load("tiny-tokenizer").tokenizer
    with torch.no_grad():
        source = vq.encode(torch.tensor(SOURCE).permute(2, 0, 1)[None] / 127.5 - 1)
    events = var_spaces.stream(
        model="tiny-var", task="refine", image=SOURCE, keep=keep, seed=3, previews=False
    )
    ids = [event.ids for event in events if isinstance(event, ScaleDone)]
    assert [torch.equal(*pair) for pair in zip(ids, source, strict=True)] == [
        k < keep for k in range(3)
    ]


def test_something_is_left_to_draw(use_tiny_models):
    with pytest.raises(VarSpacesError, match=r"keep = 3 leaves nothing to draw.*0 to 2"):
        var_spaces.stream(model="tiny-var", task="refine", image=SOURCE, keep=3)
    few = {"inputs": {"source": "ab" * 32, "keep": 2}, "schedule": ((1, 1), (2, 2))}
    with pytest.raises(VarSpacesError, match=r"keep = 2 leaves nothing to draw: .*0 to 1"):
        plan(RunSpec(model="flexvar", task="refine", **few))


def test_the_picture_is_needed(use_tiny_models):
    with pytest.raises(VarSpacesError, match="is missing: hand it in again"):
        var_spaces.stream(model="tiny-var", task="refine", source="ab" * 32, keep=1)
