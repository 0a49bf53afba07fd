"""docs/control.md: what it says of quality under control is what the leaderboard's rows hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from leaderboard.store.places import SEEDED, open_store

PAGE = Path(__file__).parents[2] / "docs" / "control.md"
NAMES = {"frechet": "embedded CLIP", "cmmd": "CMMD", "clip-score": "CLIP score"}


@pytest.fixture(scope="module")
def rows() -> dict[float, dict[str, float]]:
    """Scores of the shipped rows by weight of the control."""
    found = {}
    for row in open_store(SEEDED).rows():
        if row["suite"] == "embedded-control" and row["model"] == "control-bit":
            (weight,) = json.loads(row["entry"])["guidance"]["condition"]
            scores = json.loads(row["scores"])
            found[weight] = {score["metric"].split("@")[0]: score["value"] for score in scores}
    return found


@pytest.mark.parametrize("metric", NAMES)
def test_quality_under_control(rows, metric):
    _, _, text = PAGE.read_text("utf-8").partition("**Is quality kept?**")
    _, _, text = text.partition(NAMES[metric])
    told = re.findall(r"\d+\.\d+", text)[:3]
    digits = len(told[0].partition(".")[2])
    assert told == [f"{rows[weight][metric]:.{digits}f}" for weight in (0, 3, 6)]


def test_its_shares(rows):
    _, _, text = PAGE.read_text("utf-8").partition("**Is quality kept?**")
    without = rows[0]["frechet"]
    shares = [round(100 * (1 - rows[weight]["frechet"] / without)) for weight in (3, 6)]
    assert [int(n) for n in re.findall(r"\((\d+) %\s+less\)", text)] == shares
