"""Captions: always true, varied, deterministic by index; the scenes they are written for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from var_spaces.training.data import captions as module
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import unpack
from var_spaces.training.data.captions import Caption, CaptionRecipe, CaptionWriter, Thing
from var_spaces.training.data.palette import BACKGROUNDS
from var_spaces.training.data.recipes import recipe
from var_spaces.training.data.sampler import SceneSampler
from var_spaces.training.data.scene import Object, Scene
from var_spaces.training.data.words import (
    BACKGROUND_WORDS,
    SYNONYMS,
    article,
    other_names,
    plural,
    without_colour,
)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.load()


@pytest.fixture(scope="module")
def writer(atlas) -> CaptionWriter:
    return CaptionWriter(atlas)


def sure(atlas: Atlas, **changes: float | bool) -> CaptionWriter:
    """A writer that says everything and uses no synonyms, but for ``changes``."""
    base = {"background": 1, "style": 1, "place": 1, "colour": 1, "synonym": 0}
    return CaptionWriter(atlas, CaptionRecipe(**{**base, **changes}))


def words(caption: Caption) -> list[str]:
    return caption.text.replace(",", "").split()


def scenes(atlas: Atlas, name: str, count: int) -> list[Scene]:
    return unpack(atlas, SceneSampler(atlas, recipe(name)).batch(3, 0, count))


@pytest.mark.parametrize("name", ["easy", "composed", "composed_wide", "wide", "settled_wide"])
def test_every_claim_is_true(atlas, writer, name):
    every = scenes(atlas, name, 400)
    for scene, caption in zip(every, writer.batch(every, 5, 0), strict=True):
        assert caption.background in (None, scene.background)
        assert caption.style is None or {o.style for o in scene.objects} == {caption.style}
        assert sum(thing.count for thing in caption.things) == len(scene.objects)
        for thing in caption.things:
            same = [o for o in scene.objects if o.concept == thing.concept]
            if thing.colour and scene.objects[0].ink is None:
                same = [o for o in same if o.tint == thing.colour or o.ink]
            assert len(same) >= thing.count
            if thing.place:
                assert thing.place in {module.place_of(o) for o in same}
        if caption.relation:
            one, two = (
                [o for o in scene.objects if o.concept == thing.concept] for thing in caption.things
            )
            key = "cx" if caption.relation == "left of" else "cy"
            assert any(getattr(a, key) < getattr(b, key) for a in one for b in two)


def test_words_of_a_caption(atlas):
    objects = (
        Object("red apple", "flat", cx=0.25, cy=0.25, size=0.45, tint="blue"),
        Object("cat", "flat", cx=0.75, cy=0.75, size=0.45),
    )
    found = {sure(atlas).caption(Scene("grey", objects), 1, i) for i in range(40)}
    assert len({caption.text for caption in found}) > 30
    for caption in found:
        assert "apple" in caption.text
        assert "red" not in words(caption)  # it is tinted blue
        assert "blue" in caption.text
        assert "flat" in caption.text
        assert "gr" in caption.text
        assert "{" not in caption.text
        assert caption.things == (
            Thing("red apple", 1, "blue", "top left"),
            Thing("cat", 1, None, "bottom right"),
        )


def test_relations_are_said_both_ways(atlas):
    left, right = (
        Object(name, "soft", cx=cx, cy=0.5, size=0.4) for name, cx in (("dog", 0.25), ("bus", 0.75))
    )
    found = [sure(atlas).caption(Scene("white", (right, left)), 0, i) for i in range(200)]
    said = [caption for caption in found if caption.relation]
    assert 60 < len(said) < 140
    assert all(caption.relation == "left of" for caption in said)
    assert all(caption.things[0].concept == "dog" for caption in said)
    ways = {("left" in c.text, c.text.index("dog") < c.text.index("bus")) for c in said}
    assert len(ways) >= 3


@pytest.mark.parametrize(
    ("places", "relation"),
    [
        (((0.25, 0.4), (0.75, 0.5)), "left of"),
        (((0.4, 0.25), (0.5, 0.75)), "above"),
        (((0.25, 0.4), (0.75, 0.6)), None),  # nobody would agree
        (((0.4, 0.25), (0.6, 0.75)), None),
        (((0.35, 0.5), (0.64, 0.5)), None),
    ],
)
def test_what_stands_aslant_or_close_is_in_no_relation(atlas, places, relation):
    objects = (
        Object(name, "soft", cx=cx, cy=cy, size=0.2)
        for name, (cx, cy) in zip(("dog", "bus"), places, strict=True)
    )
    scene = Scene("white", tuple(objects))
    found = {sure(atlas).caption(scene, 0, i).relation for i in range(30)}
    assert found == {None, relation}


def test_places_are_said_where_they_are_clear():
    for across, column in ((0.3, "left"), (0.7, "right")):
        for down, row in ((0.3, "top"), (0.7, "bottom")):
            assert module.place_of(Object("dog", "soft", cx=across, cy=down)) == f"{row} {column}"
        assert module.place_of(Object("dog", "soft", cx=across, cy=0.5)) is None
        assert module.place_of(Object("dog", "soft", cx=0.5, cy=across)) is None
    for at in (0.4, 0.6):
        assert module.place_of(Object("dog", "soft", cx=at, cy=at)) == "middle"


def test_equal_objects_are_counted(atlas):
    objects = tuple(
        Object("butterfly", "soft", cx=x, cy=0.3, size=0.4, tint="pink") for x in (0.2, 0.5, 0.8)
    )
    found = [sure(atlas).caption(Scene("white", objects), 0, i) for i in range(60)]
    assert {caption.things for caption in found} == {(Thing("butterfly", 3, "pink"),)}
    assert all("butterflies" in caption.text for caption in found)
    assert all(any(w in c.text for w in ("three", "3 ", "trio")) for c in found)


def test_gradients_and_empty_scenes(atlas):
    caption = sure(atlas).caption(Scene(("white", "navy"), ()), 0, 0)
    assert caption.background == ("white", "navy")
    assert "nothing" in caption.text
    assert caption.style is None


def test_a_caption_depends_on_seed_and_index_only(atlas, writer):
    every = scenes(atlas, "composed", 24)
    whole = writer.batch(every, 9, 100)
    assert whole[7:9] == writer.batch(every[7:9], 9, 107)
    assert whole[7] == CaptionWriter(atlas).caption(every[7], 9, 107)
    assert whole != writer.batch(every, 10, 100)


def test_a_recipe_that_says_nothing(atlas):
    quiet = sure(atlas, background=0, style=0, place=0, colour=0)
    for scene, caption in zip(
        scenes(atlas, "composed", 50), quiet.batch(scenes(atlas, "composed", 50), 0, 0), strict=True
    ):
        assert isinstance(caption, Caption)
        assert caption.background is caption.style is caption.relation is None
        assert not any(thing.colour or thing.place for thing in caption.things)
        assert len(scene.objects) == sum(thing.count for thing in caption.things)


def test_synonyms_are_used_a_quarter_of_the_time(atlas, writer):
    car = Scene("white", (Object("automobile", "soft"),))
    said = Counter("car" in words(writer.caption(car, 0, i)) for i in range(800))
    assert 0.19 < said[True] / 800 < 0.31


def test_no_synonym_is_the_name_of_another_thing(atlas):
    names = {concept.name.lower() for concept in atlas.concepts}
    assert set(SYNONYMS) <= names
    every = other_names(atlas.concepts)
    for concept, others in every.items():
        assert not {other.lower() for other in others} & (names - {concept.lower()})
    counted = Counter(name for group in every.values() for name in group)
    assert set(counted.values()) <= {1}


def test_families_have_at_least_six_wordings():
    families = [module.FRAMES, module.COLOURS, *module.COUNTS.values(), module.PAIRS]
    families += [module.TRIPLES, module.BESIDE, module.ABOVE, module.ON_BACKGROUND]
    families += [module.ON_GRADIENT, module.IN_STYLE, *module.PLACES.values()]
    assert all(len(set(family)) >= 6 for family in families)
    assert set(BACKGROUND_WORDS) == set(BACKGROUNDS)
    words = [word for group in BACKGROUND_WORDS.values() for word in group]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("one", "with_article", "many"),
    [
        ("cat", "a cat", "cats"),
        ("owl", "an owl", "owls"),
        ("unicorn", "a unicorn", "unicorns"),
        ("cherries", "cherries", "sets of cherries"),
        ("butterfly", "a butterfly", "butterflies"),
        ("bus", "a bus", "buses"),
        ("fish", "a fish", "fish"),
        ("slice of pizza", "a slice of pizza", "slices of pizza"),
        ("computer mouse", "a computer mouse", "computer mice"),
        ("key", "a key", "keys"),
    ],
)
def test_grammar(one, with_article, many):
    assert article(one) == with_article
    assert plural(one) == many


def test_a_colour_in_a_name_gives_way_to_a_tint():
    assert without_colour("red apple") == "apple"
    assert without_colour("rose") == "rose"
    assert without_colour("orange") == "orange"


def test_alike_objects(atlas):
    alike = replace(recipe("composed"), same_concept=1.0)
    for scene in unpack(atlas, SceneSampler(atlas, alike).batch(0, 0, 64)):
        assert len({(o.concept, o.style, o.tint) for o in scene.objects}) == 1
    mixed = SceneSampler(atlas, recipe("composed")).batch(0, 0, 512)
    several = mixed.concept[:, 1] >= 0
    same = (mixed.concept[:, 0] == mixed.concept[:, 1])[several]
    assert 0.25 < same.float().mean() < 0.5


def test_alike_objects_change_no_other_recipe(atlas):
    """A recipe without them draws what it always drew: the frozen stream of a seed."""
    batch = SceneSampler(atlas, recipe("wide")).batch(1, 0, 8)
    again = SceneSampler(atlas, replace(recipe("wide"), same_concept=0.0)).batch(1, 0, 8)
    assert torch.equal(batch.sprite, again.sprite)


def test_places_that_are_not_said_are_the_usual_ones(atlas):
    """Tokens of a scale are drawn apart, so what a caption leaves open comes out as a mixture."""
    every = scenes(atlas, "settled", 600)
    silent = CaptionWriter(atlas, CaptionRecipe(place=0, colour=1, settled=True))
    unsaid, said = Counter(), Counter()
    for scene, caption in zip(every, silent.batch(every, 3, 0), strict=True):
        names = [item.concept for item in scene.objects]
        if module.stands_as_usual(scene.objects):
            assert not caption.relation and not any(thing.place for thing in caption.things)
            assert [thing.concept for thing in caption.things] == [*dict.fromkeys(names)]
            unsaid[len(names)] += 1
        elif len(set(names)) == len(names):
            assert caption.relation or all(thing.place for thing in caption.things)
            said[len(names)] += 1
    assert min(unsaid[1], unsaid[2], unsaid[3], said[2], said[3]) > 20 and not said[1]


def test_things_are_named_in_the_order_in_which_they_stand(atlas):
    two = (Object("cow", "flat", cx=0.25, cy=0.25), Object("bus", "flat", cx=0.75, cy=0.75))
    three = (Object("cow", "flat", cx=0.25, cy=0.25), Object("bus", "flat", cx=0.75, cy=0.25))
    three += (Object("key", "flat", cx=0.25, cy=0.75),)
    for objects in (two, three):
        names = [item.concept for item in objects]
        for settled, fixed in ((True, True), (False, False)):
            writer = sure(atlas, place=0, settled=settled)
            texts = [writer.caption(Scene("white", objects), 1, i).text for i in range(40)]
            orders = {tuple(sorted(names, key=text.index)) for text in texts}
            assert (orders == {tuple(names)}) == fixed
            assert len({*texts}) > 20


def test_a_usual_placement_changes_no_other_recipe(atlas):
    plain, usual = recipe("balanced"), recipe("settled")
    one, two = (
        unpack(atlas, SceneSampler(atlas, found).batch(5, 0, 300)) for found in (plain, usual)
    )
    moved = [a != b for a, b in zip(one, two, strict=True)]
    assert 0.2 < sum(moved) / len(moved) < 0.6
    for a, b in zip(one, two, strict=True):
        assert [o.concept for o in a.objects] == [o.concept for o in b.objects]


def test_things_that_are_drawn_alike_stand_as_usual(atlas):
    """No caption says where each of them is."""
    alike = replace(recipe("settled"), same_concept=1.0)
    for scene in unpack(atlas, SceneSampler(atlas, alike).batch(0, 0, 200)):
        assert module.stands_as_usual(scene.objects)
    anywhere = replace(alike, usual=0.0)
    every = unpack(atlas, SceneSampler(atlas, anywhere).batch(0, 0, 200))
    assert not all(module.stands_as_usual(scene.objects) for scene in every)
