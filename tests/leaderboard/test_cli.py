"""The commands around results: list, compare, export, validate, reproduce, sweep files."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

from leaderboard.cli import main
from leaderboard.compare import compare
from leaderboard.papers import paper_row
from leaderboard.result import Samples
from leaderboard.store import open_store
from leaderboard.submissions.verdict import Verdict
from leaderboard.suites.base import get_suite
from leaderboard.sweep import runs_of
from tests.leaderboard.results import ENTRY, pair, score
from tests.leaderboard.suite import TinySuite
from var_spaces.errors import VarSpacesError


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Two results that differ, in the store that the commands use."""
    place = tmp_path / "store"
    monkeypatch.setenv("VAR_SPACES_LEADERBOARD", str(place))
    monkeypatch.setattr("leaderboard.store.places.SEEDED", tmp_path / "seeded")
    found = open_store()
    for number, shift in ((1, 0.0), (2, 5.0)):
        values = tuple(20.0 + shift + i % 3 for i in range(30))
        samples = Samples(tokens=("0" * 16,) * 30, pixels=("1" * 16,) * 30, values={"p@1": values})
        scores = (score("p@1", sum(values) / 30), score("fid@1", 9.0 + number, better="lower"))
        entry = {**ENTRY, "cache": {"name": "hack", "budget": number / 10}}
        changes = {"samples_sha256": samples.digest, "scores": scores, "n": 30, "entry": entry}
        found.add(pair(number, **changes)[0], samples)
    return found


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main(arguments)
        return code, *capsys.readouterr()

    return call


def ids(store):
    return [row["id"] for row in store.rows()]


def test_list(store, run):
    code, out, _ = run("list")
    assert code == 0
    assert "var-small" in out
    assert ids(store)[0][:8] in out
    assert {suite["name"] for suite in json.loads(run("list", "suites", "--json")[1])} >= {
        "smoke", "embedded-class", "embedded-text", "fidelity", "cost", "imagenet-256",
    }  # fmt: skip
    assert "frechet" in run("list", "metrics")[1]


def test_compare(store, run):
    a, b = ids(store)
    code, out, _ = run("compare", a[:9], b[:9], "--json")
    assert code == 0
    by_metric = {row["metric"]: row for row in json.loads(out)["metrics"]}
    assert by_metric["p@1"]["difference"] == pytest.approx(5)
    assert by_metric["p@1"]["low"] == pytest.approx(5)  # the same in every pair
    assert by_metric["p@1"]["verdict"] == "better"
    assert by_metric["fid@1"]["low"] is None
    assert by_metric["fid@1"]["verdict"] == ""
    back = json.loads(run("compare", b, a, "--json")[1])["metrics"][0]
    assert back["verdict"] == "worse"
    same = json.loads(run("compare", a, a, "--json")[1])["metrics"][0]
    assert (same["difference"], same["verdict"]) == (0, "no difference seen")
    assert "B IS" in run("compare", a, b)[1]


def test_only_one_protocol_is_compared(store):
    first, samples = pair(1)
    other, _ = pair(2, protocol="smoke v2 00000000")
    with pytest.raises(VarSpacesError, match="only results of one protocol"):
        compare(first, other, samples, samples)


@pytest.mark.parametrize("id", ["zz", ""])
def test_unknown_ids_are_refused(store, run, id):
    code, _, err = run("compare", id, id)
    assert code == 2
    assert "begin" in err


def test_export(store, run, tmp_path):
    lines = list(csv.DictReader(io.StringIO(run("export")[1])))
    assert len(lines) == 4
    assert {line["metric"] for line in lines} == {"p@1", "fid@1"}
    data = json.loads(run("export", "--format", "json", "--model", "var-small")[1])
    assert [row["entry"]["cache"]["name"] for row in data] == ["hack", "hack"]
    out = tmp_path / "results.yaml"
    arguments = ("--format", "eval-results", "--dataset", "me/results", "--url", "https://a.b")
    assert run("export", *arguments, "--out", str(out))[0] == 0
    entries = yaml.safe_load(out.read_text())
    assert len(entries) == 4
    assert entries[0]["dataset"] == {"id": "me/results", "task_id": "smoke"}
    assert entries[0]["value"] == pytest.approx(21)
    assert entries[0]["source"]["url"] == "https://a.b"
    assert run("export", "--format", "eval-results")[0] == 2


def test_what_does_not_hold_is_told_as_such_or_not_at_all(store, run, monkeypatch):
    """Who lists or exports rows sees their verdicts; a model's repository, where nobody would,
    gets no number that verification refuted."""
    first, second = ids(store)
    refute(store, second)
    expected = {first: "", second: "mismatch"}
    lines = list(csv.DictReader(io.StringIO(run("export")[1])))
    assert {line["id"]: line["verdict"] for line in lines} == expected
    data = json.loads(run("export", "--format", "json")[1])
    assert {row["id"]: row["verdict"] for row in data} == expected
    assert {r["id"]: r["verdict"] for r in json.loads(run("list", "--json")[1])} == expected
    assert f"{second[:8]}  mismatch  " in run("list")[1]
    told = run("export", "--format", "eval-results", "--dataset", "me/results")[1]
    assert f"result {first}" in told and second not in told


