"""The leaderboard as HTML: everything that is told, nothing unescaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from leaderboard.store.index import row
from leaderboard.submissions.request import Request
from leaderboard.submissions.verdict import Verdict
from leaderboard.table.board import Source, build
from leaderboard.table.view import View
from tests.leaderboard.results import ENTRY, pair, score
from var_spaces.ui.board import html, plot

EVIL = '<img src=x onerror="alert(1)">'


class Tags(HTMLParser):
    """Names of all tags, and whether they are closed in order."""

    VOID = ("path", "circle", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def result(number: int, quality: float, memory: float, **more):
    details = {"bias": 0.5} if number == 1 else {}
    scores = (
        score("psnr@1", quality, low=quality - 1, high=quality + 1, details=details),
        score("kv@1", memory, better="lower", unit="KiB"),
    )
    entry = {**ENTRY, "model": f"model-{number}"}
    return pair(number, **{"entry": entry, "scores": scores, **more})[0]


@pytest.fixture
def board():
    found = [result(1, 30, 100), result(2, 25, 40), result(3, 24, 60, submitter=EVIL)]
    rows = tuple(row(one) for one in found)
    return build(Source(rows, {found[0].id: "verified"}), View())


def test_table(board):
    text = html.table(board)
    assert Tags(text).names.count("tr") == 4
    assert "model-1" in text and "Verified" in text and "±1" in text
    assert "about 0.5 of it comes from small N" in text
    assert text.count("vs-dominated") == 1
    assert "python -m leaderboard run" in html.table(build(Source((), {}), View()))


def test_the_head_says_which_way_it_is_ranked():
    rows = tuple(row(result(number, 30 - number, 100 - number)) for number in (1, 2))
    psnr, memory = (column.key for column in build(Source(rows, {}), View()).columns)
    for key, order in ((psnr, "descending"), (memory, "ascending")):
        board = build(Source(rows, {}), View(sort=key))
        values = [line.value(board.sort) for line in board.lines]
        assert values == sorted(values, reverse=order == "descending")
        assert re.findall('aria-sort="([a-z]+)"', html.table(board)) == [order]


def test_what_is_ranked_and_plotted_comes_first():
    """Wherever it stands in the results: a small screen shows the first columns."""
    scores = [score(f"other-{n}@1", 1) for n in range(5)]
    scores += [score("psnr@1", 30), score("kv@1", 9, better="lower", unit="KiB")]
    source = Source((row(pair(1, scores=tuple(scores))[0]),), {})
    columns = {column.metric: column.key for column in build(source, View()).columns}
    view = View(sort=columns["psnr@1"], x=columns["kv@1"], y=columns["psnr@1"])
    shown = re.findall(r'data-sort="(\w+)"', html.table(build(source, view)))
    assert shown[:2] == [columns["psnr@1"], columns["kv@1"]]
    assert sorted(shown) == sorted(columns.values())


def test_it_says_what_could_not_be_read():
    source = Source((row(result(1, 30, 100)),), {}, ("/srv/store: results/a.json: it is damaged",))
    text = html.table(build(source, View()))
    assert "1 file could not be read and is left out" in text
    assert "/srv" not in text
    assert "left out" not in html.table(build(Source(source.rows, {}), View()))
    assert "1 file could not be read" in html.table(build(Source((), {}, source.skipped), View()))


def test_equal_pictures_have_no_decibels():
    found = [result(1, 99, 100, scores=in_decibels(99)), result(2, 9, 9, scores=in_decibels(98.9))]
    board = build(Source(tuple(map(row, found)), {}), View())
    assert html.table(board).count("<td>identical</td>") == 1
    assert "<td>98.9</td>" in html.table(board)
    assert "PSNR identical" in plot.pareto(board) and "PSNR 98.9 dB" in plot.pareto(board)
    assert "<td>identical</td>" in html.details(found[0], None, "")


def in_decibels(value: float) -> tuple:
    kept = score("kv@1", 2 * value, better="lower", unit="KiB")
    return score("psnr@1", value, title="PSNR", unit="dB"), kept


def test_plot(board):
    text = plot.pareto(board)
    names = Tags(text).names
    assert names.count("svg") == 2 and names.count("circle") == 6
    assert "2 of 3 rows are on the frontier: model-1" in text
    assert "vs-frontier" in text
    assert plot.pareto(build(Source((), {}), View())) == ""


def test_labels_of_the_plot_cover_no_dot_and_no_other():
    """Of rows that lie as near to each other as those of a cache policy with other budgets."""
    found = [result(number, 30 + number % 5, 100 + 3 * number) for number in range(1, 30)]
    best = [result(number, 30 + number / 4, 90 + number / 2) for number in range(30, 44)]
    found = build(Source(tuple(row(one) for one in (*found, *best)), {}), View())
    drawings = re.findall(r"<svg.*?</svg>", plot.pareto(found))
    for text, width in zip(drawings, (plot.WIDTH, plot.NARROW), strict=True):
        boxes = [
            (float(x) - 4, float(y) - 4, float(x) + 4, float(y) + 4)
            for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', text)
        ]
        labels = re.findall(
            r'class="vs-value" x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">([^<]+)', text
        )
        assert len(boxes) == 43 and len(labels) > 3
        for x, y, side, name in labels:
            wide = len(name) * plot.LETTER
            left = float(x) - (wide if side == "end" else 0)
            boxes.append((left, float(y) - 10, left + wide, float(y) + 2))
        for number, a in enumerate(boxes[43:], 43):
            assert a[0] >= plot.LEFT and a[2] <= width
            for b in boxes[:number]:
                assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def test_on_a_small_screen_rows_of_the_plot_have_their_numbers_of_the_table(board):
    _, narrow = re.findall(r"<svg.*?</svg>", plot.pareto(board))
    named = re.findall(r'class="vs-value"[^>]*>([^<]+)', narrow)
    assert named and set(named) <= {str(x.rank) for x in board.lines if not x.dominated}
    titles = re.findall(r'<text[^>]* x="([\d.]+)"[^>]*>([^<]+ is better\))', narrow)
    assert len(titles) == 2
    (middle, across), (start, up) = titles
    assert plot.LETTER * len(across) / 2 <= float(middle) <= plot.NARROW / 2
    assert float(start) + plot.LETTER * len(up) <= plot.NARROW


def test_details(board):
    one = result(1, 30, 100, submitter=EVIL, note=EVIL, weights={"var-small": "b" * 64})
    verdict = Verdict(
        result=one.id,
        verdict="consistent",
        images=(0, 1),
        equal_tokens=1,
        equal_pixels=1,
        unchecked=("Frechet N=2",),
        reason=EVIL,
        created="2026-01-01T00:00:00Z",
    )
    text = html.details(one, verdict, "<a href='?run=x'>these settings</a>")
    assert "img" not in Tags(text).names
    assert "Consistent" in text and "Not checked: Frechet N=2" in text
    assert re.search(r"tokens of 1 and pixels of\s+1 of 2 images", text)
    assert "leaderboard verify" in html.details(one, None, "")


def test_submissions():
    request = Request(suite="smoke", protocol="p", entry=ENTRY, created=0.0, submitter=EVIL)
    running = request.taken("w", 10.0, 90.0).alive(20.0, 90.0, "draw: 1/5")
    failed = running.failed(EVIL, 30.0)
    done = running.finished("0" * 16, "mismatch", "psnr differs", 30.0)
    text = html.submissions([request, running, failed, done], now=30.0)
    assert "img" not in Tags(text).names
    for told in ("Waiting", "Running", "draw: 1/5", "for 20", "Failed", "Done", "Mismatch"):
        assert told in text
    assert "Nothing was submitted" in html.submissions([], 0.0)
