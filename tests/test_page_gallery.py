"""What the page shows before anybody drew: it is what the models draw, and all of it is there."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from var_spaces import api
from var_spaces.events import ScaleDone
from var_spaces.ui.form.examples import MAKERS, SCENES, examples
from var_spaces.ui.form.scenes import scenes
from var_spaces.ui.gallery import draw, pictures
from var_spaces.zoo.cards import get_card


@pytest.mark.parametrize("model", pictures.index()["runs"])
def test_the_example_of_a_model_is_its_first_run_to_click_on(model):
    strip = pictures.example_strip(model)
    first = examples(strip.spec.task, get_card(model))[0]
    assert {key: strip.spec.inputs[key] for key in first.inputs} == first.inputs
    assert strip.spec.seed == first.seed
    width, height = Image.open(pictures.FOLDER / f"{model}.webp").size
    assert (width, height) == (draw.SIDE * strip.count, draw.SIDE)
    assert strip.count == get_card(model).schedule.num_scales


def test_the_strip_is_what_the_model_draws():
    spec = pictures.example_strip("var-small").spec
    found = [e.preview[0] for e in api.stream(spec) if isinstance(e, ScaleDone)]
    shown = np.asarray(Image.open(pictures.FOLDER / "var-small.webp").convert("RGB"), np.float64)
    assert np.abs(np.concatenate(found, 1) - shown).mean() < 4  # of 255: it is stored with loss


def test_every_class_and_style_has_a_thumbnail():
    told = pictures.for_browser()
    card = get_card("var-base")
    assert (tuple(told["classes"]), tuple(told["styles"])) == (card.classes, card.styles)
    size = (draw.SMALL * len(card.classes), draw.SMALL * len(card.styles))
    assert Image.open(pictures.FOLDER / "classes.webp").size == size


def test_what_an_example_starts_from_is_shown():
    found = [one for task in MAKERS for one in examples(task, get_card("edit-bit")) if one.scene]
    assert len(found) > len(SCENES)
    places = {scene: pictures.example_tile({}, scene) for scene in SCENES}
    assert all(pictures.example_tile(one.inputs, one.scene) in places.values() for one in found)
    shown = np.asarray(Image.open(pictures.FOLDER / "scenes.webp").convert("RGB"), np.float64)
    assert np.abs(np.concatenate(scenes(SCENES, draw.SIDE), 1) - shown).mean() < 4
    assert [pictures.scene_key(scene) for scene in SCENES] == pictures.index()["scenes"]


def test_an_example_without_a_picture_has_words_only():
    assert pictures.example_tile({"class": "unknown"}) == ""
    assert "object-position:0% 0" in pictures.example_tile({"class": "red apple", "style": "soft"})
