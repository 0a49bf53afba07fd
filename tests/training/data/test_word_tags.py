"""What captions say of their words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from var_spaces.evaluators.claims import POSITIONS, Caption, Thing
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import unpack
from var_spaces.training.data.captions import CaptionRecipe, CaptionWriter, Written
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.data.word_tags import COLOURS, TAGS, thing_tags, token_tags


def words(text: str) -> list[tuple[int, int]]:
    """Offsets as a tokenizer gives them, with empty special tokens around."""
    found, start = [(0, 0)], 0
    for word in text.split(" "):
        found.append((start, start + len(word)))
        start += len(word) + 1
    return [*found, (0, 0)]


def test_a_relation_and_places():
    two = Caption("", (Thing("cat", colour="red"), Thing("dog")), relation="left of")
    red = COLOURS.index("red")
    assert thing_tags(two) == [(1, 0, red, 0), (3, 0, 0, 0)]
    above = Caption("", (Thing("cat"), Thing("dog", count=2)), relation="above")
    assert thing_tags(above) == [(0, 1, 0, 0), (0, 3, 0, 1)]
    for place, (column, row) in POSITIONS.items():
        said = Caption("", (Thing("cat", place=place),))
        assert thing_tags(said) == [(column + 1, row + 1, 0, 0)]


def test_tokens_of_a_thing_and_no_others():
    caption = Caption("a red cat on the left of a dog", (Thing("cat", colour="red"), Thing("dog")))
    tags = token_tags(Written(caption, ("a red cat", "a dog")), words(caption.text))
    assert [number for number, _ in tags] == [1, 2, 3, 8, 9]
    assert [tag[2] for _, tag in tags] == [COLOURS.index("red")] * 3 + [0, 0]


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.load()


@given(seed=st.integers(0, 2**31), name=st.sampled_from(["pairs", "composed", "wide"]))
@settings(max_examples=20, deadline=None)
def test_every_thing_of_every_caption_is_found(atlas, seed, name):
    scenes = unpack(atlas, SceneSampler(atlas, recipe(name)).batch(seed, 0, 8))
    writer = CaptionWriter(atlas, CaptionRecipe(place=0.9))
    written = writer.written(scenes, seed, 0)
    assert [one.caption for one in written] == writer.batch(scenes, seed, 0)
    for one in written:
        assert len(one.phrases) == len(one.caption.things)
        assert all(phrase in one.caption.text for phrase in one.phrases)
        found = [tags for _, tags in token_tags(one, words(one.caption.text))]
        assert set(found) <= set(thing_tags(one.caption))
        for tags in found:
            assert all(0 <= tag < size for tag, size in zip(tags, TAGS.values(), strict=True))
