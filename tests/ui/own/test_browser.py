"""The Subject tab as a new visitor uses it, with five pictures that this test makes."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.ui.test_browser import forget, phase
from var_spaces.zoo import places

TURNED = 6  # how the camera was held (EXIF): a quarter turn


@pytest.fixture
def served(text_models, tmp_path, monkeypatch):
    from var_spaces.ui.app import build_app, launch_options

    monkeypatch.setattr(places, "EMBEDDED", tmp_path / "none")
    monkeypatch.setenv("VAR_SPACES_MODELS", str(text_models))
    page = build_app()
    options = {**launch_options(), "server_name": "127.0.0.1"}
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **options)
    yield url
    page.close()


@pytest.fixture
def files(tmp_path):
    """Pictures as a phone makes them: of several shapes, one of them turned."""
    random, made = np.random.default_rng(0), []
    for number, size in enumerate([(40, 60), (60, 40), (40, 40), (50, 40), (40, 70)]):
        image = Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8))
        exif = image.getexif()
        exif[0x0112] = TURNED if number == 0 else 1
        made.append(str(tmp_path / f"{number}.jpg"))
        image.save(made[-1], exif=exif)
    return made


def test_taught_drawn_taken_home_deleted_and_brought_back(open_page, files, tmp_path):
    page = open_page()
    page.get_by_role("tab", name="Subject").click()
    drawing = page.locator("#subject-own-go")
    page.locator("#subject-train").click()
    expect(drawing).to_be_hidden()  # there is nothing yet to draw with
    status = page.locator("#subject-train-status .vs-status")
    expect(status).to_contain_text("hand in one to 5 pictures")
    page.locator("#subject-files input[type=file]").set_input_files(files)
    squares = page.locator("#subject-crops figure > div")
    expect(squares).to_have_count(5)
    image = squares.first.locator("img")
    expect(image).to_have_attribute("style", re.compile(r"height|width: 100%"))  # upright: 40 x 60
    squares.first.press("ArrowDown")
    page.locator("#subject-word input, #subject-word textarea").fill("dog")
    page.get_by_text("How it learns").click()
    page.locator("#subject-steps input").fill("3")
    page.locator("#subject-train").click()
    expect(status).to_have_attribute("data-phase", "done")
    expect(page.locator("#subject-learning .vs-trials img")).to_have_count(6)
    expect(page.locator("#subject-own input")).to_have_value(re.compile("Dog, fine-tuned"))

    def draw():
        forget(page, "subject-own")
        page.locator("#subject-own-idea-0").click()
        phase(page, "done", "subject-own")
        return page.locator("#subject-own-stage .vs-picture").get_attribute("src")

    drawn = draw()
    with page.expect_download() as taken:
        page.locator("#subject-own-download a").click()
    taken.value.save_as(tmp_path / "dog.zip")
    address = page.locator("#subject-own-download a").get_attribute("href")
    page.get_by_role("tab", name="Generate").click()  # it is a model like the others, here
    page.locator("#generate-model input").click()
    expect(page.get_by_role("option", name="Dog, fine-tuned")).to_have_count(1)
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Subject").click()
    page.locator("#subject-own-delete").click()
    expect(page.locator("#subject-own-delete")).to_be_disabled()
    expect(drawing).to_be_hidden()
    assert page.request.get(urljoin(page.url, address)).status == 404
    with page.expect_file_chooser() as chooser:
        page.locator("#subject-own-back").click()
    chooser.value.set_files(str(tmp_path / "dog.zip"))
    expect(page.locator("#subject-own-delete")).to_be_enabled()
    assert draw() == drawn
    other = open_page()  # another visitor
    other.locator("#generate-model input").click()
    expect(other.get_by_role("option", name="Tiny text to image")).to_have_count(1)
    expect(other.get_by_role("option", name="Dog, fine-tuned")).to_have_count(0)
    page.reload()  # the same visitor, who stays where they were
    expect(page.locator("#subject-own-delete")).to_be_enabled()
