"""Sweeps over pictures of one's own: files beside the sweep file, hashes in the specs."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leaderboard import sound
from leaderboard.cli import main
from leaderboard.runner.job import Job
from leaderboard.store import open_store
from leaderboard.sweep import read_sweep, runs_of
from var_spaces.errors import VarSpacesError
from var_spaces.pictures import as_mask, as_rgb, digest

PAGE = (Path(__file__).parents[2] / "docs" / "leaderboard.md").read_text("utf-8")
SWEEP = """
model = "tiny-var"

[suite]
task = "edit"
seed = 7
each = 2

[[suite.items]]
source = "a.png"
rectangle = [0, 0.5, 1, 1]

[[suite.items]]
source = "pictures/b.png"
mask = "mask.png"
class = "banana"

[[cache]]
name = ["full", "sliding-window"]
"""
pytestmark = pytest.mark.usefixtures("use_tiny_models")


@pytest.fixture
def sweep(tmp_path):
    """A sweep file with two pictures and a mask."""
    noise = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "pictures/b.png"):
        Image.fromarray(noise.integers(0, 256, (20, 30, 3), np.uint8)).save(tmp_path / name)
    mask = np.zeros((20, 30), np.uint8)
    mask[:, :10] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP)
    return path


def test_files_become_hashes_and_pixels(sweep):
    (suite, full), (other, less) = read_sweep(sweep)
    assert suite is other and (full.cache["name"], less.cache["name"]) == ("full", "sliding-window")
    first, again, second, _ = suite.items()
    assert (first.inputs, [item.index for item in suite.items()]) == (again.inputs, [0, 1, 2, 3])
    source = as_rgb(Image.open(sweep.parent / "a.png"))
    mask = as_mask(Image.open(sweep.parent / "mask.png"))
    assert (first.inputs["source"], second.inputs["mask"]) == (digest(source), digest(mask))
    held = suite.pictures()
    assert len(held) == 3 and np.array_equal(held[digest(source)], source)
    assert np.array_equal(held[digest(mask)], mask)
    moved = pickle.loads(pickle.dumps(suite))  # as to a computer that has no such files
    assert moved == suite and moved.protocol == suite.protocol
    assert np.array_equal(moved.pictures()[digest(source)], source)


def test_the_protocol_follows_the_pictures(sweep):
    (suite, _), _ = read_sweep(sweep)
    Image.new("RGB", (20, 30), "red").save(sweep.parent / "a.png")
    (other, _), _ = read_sweep(sweep)
    assert suite.protocol.startswith("own v1 ") and suite.protocol != other.protocol


def test_a_sweep_with_pictures_makes_rows(sweep, capsys):
    place = [str(sweep.parent / name) for name in ("store", "work")]
    assert main(["validate", str(sweep)]) == 0
    assert "4 images" in capsys.readouterr().out
    arguments = ["run", "--sweep", str(sweep), "--store", place[0], "--work", place[1]]
    assert main([*arguments, "--batch", "2"]) == 0
    store = open_store(place[0])
    rows = {row["label"]: row for row in store.rows()}
    assert len(rows) == 2 and all(row["suite"] == "own" for row in rows.values())
    results, _ = store.read_results()
    agreement = {
        result.entry["cache"]["name"]: score.value
        for result in results
        for score in result.scores
        if score.metric.startswith("token-agreement")
    }
    assert agreement["full"] == 1 > agreement["sliding-window"]
    assert sound.problems(store) == [] and sound.stale(store) == []
    capsys.readouterr()
    for command in (["submit", "--sweep", str(sweep)], ["verify", results[0].id]):
        assert main([*command, "--store", place[0]]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert "A suite of one's own is in its sweep file" in line


def test_the_sweep_of_the_page_would_run(sweep):
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    block = block.replace("var-small", "tiny-var").replace("red apple", "banana")
    (sweep.parent / "a.png").rename(sweep.parent / "apple.png")
    sweep.write_text(block)
    runs = read_sweep(sweep)
    assert [entry.cache["budget"] for _, entry in runs] == [0.1, 0.3, 0.5]
    for suite, entry in runs:
        Job(suite, entry).check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "paint"}, "Unknown task 'paint'"),
        ({"tasks": "edit"}, "unknown key 'tasks' of a suite. Did you mean 'task'"),
        ({"items": []}, "allowed are 1 to 1000 images"),
        ({"each": 501}, "allowed are 1 to 1000 images"),
        ({"each": True}, "each = True must be a whole number from 1 on"),
        ({"seed": -1}, "seed = -1 must be a whole number from 0 on"),
        ({"items": "a.png"}, "must be a list of tables"),
        ({"items": [{"source": "none.png", "rectangle": [0, 0, 1, 0.5]}]},
         "x: item 1: source cannot be read: No such file"),
        ({"items": [{"source": "sweep.toml", "rectangle": [0, 0, 1, 0.5]}]},
         "x: item 1: The picture cannot be used"),
        ({"items": [{"source": 7}]}, "x: item 1: source = 7 must be a file"),
        ({"items": [{"source": "a.png"}]}, "x: item 1: There is no region yet"),
        ({"items": [{"sauce": "a.png"}]}, "x: item 1: .*sauce"),
    ],
)  # fmt: skip
def test_refusals_come_before_any_work(sweep, change, message):
    items = [{"source": "a.png", "rectangle": [0, 0, 1, 0.5]}] * 2
    suite = {"task": "edit", "items": items, **change}
    with pytest.raises(VarSpacesError, match=message) as error:
        runs_of({"suite": suite, "model": "tiny-var"}, "x", sweep.parent)
    assert "\n" not in str(error.value)