def refute(store, id):
    verdict = Verdict(
        result=id, verdict="mismatch", images=(), equal_tokens=0, equal_pixels=0, reason="no",
        created="2026-01-02T00:00:00Z",
    )  # fmt: skip
    store.update(verdict.path, lambda _: verdict.to_json().encode(), "Verdict")


def test_validate(store, run, tmp_path):
    assert run("validate")[0] == 0
    path = tmp_path / "store" / store.rows()[0]["path"]
    path.write_text(path.read_text().replace("9", "8", 1))
    code, out, _ = run("validate")
    assert code == 1
    assert "1 problems" in out


def test_reproduce(store, run):
    code, out, _ = run("reproduce", "var-d16", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["numbers"]["frechet"] == {"published": 3.3, "ours": None}
    assert "--guidance-scale 1.5" in found["command"]
    assert found["status"].startswith("not measured: ")
    assert "var-d16" in run("reproduce")[1]
    code, _, err = run("reproduce", "var-d61")
    assert code == 2
    assert "Did you mean" in err


def test_our_number_is_of_the_metric_that_the_paper_means_and_holds(store, run):
    """A suite may have several metrics of a name: FID and sFID are both Frechet distances."""
    row = paper_row("var-d16")
    suite = get_suite(row.suite)
    names = [m.extractor for m in suite.metrics() if m.name == "frechet"]
    assert names == ["inception", "inception-spatial"]

    def add(number, fid):
        scores = tuple(
            score(f"frechet@1 [{name} 299 0123abcd] ref=real N=2", value, better="lower")
            for name, value in zip(names, (fid, 7.0), strict=True)
        )
        entry = row.entry().model_dump(mode="json")
        made = {"suite": row.suite, "protocol": suite.protocol, "entry": entry, "scores": scores}
        result, samples = pair(number, **made)
        store.add(result, samples)
        return result.id

    def told():
        found = json.loads(run("reproduce", "var-d16", "--json")[1])
        return found["numbers"]["frechet"]["ours"], found["result"]

    first = add(1, 3.5)
    assert told() == (3.5, first)
    better = add(2, 3.3)
    assert told() == (3.3, better)
    refute(store, better)
    assert told() == (3.5, first)


@pytest.mark.usefixtures("use_tiny_models")
def test_sweep():
    sweep = {
        "suite": TinySuite.name,
        "model": ["tiny-var"],
        "cache": [{"name": "h2o", "budget": [0.1, 0.3]}, "full", {"name": "full"}],
    }
    runs = runs_of(sweep, "x")
    assert [entry.label for _, entry in runs] == [
        "tiny-var + h2o(budget=0.1)", "tiny-var + h2o(budget=0.3)", "tiny-var",
    ]  # fmt: skip
    for bad, message in (
        ({}, "at least"),
        ({**sweep, "chache": 1}, "Did you mean 'cache'"),
        ({**sweep, "model": []}, "asks for 0 runs"),
        ({**sweep, "cache": {"name": "h2o", "budget": 7}}, "budget"),
    ):
        with pytest.raises(VarSpacesError, match=message):
            runs_of(bad, "x")


@pytest.mark.usefixtures("use_tiny_models")
def test_run_adds_a_row(run, tmp_path):
    place = ("--store", str(tmp_path / "s"), "--work", str(tmp_path / "w"), "--batch", "2")
    arguments = ("--suite", "tiny", "--model", "tiny-var", "--cache", "sliding-window")
    code, out, _ = run("run", *arguments, "--cache-budget", "0.2", *place)
    assert code == 0
    assert "Token agreement" in out
    (row,) = open_store(tmp_path / "s").rows()
    assert row["label"] == "tiny-var + sliding-window(budget=0.2)"
    assert "nothing new" in run("run", *arguments, "--cache-budget", "0.2", *place)[1]
    other = ("--store", str(tmp_path / "s"), "--work", str(tmp_path / "w2"), "--batch", "2")
    out = run("run", *arguments, "--cache-budget", "0.2", *other)[1]
    assert "the same scores as before" in out  # timed anew
    sweep = tmp_path / "sweep.toml"
    sweep.write_text('suite = "tiny"\nmodel = "tiny-var"\n')
    assert run("validate", str(sweep))[0] == 0
    assert run("run", "--sweep", str(sweep), *place)[0] == 0
    assert len(open_store(tmp_path / "s").rows()) == 3
    assert run("run", "--suite", "tyny")[0] == 2
