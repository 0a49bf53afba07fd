"""The table: comparable rows only, filters, ranks, Pareto, its address, CSV; no torch behind it."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.store.index import row
from leaderboard.submissions.request import Request
from leaderboard.table.board import Source, build, column_key, to_csv
from leaderboard.table.fitting import fitted
from leaderboard.table.view import View
from tests.leaderboard.results import ENTRY, pair, score
from var_spaces.errors import VarSpacesError

PROTOCOL = "smoke v1 0123abcd"
CPU = {"python": "3", "torch": "2", "threads": 1, "package": "0"}


def result(number: int, quality: float, memory: float, *, model="var-small", budget=1.0, **more):
    cache = {"name": "hack", "budget": budget} if budget < 1 else {"name": "full"}
    scores = (
        score("psnr@1 N=2", quality),
        score("kv@1 N=2", memory, better="lower", unit="KiB"),
    )
    entry = {**ENTRY, "model": model, "cache": cache}
    return pair(number, scores=scores, entry=entry, **more)[0]


def source(*results, verdicts=None) -> Source:
    return Source(tuple(row(r) for r in results), verdicts or {})


PSNR, KV = column_key("psnr@1 N=2"), column_key("kv@1 N=2")


def test_ranks_and_pareto():
    a, b, c = (
        result(1, 30, 100),
        result(2, 25, 40, budget=0.4),
        result(3, 24, 60, budget=0.5),
    )
    board = build(source(a, b, c), View())
    assert [(line.id, line.rank, line.dominated) for line in board.lines] == [
        (a.id, 1, False),
        (b.id, 2, False),
        (c.id, 3, True),  # worse and larger than b
    ]
    assert (board.x.key, board.y.key, board.sort.key) == (KV, PSNR, PSNR)
    by_memory = build(source(a, b, c), View(sort=KV))
    assert [line.id for line in by_memory.lines] == [b.id, c.id, a.id]


def test_equal_numbers_share_a_rank_and_do_not_dominate_each_other():
    board = build(source(result(1, 30, 9), result(2, 30, 9, budget=0.5)), View())
    assert [(line.rank, line.dominated) for line in board.lines] == [(1, False), (1, False)]


def test_a_mismatch_is_shown_last_and_takes_no_part():
    good, forged = result(1, 20, 50), result(2, 99, 1, budget=0.5)
    board = build(source(good, forged, verdicts={forged.id: "mismatch"}), View())
    assert [(line.id, line.rank) for line in board.lines] == [(good.id, 1), (forged.id, None)]
    assert not board.lines[0].dominated


def test_newer_results_of_a_key_replace_older_ones():
    old, new = result(1, 20, 50), result(2, 20, 50)
    assert old.key == new.key
    assert [line.id for line in build(source(old, new), View()).lines] == [new.id]


def test_other_protocols_and_other_metrics_stand_apart():
    other = result(2, 99, 1, budget=0.5, protocol="smoke v2 aaaabbbb")
    board = build(source(result(1, 20, 50), other), View())
    assert board.protocol == "smoke v2 aaaabbbb" and len(board.lines) == 1
    changed = pair(3, scores=(score("psnr@2 N=2", 50),), entry={**ENTRY, "model": "b"})[0]
    board = build(source(result(1, 20, 50), changed), View(protocol=PROTOCOL))
    assert [column.metric for column in board.columns] == ["psnr@1 N=2", "kv@1 N=2", "psnr@2 N=2"]
    assert board.lines[1].rank is None  # it has no number in the column that ranks


def test_times_of_different_machines_stand_in_different_columns():
    here, there = (
        pair(
            n,
            entry={**ENTRY, "model": f"m{n}"},
            costs=(score("latency@1", 5.0 + n, better="lower", unit="ms"),),
            environment={**CPU, "device": device},
        )[0]
        for n, device in enumerate(("cpu: A", "cpu: B"))
    )
    board = build(source(here, there), View())
    assert [c.title for c in board.columns[1:]] == ["latency@1 (cpu: A)", "latency@1 (cpu: B)"]


def test_filters():
    rows = source(
        result(1, 30, 100),
        result(2, 25, 40, budget=0.4, submitter="Ada"),
        result(3, 24, 60, model="var-base"),
        verdicts={},
    )
    assert len(build(rows, View(caches=("hack",))).lines) == 1
    assert [x.row["model"] for x in build(rows, View(models=("var-base",))).lines] == ["var-base"]
    assert len(build(rows, View(search="ada hack")).lines) == 1
    board = build(rows, View(verified=True))
    assert board.lines == () and board.hidden == 3
    assert board.choices["cache"] == ("full", "hack")
    with pytest.raises(VarSpacesError, match="no protocol"):
        build(rows, View(protocol="mine v1 00000000"))
    assert build(source(), View()).protocol == ""


def test_a_view_keeps_only_what_its_protocol_has():
    """A filter that is no choice there would hide every row, and nobody would see it chosen."""
    other = result(2, 20, 50, model="t2i", suite="text", protocol="text v1 0123abcd")
    rows = source(result(1, 30, 100, budget=0.5), other)
    asked = View(
        protocol="text",
        models=("var-small", "t2i"),
        caches=("hack",),
        decodings=("full", "gone"),
        columns=(KV, "00000000"),
        sort="00000000",
        x="00000000",
        y=PSNR,
        search="t2i",
    )
    view, told = fitted(rows, asked)
    assert told == ""
    (decoding,) = build(rows, View(protocol="text")).choices["decoding"]
    kept = (decoding,) if decoding in asked.decodings else ()
    assert view == View(
        protocol="text", models=("t2i",), decodings=kept, columns=(KV,), y=PSNR, search="t2i"
    )
    assert [line.id for line in build(rows, view).lines] == [other.id]
    assert fitted(rows, view) == (view, "")


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("text v0 00000000", "text v2 0123abcd"),
        ("gone v1 00000000", PROTOCOL),
        ("gone", PROTOCOL),
        ("text", "text v2 0123abcd"),
        ("text v1 0123abcd", "text v1 0123abcd"),
        ("", PROTOCOL),
    ],
)
def test_a_protocol_that_is_gone_gives_way_to_another(wanted, shown):
    rows = source(
        result(1, 30, 100),
        result(2, 31, 100, budget=0.5),
        result(3, 20, 50, suite="text", protocol="text v1 0123abcd"),
        result(4, 20, 50, suite="text", protocol="text v2 0123abcd"),
    )
    view, told = fitted(rows, View(protocol=wanted))
    assert build(rows, view).protocol == shown
    gone = wanted.startswith("gone") or "v0" in wanted
    assert told == (f"There is no protocol '{wanted}' here: this is '{shown}'." if gone else "")
    assert fitted(source(), View(protocol=wanted))[1] == ""


def test_the_name_of_a_suite_is_its_newest_protocol():
    newer = result(2, 99, 1, budget=0.5, protocol="smoke v2 aaaabbbb")
    rows = source(result(1, 20, 50), newer)
    assert build(rows, View(protocol="smoke")).protocol == "smoke v2 aaaabbbb"
    assert build(rows, View(protocol=PROTOCOL)).protocol == PROTOCOL


words = st.text("abcé &=#?<>'\"%+", max_size=12)


@given(
    st.builds(
        View,
        protocol=words,
        search=words,
        models=st.lists(words.filter(bool), max_size=3).map(tuple),
        verified=st.booleans(),
        sort=st.sampled_from(["", PSNR]),
    )
)
def test_the_address_holds_the_view(view):
    assert View.from_query(view.to_query()) == view
    assert View.from_query(view.to_query() + "&run=abc") == view


@pytest.mark.parametrize("query", ["sort=../etc", "search=" + "a" * 3000, "x=" + "f" * 9])
def test_hostile_addresses_are_refused(query):
    with pytest.raises(VarSpacesError):
        View.from_query(query)


def test_fields_of_others_in_an_address_are_left_alone():
    """However many they are: the length of an address is bounded."""
    assert View.from_query("&".join(["a=1"] * 200) + "&verified=true") == View(verified=True)
    assert View.from_query("&" * 999) == View()


def test_csv():
    rows = source(result(1, 30, 100, submitter="=cmd()"))
    found = list(csv.DictReader(io.StringIO(to_csv(build(rows, View())))))
    assert found[0]["psnr@1 N=2"] == "30.0" and found[0]["rank"] == "1"
    assert found[0]["submitter"] == "'=cmd()"


def test_opening_the_table_loads_no_torch():
    code = (
        "import sys; from leaderboard.store import reading_stores\n"
        "from leaderboard.table.board import Source, build\n"
        "from leaderboard.table.view import View\n"
        "from leaderboard.submissions.queue import Queue\n"
        "build(Source.of(reading_stores()), View()); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_request_keeps_its_entry():
    request = Request(suite="smoke", protocol=PROTOCOL, entry=ENTRY, created=0.0)
    assert Request.from_json(request.to_json()).entry == ENTRY


def test_as_good_and_larger_is_dominated():
    a, b = result(1, 30, 40), result(2, 30, 90, budget=0.5)
    found = {line.id: line.dominated for line in build(source(a, b), View()).lines}
    assert found == {a.id: False, b.id: True}
