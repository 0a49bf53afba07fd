"""Stage and cost as HTML: what they say in each state, and that they escape what is not theirs."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.ui.parts import cost_of, stage_of
from var_spaces import RunSpec, ScaleSchedule
from var_spaces.compare.ranking import ranking
from var_spaces.ui import tabs
from var_spaces.ui.compare import battle, compare_html
from var_spaces.ui.run import stage
from var_spaces.ui.run.cost import full_cache
from var_spaces.ui.run.view import RunView, ScaleView
from var_spaces.ui.words import MOST_LETTERS

SCHEDULE = ScaleSchedule.square([1, 2, 4])
PIXEL = "data:image/png;base64,AAAA"
EMPTY = RunView(promise=tabs.words("generate").promise, schedule=SCHEDULE)


def scale(k: int, kept: float = 1.0) -> ScaleView:
    full = 100 * SCHEDULE.offsets[k + 1]
    size, tokens = SCHEDULE.sizes[k], SCHEDULE.lengths[k]
    return ScaleView(size, tokens, 0.012 * (k + 1), int(full * kept), full, 1.5, PIXEL)


def running(scales: int, pictures: int = 1, label: str = "cat") -> RunView:
    spec = RunSpec(model="tiny", inputs={"class": label, "style": "soft"}, seed=7, count=pictures)
    return RunView(
        phase="running",
        schedule=SCHEDULE,
        spec=spec,
        scales=tuple(scale(k) for k in range(scales)),
        pictures=(PIXEL,) * pictures if scales else (),
    )


class Balanced(HTMLParser):
    """Fails if a tag is closed that was not open, or stays open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_starttag(self, tag, attrs):
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


VIEWS = [RunView(), EMPTY, EMPTY.loading(), *(running(k) for k in range(4)), running(2, 12)]
VIEWS += [replace(running(3), phase="done"), running(1).failed("too <big>")]


@pytest.mark.parametrize("view", VIEWS)
def test_every_state_is_well_formed(view):
    for text in (stage.status(view), stage_of(view), cost_of(view)):
        Balanced(text)
        assert "None" not in text


def test_stop_says_whether_anything_was_drawn():
    for view, said in ((running(0), "Nothing was drawn yet."), (running(1), "stays here.")):
        assert said in stage.stopped(stage.status(view))
    assert "Nothing was drawn yet." in stage.stopped(None)


def test_status_says_where_the_run_is():
    said = [re.sub(r"<.*?>", "", stage.status(view)) for view in (EMPTY, running(1), VIEWS[-1])]
    assert said[0] == "Ready. Choose what to draw and press Generate."
    assert said[1] == "Drawing scale 2 of 3: 2×2, 4 tokens."
    assert said[2] == "Not drawn. too &lt;big&gt;"


def test_the_film_fills_scale_by_scale():
    for done in range(4):
        text = stage_of(running(done))
        states = re.findall(r'<li data-state="(\w+)"', text)
        assert states == ["done"] * done + ["next", "later"][: 3 - done] + ["later"] * (1 - done)
    assert "Scale 3 · 4×4" in text
    assert "<span>16 tokens</span><i> · </i><span>36 ms</span>" in text


def test_pictures_are_shown_in_whole_multiples_of_their_pixels():
    one, four, many = (stage_of(running(1, count)) for count in (1, 4, 20))
    assert "minmax(0, 384px)" in one
    assert "repeat(2, minmax(0, 192px))" in four
    assert "vs-many" in many
    assert one.count("vs-picture vs-crisp") == 1
    assert many.count("vs-picture vs-crisp") == 20
    large = stage_of(replace(running(1), size=(1024, 1024)))
    assert "640px" in large
    assert "vs-picture vs-crisp" not in large


