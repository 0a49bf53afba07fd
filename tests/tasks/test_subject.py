"""The subject task: its words and its picture."""

from __future__ import annotations

import numpy as np
import pytest

from var_spaces.errors import VarSpacesError
from var_spaces.methods import parse
from var_spaces.pictures import digest
from var_spaces.spec import RunSpec
from var_spaces.tasks.plan import plan
from var_spaces.tasks.subject import SubjectTask, on_white


def test_the_word_stands_where_it_is():
    task = parse("task", {"name": "subject", "prompt": "a <it> and <it>", "word": " a\ndog "})
    assert task.resolve(None).prompt == "a a dog and a dog"
    assert parse("task", {"name": "subject", "prompt": "a <it>"}).resolve(None).prompt == "a <it>"


def test_the_picture_is_seen_square():
    pixels = np.zeros((10, 20, 3), np.uint8)
    task = SubjectTask(source=digest(pixels))
    assert task.seen("source", 16, 32, {task.source: pixels}).shape == (32, 32, 3)
    assert SubjectTask().seen("source", 16, 32, {}) is None


@pytest.mark.parametrize("side", [32, 600])
def test_a_plain_background_becomes_white(side):
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    thing = np.hypot(rows, columns) < 0.3
    hole = np.hypot(rows, columns) < 0.1
    pixels = np.full((side, side, 3), (90, 140, 210), np.uint8)
    pixels += np.random.default_rng(0).integers(0, 8, pixels.shape, np.uint8)
    pixels[thing] = (200, 30, 30)
    pixels[hole] = (92, 142, 212)  # as the background, but not reached from the edge
    found = on_white(pixels)
    assert (found[0] == 255).all() and (found[:, -1] == 255).all()
    middle = side // 2
    assert np.array_equal(found[middle, middle], pixels[middle, middle])
    inside = np.hypot(rows, columns) < 0.27
    assert np.array_equal(found[inside], pixels[inside])
    assert (found[np.hypot(rows, columns) > 0.33] == 255).all()


def test_models_that_take_no_subject():
    with pytest.raises(VarSpacesError, match="it draws a thing from a picture"):
        plan(RunSpec(model="t2i-bit", task="subject", inputs={"prompt": "a dog"}))


def test_the_background_of_a_subject_is_painted_over_if_asked_for():
    pixels = np.full((16, 16, 3), 90, np.uint8)
    pixels[5:11, 5:11] = 200
    kept = SubjectTask(source=digest(pixels))
    white = kept.model_copy(update={"background": "white"})
    seen = [task.seen("source", 16, 16, {task.source: pixels}) for task in (kept, white)]
    assert (seen[0][0] == 90).all() and (seen[1][0] == 255).all()
    assert (seen[1][7, 7] == 200).all()
