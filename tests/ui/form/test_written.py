"""Pictures that controls show: equal ones are one file, which nobody ever sees half-written."""

from __future__ import annotations

import os

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from var_spaces.ui.form.pictures import for_editor
from var_spaces.ui.form.uploads import be_careful
from var_spaces.ui.form.written import written

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    be_careful()


def shown(component, value):
    return component.postprocess(value)


def test_an_image_is_the_picture_and_stays_the_file_it_is(tmp_path):
    image = gr.Image(format="png")
    first = shown(image, PICTURE).path
    assert (np.asarray(Image.open(first)) == PICTURE).all()
    before = os.stat(first)
    assert shown(image, PICTURE.copy()).path == first
    assert os.stat(first).st_ino == before.st_ino  # it was not written again
    assert shown(image, PICTURE[:, ::-1]).path != first
    assert shown(image, PICTURE.reshape(9, 6, 3)).path != first
    assert shown(image, None) is None
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["picture.png"] * 3


def test_pieces_of_an_editor_are_files_too(tmp_path):
    mask = PICTURE[..., 0] > 128
    pieces = for_editor(PICTURE, mask, larger=False)
    found = shown(gr.ImageEditor(format="png"), pieces)
    assert (np.asarray(Image.open(found.background.path)) == PICTURE).all()
    (layer,) = found.layers
    assert (np.asarray(Image.open(layer.path))[..., 3] == 255 * mask).all()
    assert found.composite is None
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {"picture.png"}


def test_what_is_a_file_already_stays_one(tmp_path):
    assert written("a.png", str(tmp_path)) == "a.png"
    assert not list(tmp_path.iterdir())


def test_a_file_that_gradio_deleted_comes_again(tmp_path):
    image = gr.Image(format="png")
    path = shown(image, PICTURE).path
    os.remove(path)
    assert shown(image, PICTURE).path == path and os.path.isfile(path)
