"""Rows of papers: what was published, and the run or the count that should give it.

``papers.json`` holds them, by the system that they belong to. A row is one of three:

* ``suite``, ``model``, ``parts``, ``published``: a run; ``published`` maps the name of a metric to
  the paper's number, ``parts`` are methods that are not the defaults of the model's card;
* ``model``, ``parts``, ``counted``, ``count``: numbers that follow from shapes, see
  ``leaderboard.counted``; they are counted whenever somebody asks;
* ``published``, ``missing``: nobody can run it here, and why.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from leaderboard.entry import Entry
from leaderboard.store.index import scores
from leaderboard.suites.base import get_suite
from var_spaces import methods
from var_spaces.errors import UnknownName, did_you_mean

FILE = Path(__file__).parent / "papers.json"
NUMBERS = ("published", "counted")  # of a row, as its paper prints them


class Printed(float):
    """A number as a paper prints it: 3.30 has two places, and so has what is the same."""

    def __new__(cls, text: str) -> Printed:
        found = super().__new__(cls, text)
        found._text = text
        return found

    def __repr__(self) -> str:
        return self._text


@dataclass(frozen=True)
class PaperRow:
    """A published row; see the top of this file.

    Attributes:
        system: whose it is.
        paper, date: of the system.
        hardware: that the paper names, "" if it does not matter or is not told.
        count: images, where the number depends on them.
    """

    id: str
    system: str
    title: str
    paper: str
    date: str
    suite: str = ""
    model: str = ""
    published: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)
    counted: Mapping[str, float] = field(default_factory=dict)
    count: int = 1
    hardware: str = ""
    missing: str = ""
    note: str = ""

    def entry(self) -> Entry:
        """The run that should give the published numbers."""
        return Entry.of(self.model, **self.parts)

    def command(self) -> str:
        """The same as a command line; "" if there is none."""
        if self.missing:
            return ""
        if self.counted:
            return f"python -m leaderboard reproduce {self.id}"
        words = ["python", "-m", "leaderboard", "run", "--suite", self.suite, "--model", self.model]
        for kind, part in self.parts.items():
            words += [f"--{kind}", part["name"]]
            for option in methods.cli_options(methods.get(kind, part["name"])):
                if option.field in part:
                    value = part[option.field]
                    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
                    words += [f"--{kind}-{option.flag.removeprefix('--')}", text]
        return shlex.join(words)

    def measured(self, rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """Our newest result of exactly this run, as a row of the index."""
        protocol, entry = get_suite(self.suite).protocol, self.entry().to_json()
        ours = [row for row in rows if row["protocol"] == protocol and row["entry"] == entry]
        return max(ours, key=lambda row: row["created"], default=None)


def by_metric(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Scores of an index row by the bare name of their metric.

    Of several the first: a suite begins with what papers report (FID), then comes what they seldom
    do (sFID).
    """
    found: dict[str, dict[str, Any]] = {}
    for score in scores(row):
        found.setdefault(score["metric"].partition("@")[0], score)
    return found


@cache
def paper_rows() -> dict[str, PaperRow]:
    """All rows by id, those of a system together."""
    text = FILE.read_text("utf-8")
    data, printed = json.loads(text), json.loads(text, parse_float=Printed)
    found = {}
    for row, as_printed in zip(data["rows"], printed["rows"], strict=True):
        numbers = {key: as_printed[key] for key in NUMBERS if key in row}
        found[row["id"]] = PaperRow(**{**data["systems"][row["system"]], **row, **numbers})
    return found


def paper_row(id: str) -> PaperRow:
    """One row.

    Raises:
        UnknownName: if there is none; names the nearest one.
    """
    rows = paper_rows()
    if id not in rows:
        near = did_you_mean(id, rows)
        if re.fullmatch(r"[0-9a-f]{6,64}", id):
            near = f" To run a result again: python -m leaderboard verify {id}."
        raise UnknownName(f"Unknown row '{id[:60]}'.{near} See: python -m leaderboard reproduce.")
    return rows[id]
