"""CSD-VAR's adapters: where learned rows begin, and one model of several pictures."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from var_spaces.adapters.base import Given, Loaded
from var_spaces.adapters.content_style_network import ContentStyleNetwork
from var_spaces.adapters.content_styles import ContentStyles
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule


def test_rows_begin_with_the_tokens_of_a_word_in_turn():
    sizes = SimpleNamespace(text_rows=5, rank=0, slots=1)
    base = SimpleNamespace(text_len=8, text_dim=4, width=6, patch_nums=(1, 2))
    network, word = ContentStyleNetwork(sizes, base), torch.randn(2, 2, 4)
    network.start_from(*word)
    for rows, tokens in zip((network.content, network.style), word, strict=True):
        assert torch.equal(rows, tokens[[0, 1, 0, 1, 0]])


def test_one_model_of_several_pictures_knows_which_it_learned():
    known = {"pictures": ("a" * 16,), "contents": ("owl",), "styles": ("soft",)}
    one = ContentStyles(**known).one(0)
    assert (one.content, one.style) == ("owl", "soft")
    for lacks in ("contents", "styles"):
        with pytest.raises(VarSpacesError, match="differ in number"):
            ContentStyles(**{**known, lacks: ()}).one(0)
    given = Given(ScaleSchedule.square((1, 2)), inputs=SimpleNamespace(source="b" * 64))
    with pytest.raises(VarSpacesError, match="learned 1 pictures, and this is none of them"):
        ContentStyles(**known).prepare(Loaded(None, None, None), given)
