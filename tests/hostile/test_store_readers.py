"""Damaged files, a forged index, texts of strangers: readers skip what is bad and say so."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard import sound
from leaderboard.cli import main
from leaderboard.export import to_csv as exported
from leaderboard.result import Result, Samples
from leaderboard.store import Store, index
from leaderboard.store.folder import FolderBackend
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.request import Request
from leaderboard.submissions.verdict import Verdict
from leaderboard.table.board import Source, build, to_csv
from leaderboard.table.view import View
from tests.hostile.fuzz import examples
from tests.hostile.stores import (
    REQUEST,
    RESULT,
    SAMPLES,
    VERDICT,
    changed,
    lines,
    put,
    seen,
)
from tests.leaderboard.results import ENTRY, pair, score
from var_spaces import codecs
from var_spaces.errors import VarSpacesError

# --- one bad file -------------------------------------------------------------------------------

SCORE = json.loads(RESULT.to_json())["scores"][0]
BAD_RESULTS = {
    "empty": "",
    "half": RESULT.to_json()[:100],
    "no object": "[1]",
    "not UTF-8": b"\xff\xfe",
    "cache is a number": changed(RESULT, entry={**ENTRY, "cache": 5}),
    "cache without a name": changed(RESULT, entry={**ENTRY, "cache": {}}),
    "name is a number": changed(RESULT, entry={**ENTRY, "cache": {"name": 5}}),
    "model is null": changed(RESULT, entry={**ENTRY, "model": None}),
    "schedule is a number": changed(RESULT, entry={**ENTRY, "schedule": 7}),
    "no entry": changed(RESULT, entry={}),
    "low without high": changed(RESULT, scores=[{**SCORE, "low": 1.0}]),
    "low above high": changed(RESULT, scores=[{**SCORE, "low": 2.0, "high": 1.0}]),
    "huge": changed(RESULT, scores=[{**SCORE, "value": -1.7e308}]),
    "huge detail": changed(RESULT, scores=[{**SCORE, "details": {"bias": 1e300}}]),
    "detail is text": changed(RESULT, scores=[{**SCORE, "details": {"bias": "x"}}]),
    "NaN": RESULT.to_json().replace("20.5", "NaN"),
    "infinite": RESULT.to_json().replace("20.5", "1e999"),
    "another result's name": pair(2)[0].to_json(),
}


@pytest.mark.parametrize("what", BAD_RESULTS)
def test_a_bad_result_is_skipped_and_named(folder, what, capsys):
    path = "results/smoke/0123456789abcdef/0123456789abcdef.json"
    put(folder, path, BAD_RESULTS[what])
    (line,) = seen(folder)
    assert path in line
    assert [path in line for line in sound.problems(Store(FolderBackend(folder)))] == [True]
    assert main(["list", "--store", str(folder)]) == 0
    out = capsys.readouterr()
    assert RESULT.id[:8] in out.out and path in out.err
    assert main(["validate", "--store", str(folder)]) == 1
    assert path in capsys.readouterr().out


BAD_REQUESTS = {
    "empty entry": changed(REQUEST, entry={}),
    "cache is a number": changed(REQUEST, entry={**ENTRY, "cache": 5}),
    "no object": "null",
    "running without end": changed(REQUEST, state="running", lease={"worker": "w"}),
    "another name": changed(REQUEST, note="x", claim="0" * 16),
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
def test_a_bad_request_is_skipped_and_named(folder, what):
    path = "requests/smoke/0123456789abcdef.json"
    put(folder, path, BAD_REQUESTS[what])
    assert seen(folder) == []
    store = Store(FolderBackend(folder))
    assert [request.id for request in Queue(store).requests()] == [REQUEST.id]
    assert Queue(store).take("w").id == REQUEST.id
    assert any(line.startswith(path) for line in sound.problems(store))


@pytest.mark.parametrize("data", ["", "{}", VERDICT.to_json().replace(RESULT.id, "0" * 16)])
def test_a_bad_verdict_is_skipped_and_named(folder, data):
    put(folder, VERDICT.path, data)
    (line,) = seen(folder)
    assert VERDICT.path in line
    assert Queue(Store(FolderBackend(folder))).verdict(RESULT.id) is None
    assert VERDICT.path in sound.problems(Store(FolderBackend(folder)))[0]


# --- the index ----------------------------------------------------------------------------------


def write_lines(folder: Path, rows: list) -> None:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    put(folder, index.PATH, gzip.compress(text.encode()))


def test_a_forged_index_is_not_believed(folder):
    (row,) = lines(folder)
    forged = row["scores"].replace("20.5", "99.0")
    write_lines(folder, [{**row, "scores": forged, "model": "mine", "submitter": "=cmd"}])
    store = Store(FolderBackend(folder))
    (shown,) = store.rows()
    assert [s["value"] for s in index.scores(shown)] == [20.5]
    assert (shown["model"], shown["submitter"]) == (RESULT.entry["model"], "")
    (line,) = sound.problems(store)
    assert "model, submitter, scores" in line and RESULT.id in line


def test_a_forged_text_is_not_believed(folder):
    """A result of the index that is in no file has no row; one that was changed has no name."""
    (row,) = lines(folder)
    other = pair(5)[0]
    text = row["result"].replace("20.5", "99.0")
    write_lines(folder, [{**row, "result": text}, {**row, "result": other.to_json()}])
    (shown,) = Store(FolderBackend(folder)).rows()
    assert [s["value"] for s in index.scores(shown)] == [20.5]


@pytest.mark.parametrize(
    "rows",
    [[None], [{}], [5], ["{"], [{"result": None}], [{"result": []}], ["null", '{"a":NaN}'], []],
)
def test_wrong_types_in_the_index(folder, rows):
    write_lines(folder, rows)
    assert seen(folder) == []
    assert len(sound.problems(Store(FolderBackend(folder)))) == len(rows)


def test_an_index_that_unpacks_to_too_much(folder, monkeypatch):
    monkeypatch.setattr(index, "MAX_TEXT", 100_000)
    put(folder, index.PATH, gzip.compress(b"0" * 10_000_000))
    assert seen(folder) == []
    assert sound.problems(Store(FolderBackend(folder))) == [f"{index.PATH}: it is damaged"]


# --- texts of strangers -------------------------------------------------------------------------

ESCAPES = "a\x1b[31mred\x1b[0m\r\n\u202egnp.exe\x07\u2028b"


def test_terminal_escapes_are_not_printed(tmp_path, capsys):
    title = score(title=ESCAPES, metric=f"=m{ESCAPES}")
    entry = {**ENTRY, "model": f"m{ESCAPES}"}
    result, samples = pair(3, scores=(title,), entry=entry, submitter=ESCAPES)
    store = Store(FolderBackend(tmp_path))
    store.add(result, samples)
    request = REQUEST.model_copy(update={"entry": entry, "log": (ESCAPES,), "reason": ESCAPES})
    store.update(request.path, lambda _: request.to_json().encode(), "ask")
    place = ("--store", str(tmp_path))
    for words in (
        ["list"], ["compare", result.id, result.id], ["requests"], ["requests", request.id],
        ["export"], ["validate"], ["list", "--json"], ["compare", result.id, "zz\x1b[31m"],
    ):  # fmt: skip
        main([*words, *place])
        out, err = capsys.readouterr()
        for char in out + err:
            assert char == "\n" or char.isprintable(), (words, char)


def test_formulas_are_text_in_both_tables():
    evil = ("=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "＝1+1", "|x")
    for text in evil:
        result, _ = pair(3, submitter=text, scores=(score(metric=text, title=text, value=-2.0),))
        source = Source((index.row(result),), {})
        for written in (exported(source.stamped), to_csv(build(source, View()))):
            cells = [cell for line in written.splitlines() for cell in line.split(",")]
            assert not [c for c in cells if c.strip()[:1] in tuple("=+@|＝")], (text, written)
            assert [c for c in cells if c.startswith("-")] == ["-2.0"]  # numbers are numbers


# --- fuzz ---------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
FILES = {
    RESULT.path: RESULT.to_json(),
    "results/smoke/0123456789abcdef/0123456789abcdef.json": pair(2)[0].to_json(),
    RESULT.samples_path: SAMPLES.to_json(),
    REQUEST.path: REQUEST.taken("w", 1.0, 60).to_json(),
    VERDICT.path: VERDICT.to_json(),
    f"claims/{REQUEST.id}/result.json": RESULT.to_json(),
    f"claims/{REQUEST.id}/samples.json": SAMPLES.to_json(),
    ".store/head": '{"id":"","number":3}',
    ".store/commits/00000004/entry.json": codecs.canonical(
        {"number": 4, "parent": "", "message": "", "time": "", "changes": {"a": None, "b": "0"}}
    ),
    index.PATH: codecs.canonical({**index.row(RESULT), "result": RESULT.to_json()}),
}  # fmt: skip


def places(value, path=()):
    """Paths of all values inside JSON."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()  # fmt: skip
    for key, item in inner:
        yield from places(item, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = replaced(copy[key], rest, new)
    return copy


@st.composite
def damaged(draw):
    """A file of the store: noise, cut, with some bytes changed, or with another value inside."""
    path = draw(st.sampled_from(sorted(FILES)))
    text = FILES[path].encode()
    how = draw(st.sampled_from(["noise", "cut", "bytes", "value", "value", "value"]))
    if how == "noise":
        data = draw(st.binary(max_size=200))
    elif how == "cut":
        data = text[: draw(st.integers(0, len(text)))]
    elif how == "bytes":
        at = draw(st.integers(0, len(text) - 1))
        data = text[:at] + draw(st.binary(max_size=4)) + text[at + draw(st.integers(0, 4)) :]
    else:
        value = json.loads(text)
        where = draw(st.sampled_from(list(places(value))))
        try:
            data = json.dumps(replaced(value, where, draw(VALUES))).encode()
        except UnicodeError:
            data = b""
    if path == index.PATH and draw(st.booleans()):
        data = gzip.compress(data)
    return path, data


def is_sound(data: bytes) -> bool:
    """Whether a changed result is the one that it was: a value was replaced by its like."""
    try:
        return Result.from_json(data).id == RESULT.id
    except VarSpacesError:
        return False


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@examples()
@given(damaged())
def test_no_file_stops_a_reader(fuzzed, file):
    """Whatever lies in a store: it is read to the end, and what is left out has a line."""
    path, data = file
    folder = fuzzed / "store"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in FILES.items():
        if not name.startswith((".store", "results/smoke/0123", index.PATH)):
            put(folder, name, text)
    put(folder, path, data)
    skipped = seen(folder, result=path != RESULT.path or is_sound(data))
    problems = sound.problems(Store(FolderBackend(folder)))
    assert len(problems) >= len(skipped)
    assert all("\n" not in line for line in problems)


@examples()
@given(st.binary(max_size=300) | VALUES.map(lambda v: json.dumps(v).encode()))
def test_noise_is_refused_in_one_line(data):
    for read in (Result.from_json, Samples.from_json, Request.from_json, Verdict.from_json):
        try:
            read(data)
        except VarSpacesError as error:
            assert len(str(error)) < 1000
    index.read(data)
    list(index.problems(gzip.compress(data)))
