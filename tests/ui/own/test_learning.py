"""A training on the page: what is seen of it, how it ends, what is refused before any work."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from var_spaces import api
from var_spaces.errors import VarSpacesError
from var_spaces.ui.own import html, learning, matrix, pictures, shelf, tab
from var_spaces.ui.own.learning import LearnView, Wanted, learn
from var_spaces.ui.own.lessons import LESSONS
from var_spaces.zoo.places import personal

WORDS = {"subject": {"word": "dog"}, "style": {"content": "owl", "style": "glossy"}}


def wanted(folder, given, lesson="subject", steps=4, **changes):
    count = LESSONS[lesson].most
    values = {"words": WORDS[lesson], "base": "tiny-t2i", "steps": steps, **changes}
    return Wanted(lesson, folder, given[:count], **values)


@pytest.mark.parametrize("lesson", ["subject", "style"])
def test_it_learns_and_shows_pictures_meanwhile(folder, pictures, lesson):
    plain = api.generate(model="tiny-t2i", prompt="a dog", seed=1)[0].tobytes()
    first, *views = learn(wanted(folder, pictures, lesson))
    last = views[-1]
    assert (first.phase, views[0].phase, last.phase) == ("loading", "running", "done")
    assert (last.step, last.steps) == (4, 4)
    assert [trial.step for trial in last.trials] == [1, 2, 3, 4]
    assert last.trials[0].pictures != last.trials[-1].pictures
    assert sum(len(values) for _, values in last.losses) == (8 if lesson == "subject" else 4)
    assert list(shelf.models(folder)) == [last.model]
    drawn = LESSONS[lesson].trials[0]
    with personal([folder]):
        assert api.generate(model=last.model, prompt=drawn, seed=learning.SEED)
    assert api.generate(model="tiny-t2i", prompt="a dog", seed=1)[0].tobytes() == plain
    assert [path.name for path in folder.iterdir()] == [last.model]
    shown = html.parts(last)
    assert shown["trials"].count("<img") == 8
    assert "<polyline" in shown["curve"]
    assert 'data-phase="done"' in html.status(last)


def test_stopped_it_keeps_what_there_is(folder, pictures):
    views = learn(wanted(folder, pictures))
    assert not shelf.ask_to_stop(folder, "")  # nothing runs yet
    seen = [next(views), next(views)]
    assert shelf.ask_to_stop(folder, "")
    *_, last = [*seen, *views]
    assert (last.phase, last.step) == ("stopped", 2)
    assert shelf.models(folder)[last.model].training["steps"] == 2
    assert "Kept after 2 of 4 steps" in html.status(last)


def test_who_leaves_finds_it_after_a_reload(folder, pictures):
    views = learn(wanted(folder, pictures))
    next(views), next(views)
    views.close()
    (card,) = shelf.models(folder).values()
    assert card.training["steps"] == 1
    assert not shelf.ask_to_stop(folder, "")


def test_stop_of_a_training_that_waits_ends_no_other(folder, pictures, monkeypatch):
    """Subject trains, Style waits in line, on one page; and so does Subject on another page."""
    pages = iter(["one", "two", "one", "one", "one"])
    monkeypatch.setattr(tab, "own_folder", lambda: folder)
    monkeypatch.setattr(tab, "session", lambda: next(pages))
    subject, style = LESSONS["subject"], LESSONS["style"]
    views = learn(wanted(folder, pictures, run=tab._run(subject)))
    next(views), next(views)
    assert not tab._stop(subject)[0]
    assert not tab._stop(style)[0]
    assert next(views).phase == "running"
    assert tab._stop(subject)[0]
    assert next(views).phase == "running"
    assert [view.phase for view in views] == ["stopped"]
    with shelf.filling(folder, "later"):  # what the last one was asked is not asked of the next
        (folder / shelf.STOP).write_text(tab._run(subject))
        assert not shelf.is_asked_to_stop(folder, "later")


def test_the_time_of_a_training_is_limited(folder, pictures, monkeypatch):
    clock = iter(range(0, 1000, 10))
    # its own clock alone: other threads look at the true one, and would take from this
    monkeypatch.setattr(learning, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setenv("VAR_SPACES_TRAIN_SECONDS", "15")
    *_, last = learn(wanted(folder, pictures))
    assert (last.phase, last.step) == ("stopped", 2)
    assert "15 seconds are all that is allowed here" in last.message


REFUSED = [
    ({"words": {"word": " "}}, "What it is, in a word is missing"),
    ({"words": {"word": "x" * 41}}, "40 letters at most"),
    ({"base": "tiny-var"}, "cannot learn a subject"),
    ({"base": "none"}, "Unknown model"),
    ({"start": "published"}, "Settings to begin with are embedded, lora"),
    ({"steps": 401}, "allowed is 2 to 400"),
]


@pytest.mark.parametrize(("changes", "said"), REFUSED)
def test_refusals_come_in_one_line(folder, pictures, changes, said):
    *_, last = learn(wanted(folder, pictures, **changes))
    assert last.phase == "failed" and said in last.message and "\n" not in last.message
    assert list(folder.iterdir()) == []


def test_as_many_pictures_as_the_lesson_takes(folder, pictures):
    for given, said in (((), "one to 5 pictures"), (pictures * 2, "6 pictures are too many")):
        view = list(learn(Wanted("subject", folder, given, WORDS["subject"], "tiny-t2i")))[-1]
        assert said in view.message


def test_a_strip_is_no_picture_to_teach_from(tmp_path):
    for name, width in (("square", 2), ("strip", 17)):
        Image.new("RGB", (width, 2)).save(tmp_path / f"{name}.png")
    paths = [str(tmp_path / f"{name}.png") for name in ("square", "strip")]
    assert len(pictures.read(paths[:1], 5)) == 1
    with pytest.raises(VarSpacesError, match="Picture 2 is 17x2 pixels, longer than 8 times"):
        pictures.read(paths, 5)


@pytest.mark.parametrize(
    ("seconds", "zero_gpu", "allowed"), [("", False, 300), ("", True, 0), ("60", True, 60)]
)
def test_a_host_says_whether_and_how_long(
    monkeypatch, folder, pictures, seconds, zero_gpu, allowed
):
    monkeypatch.setenv("VAR_SPACES_TRAIN_SECONDS", seconds)
    if zero_gpu:
        monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    assert learning.train_seconds() == allowed
    if not allowed:
        (view,) = learn(wanted(folder, pictures))
        assert "VAR_SPACES_TRAIN_SECONDS" in view.message
    monkeypatch.setenv("VAR_SPACES_TRAIN_SECONDS", "-1")
    with pytest.raises(VarSpacesError, match="whole number of seconds from 0"):
        learning.train_seconds()


def test_squares_are_cut_where_the_visitor_says():
    image = np.arange(60 * 40 * 3, dtype=np.uint32).reshape(60, 40, 3).astype(np.uint8)
    assert np.array_equal(pictures_cut(image, [0.5, 0.5, 1]), image[10:50])
    assert np.array_equal(pictures_cut(image, [0, 0, 1]), image[:40])
    assert np.array_equal(pictures_cut(image, [1, 1, 2]), image[40:, 20:])
    assert np.array_equal(pictures_cut(image, [9, -9, 0]), image[:40])
    for bad in ([1, 2], ["a", 0, 1], [float("nan"), 0, 1], 7):
        with pytest.raises(VarSpacesError, match="three numbers"):
            pictures.chosen({"crops": [bad]}, 1)
    assert pictures.chosen(None, 2) == [pictures.WHOLE] * 2


def pictures_cut(image, crop):
    (found,) = pictures.chosen({"crops": [crop]}, 1)
    return pictures.cut(image, found)


def test_a_table_of_contents_and_styles(folder, pictures):
    *_, last = learn(wanted(folder, pictures, "style", steps=2))
    with personal([folder]):
        table = matrix.plan_table(last.model, "car, owl", "flat", 3)
        asked = [[spec.inputs["prompt"] for spec in row] for row in table.rows]
        assert asked == [
            ["<content> in <style>", "<content> in flat style"],
            ["a car in <style>", "a car in flat style"],
            ["an owl in <style>", "an owl in flat style"],
        ]
        *_, done = matrix.grid.run(table)
    assert len(done.done) == 6
    assert 'data-asked="a car in &lt;style&gt;"' in matrix.grid.html(done)
    with personal([folder]), pytest.raises(VarSpacesError, match="too large"):
        matrix.plan_table(last.model, ",".join("abcdefgh"), ",".join("abcdefgh"), 3)


def test_words_are_missing_before_the_first_step():
    assert "timing the first steps" in html.status(LearnView("subject", "running", 1, 9))
    assert html.clock(75) == "1 min 15 s"
