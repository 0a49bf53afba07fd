"""Jobs on two Ray nodes end with the bytes of one process, also when a node dies on the way.

Needs the extra of requirements-scale.txt; ``make test-scale`` installs it and runs these.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leaderboard.cli import main
from leaderboard.entry import Entry
from leaderboard.runner.cluster import run_on_ray
from leaderboard.runner.job import Job
from leaderboard.runner.run import run
from leaderboard.store import open_store
from tests.leaderboard.suite import TinySuite
from tests.leaderboard.test_runner import files
from tests.scale.suite import EmbeddedClass64
from var_spaces.errors import VarSpacesError

NOW = "2026-01-01T00:00:00Z"
WINDOW = {"name": "sliding-window", "budget": 0.2}


def tiny(folder: Path, batch: int = 1) -> Job:
    return Job(TinySuite(), Entry.of("tiny-var", cache=WINDOW), batch, folder)


def test_the_command_on_two_nodes(cluster, tmp_path):
    """Every file of the job, and the row, are those of one process."""
    alone, _ = run(tiny(tmp_path / "alone"), now=NOW)
    place = ("--store", str(tmp_path / "s"), "--work", str(tmp_path / "work"), "--batch", "1")
    asked = ("--suite", "tiny", "--model", "tiny-var", "--cache", "sliding-window")
    engine = ("--engine", "ray", "--address", cluster.address)
    assert main(["run", *asked, "--cache-budget", "0.2", *engine, *place]) == 0
    (row,) = open_store(tmp_path / "s").rows()
    assert row["fingerprint"] == alone.fingerprint
    assert files(tmp_path / "work") == files(tmp_path / "alone")


def test_a_stopped_job_goes_on(cluster, tmp_path):
    class Stopped(BaseException):
        pass

    def stop(what: str, done: int, of: int) -> None:
        if done == 3:
            raise Stopped

    its = tiny(tmp_path / "work")
    with pytest.raises(Stopped):
        run_on_ray(its, progress=stop)
    kept = len(list((its.folder / "drawn").glob("*.json")))
    assert 3 <= kept < 8
    told: list[int] = []
    result, samples = run_on_ray(its, progress=lambda what, done, of: told.append(of), now=NOW)
    assert told[0] == 8 - kept
    alone, expected = run(tiny(tmp_path / "alone"), now=NOW)
    assert samples == expected and result.scores == alone.scores
    told.clear()
    run_on_ray(its, progress=lambda what, done, of: told.append(of))
    assert told == []  # nothing is left to do


def test_a_failing_cell_is_one_line(cluster, tmp_path, monkeypatch):
    its = tiny(tmp_path)
    monkeypatch.setattr(Job, "folder", tmp_path / "other", raising=False)
    with pytest.raises(VarSpacesError, match="other weights or another version") as caught:
        run_on_ray(its)
    assert "\n" not in str(caught.value)


def test_embedded_class_and_a_dying_node(cluster, tmp_path):
    """64 images; one of both nodes is killed when the first cells are there."""

    def job(folder: Path) -> Job:
        return Job(EmbeddedClass64(), Entry.of("var-small"), 8, folder)

    def kill(what: str, done: int, of: int) -> None:
        if done == 2:
            cluster.kill_other()

    result, samples = run_on_ray(job(tmp_path / "ray"), progress=kill, now=NOW)
    assert cluster.other is None
    alone, expected = run(job(tmp_path / "alone"), now=NOW)
    assert samples.to_json() == expected.to_json()
    assert json.dumps([s.value for s in result.scores]) == json.dumps(
        [s.value for s in alone.scores]
    )
    assert result.fingerprint == alone.fingerprint
    assert files(tmp_path / "ray") == files(tmp_path / "alone")


def test_one_slot_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 1.0})
    with pytest.raises(VarSpacesError, match="needed are at least 2"):
        run_on_ray(tiny(tmp_path))