def test_a_long_prompt_is_no_long_heading():
    text = stage_of(running(1, label="cats " * 800))
    assert "cats " * (MOST_LETTERS // 5) + "..." in text
    assert "cats " * (MOST_LETTERS // 5 + 1) not in text


def test_alternative_texts_say_what_the_picture_is():
    text = stage_of(replace(running(3, 2), phase="done"))
    assert 'alt="cat · soft, seed 7, picture 1"' in text
    assert 'alt="First picture after scale 2, 2 by 2 tokens"' in text
    assert all("alt=" in tag for tag in re.findall(r"<img[^>]*>", text))


def test_names_of_a_card_cannot_bring_markup():
    text = stage_of(running(1, label='"><script>alert(1)</script>'))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_the_full_cache_is_known_from_the_first_scale_on():
    assert full_cache(EMPTY, SCHEDULE) == []
    assert full_cache(running(1), SCHEDULE) == [100, 500, 2100]
    assert full_cache(running(3), SCHEDULE) == [100, 500, 2100]
    source = replace(scale(0), kv_full_bytes=700, kv_pinned_bytes=600)  # an edit's
    assert full_cache(replace(EMPTY, scales=(source,)), SCHEDULE) == [700, 1100, 2700]


def test_the_plot_shows_what_a_policy_saves():
    view = replace(running(0), scales=(scale(0), scale(1, 0.5), scale(2, 0.1)))
    text = cost_of(view)
    heights = [float(h) for h in re.findall(r'class="vs-held".*?height="([\d.]+)"', text)]
    assert heights[1] == pytest.approx(heights[0] * 2.5, rel=0.05)
    assert heights[2] == pytest.approx(heights[0] * 2.1, rel=0.05)
    assert "now 210 B" in text
    assert "ends at 2.1 KiB" in text


def test_the_facts_say_what_a_policy_saves():
    assert "of full" not in stage_of(running(3))
    view = replace(running(0), scales=(scale(0), scale(1, 0.5), scale(2, 0.1)))
    assert "<dd>250 B (12% of full)</dd>" in re.sub(r"</?button.*?>", "", stage_of(view))
    assert 'data-term="budget">12% of full' in stage_of(view)  # why it is not the budget


def test_the_table_has_a_row_per_scale_and_totals():
    text = cost_of(running(2))
    assert text.count('<th scope="row">') == 3
    assert '<th scope="row">2 · 2×2</th><td>4</td><td>24 ms</td>' in text
    assert "1.50 nats" in text


def test_pictures_have_their_own_shape_before_while_and_after_they_are_drawn():
    tall = ScaleSchedule(((1, 1), (4, 2), (12, 4)))
    loading = replace(EMPTY, schedule=tall).loading()
    assert "--shown:128px;--shape:4/12" in stage_of(loading)
    view = replace(running(2), schedule=tall, size=(192, 64))
    html = stage_of(view)
    assert 'width="64" height="192"' in html
    assert "minmax(0, 128px)" in html  # the longer side is that of a square picture
    assert '<div style="--shape:4/12;--most:6"></div>' in html  # around the film
    assert "--shape:4/12" in compare_html.column(loading, 0)


def test_no_scale_stands_alone_in_its_row():
    counts = range(3, 15)
    films = [replace(EMPTY, schedule=ScaleSchedule.square(range(1, n + 1))) for n in counts]
    styles = [stage.parts(film)["film"]["style"] for film in films]
    most = [int(style.partition("--most:")[2]) for style in styles]
    assert most == [6, 6, 6, 6, 7, 8, 5, 5, 6, 6, 7, 7]


@pytest.mark.parametrize(("looks_back", "words"), [(True, "everything"), (False, "nothing else")])
def test_a_model_without_a_cache_is_not_said_to_look_back(looks_back, words):
    assert words in stage_of(replace(EMPTY, looks_back=looks_back))


def test_intervals_need_votes_that_differ():
    one = battle.rank_table(ranking({("x", "y", "a"): 1}), 1)
    alike = battle.rank_table(ranking({("x", "y", "a"): 20}, rounds=20), 20)
    mixed = battle.rank_table(ranking({("x", "y", "a"): 10, ("x", "y", "b"): 10}, rounds=20), 20)
    assert [text.count("too few votes") for text in (one, alike, mixed)] == [2, 2, 0]
    assert re.search(r"<td>\d+ to \d+</td><td>20</td>", mixed)
