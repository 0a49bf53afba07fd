"""From rows of a store to one board: columns, lines, ranks, and which lines are dominated.

Nothing is ranked together that is not comparable: a board has one protocol, a column one metric
with its whole identity and, for what depends on the machine, one device. No torch here.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from leaderboard.csv_text import csv_text
from leaderboard.entry import usual_parts
from leaderboard.store import Store, index
from leaderboard.store.index import scores
from leaderboard.submissions.verdict import FLAGGED, Verdict, path_of
from leaderboard.table.view import View
from var_spaces.errors import VarSpacesError


@dataclass(frozen=True)
class Column:
    """A metric of a board.

    Attributes:
        key: 8 hex digits that stand for ``metric`` and ``device``.
        metric: its whole identity.
        device: of numbers that depend on the machine, else "".
    """

    key: str
    metric: str
    title: str
    better: str
    unit: str
    device: str = ""

    def beats(self, a: float, b: float) -> bool:
        """Whether ``a`` is better than ``b``."""
        return a > b if self.better == "higher" else a < b


@dataclass(frozen=True, eq=False)
class Line:
    """A row of a board.

    Attributes:
        row: as in the index, see ``store.index.row``.
        scores: by key of the column.
        verdict: of its verification, "" if there was none.
        rank: by the column of the board, from 1; None if it has no number there or is flagged.
        dominated: another line is at least as good on both axes, and better on one.
    """

    row: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, Any]]
    verdict: str = ""
    rank: int | None = None
    dominated: bool = False

    @property
    def id(self) -> str:
        return self.row["id"]

    def value(self, column: Column | None) -> float | None:
        """Its number in a column."""
        found = self.scores.get(column.key) if column else None
        return None if found is None else found["value"]


@dataclass(frozen=True, eq=False)
class Board:
    """What is shown of one protocol. ``sort``, ``x`` and ``y`` are columns, if there are any;
    ``skipped`` says what could not be read."""

    protocol: str
    columns: tuple[Column, ...] = ()
    lines: tuple[Line, ...] = ()
    hidden: int = 0
    sort: Column | None = None
    x: Column | None = None
    y: Column | None = None
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    def column(self, key: str) -> Column | None:
        return next((column for column in self.columns if column.key == key), None)


@dataclass(frozen=True, eq=False)
class Source:
    """All rows that are known, newest last, verdicts by result, and a line for everything that
    could not be read."""

    rows: tuple[dict[str, Any], ...]
    verdicts: Mapping[str, str]
    skipped: tuple[str, ...] = ()

    @classmethod
    def of(cls, stores: Iterable[Store]) -> Source:
        """Read the stores; later ones add to earlier ones, and one that cannot be read to none."""
        rows: dict[str, dict[str, Any]] = {}
        verdicts: dict[str, str] = {}
        skipped: list[str] = []
        usual = cache(usual_parts)
        for store in stores:
            try:
                results, lines = store.read_results()
                stamped = list(_verdicts(store))
            except VarSpacesError as error:
                skipped.append(f"{store.backend}: {error}")
                continue
            rows |= {result.id: index.row(result, usual) for result in results}
            skipped += [f"{store.backend}: {line}" for line in lines]
            for path, verdict in stamped:
                if verdict is None:
                    skipped.append(f"{store.backend}: {path} is no verdict")
                else:
                    verdicts[verdict.result] = verdict.verdict
        ordered = sorted(rows.values(), key=lambda r: (r["created"], r["id"]))
        return cls(tuple(ordered), verdicts, tuple(skipped))

    @property
    def standing(self) -> tuple[dict[str, Any], ...]:
        """Rows that no verification refuted: what may be told elsewhere as measured."""
        return tuple(row for row in self.rows if self.verdicts.get(row["id"]) != FLAGGED)

    @property
    def stamped(self) -> tuple[dict[str, Any], ...]:
        """All rows with their verdict, "" if there was no verification."""
        return tuple({**row, "verdict": self.verdicts.get(row["id"], "")} for row in self.rows)

    @cached_property
    def newest(self) -> tuple[dict[str, Any], ...]:
        """The newest row of every key; a flagged one only where there is no other, and after these:
        what it says of a column is not believed."""
        sound, every = ({row["key"]: row for row in rows} for rows in (self.standing, self.rows))
        return (*sound.values(), *(row for key, row in every.items() if key not in sound))

    @cached_property
    def suites(self) -> dict[str, str]:
        """Suite of every protocol, the newest version of a suite first."""
        found = {row["protocol"]: row["suite"] for row in self.rows}
        return dict(sorted(found.items(), key=lambda item: (item[1], -_version(item[0]))))


def _verdicts(store: Store) -> Iterator[tuple[str, Verdict | None]]:
    """All verdicts by path, None for what is damaged or under another name."""
    backend = store.backend
    at = backend.head()
    for path in backend.list("verdicts/", at):
        try:
            verdict = Verdict.from_json(backend.read(path, at) or b"")
        except VarSpacesError:
            verdict = None
        yield path, verdict if verdict and path == path_of(verdict.result) else None


def build(source: Source, view: View) -> Board:
    """The board that a view shows: the newest row of every key, filtered and ranked."""
    if not source.rows:
        return Board("", skipped=source.skipped)
    protocol = _chosen(source, view.protocol) if view.protocol else _fullest(source)
    newest = [row for row in source.newest if row["protocol"] == protocol]
    columns = _columns(newest)
    lines = [_line(row, columns, source.verdicts) for row in newest]
    shown = [line for line in lines if _passes(line, view)]
    by_key = {column.key: column for column in columns}
    sort = by_key.get(view.sort) or next(iter(columns), None)
    y = by_key.get(view.y) or next((c for c in columns if not _is_cost(c)), None)
    x = by_key.get(view.x) or next((c for c in columns if _is_cost(c) and c is not y), None)
    return Board(
        protocol=protocol,
        columns=columns,
        lines=tuple(_ranked(_compared(shown, x, y), sort)),
        hidden=len(lines) - len(shown),
        sort=sort,
        x=x,
        y=y,
        choices={
            name: tuple(sorted({_method(line.row[name]) for line in lines}))
            for name in ("model", "cache", "decoding")
        },
        skipped=source.skipped,
    )


def _columns(rows: Iterable[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Scores first, then costs; a cost per device where there are several."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for part in ("scores", "costs"):
        for row in rows:
            for score in json.loads(row[part]):
                place = row["device"] if part == "costs" else ""
                found.setdefault((score["metric"], place), score)
    devices = {device for _, device in found if device}
    return tuple(
        Column(
            key=column_key(metric, device),
            metric=metric,
            title=f"{score['title']} ({device})" if device and len(devices) > 1 else score["title"],
            better=score["better"],
            unit=score["unit"],
            device=device,
        )
        for (metric, device), score in found.items()
    )


def column_key(metric: str, device: str = "") -> str:
    """Short name of a column, for addresses."""
    return hashlib.sha256(f"{metric}\n{device}".encode()).hexdigest()[:8]


def _is_cost(column: Column) -> bool:
    """Whether it is paid: time and memory, by whatever they are measured."""
    return bool(column.device) or column.unit in ("B", "KiB", "MiB", "s", "ms")


def _line(row: Mapping[str, Any], columns: Sequence[Column], verdicts: Mapping[str, str]) -> Line:
    mine = {score["metric"]: score for score in scores(dict(row))}
    held = {
        column.key: mine[column.metric]
        for column in columns
        if column.metric in mine and column.device in ("", row["device"])
    }
    return Line(row, held, verdicts.get(row["id"], ""))


def _passes(line: Line, view: View) -> bool:
    row = line.row
    text = " ".join(str(row[key]) for key in ("label", "submitter", "device", "id", "commit"))
    return (
        all(word in text.lower() for word in view.search.lower().split())
        and (not view.models or row["model"] in view.models)
        and (not view.caches or _method(row["cache"]) in view.caches)
        and (not view.decodings or _method(row["decoding"]) in view.decodings)
        and (not view.verified or line.verdict == "verified")
    )


def _method(label: str) -> str:
    """``hack(budget=0.3)`` -> ``hack``."""
    return label.partition("(")[0]


def _compared(lines: Sequence[Line], x: Column | None, y: Column | None) -> list[Line]:
    """Mark what is dominated; flagged lines and lines without both numbers take no part."""
    points = {
        line.id: (line.value(x), line.value(y))
        for line in lines
        if line.verdict != FLAGGED and None not in (line.value(x), line.value(y))
    }

    def dominated(line: Line) -> bool:
        if line.id not in points:
            return False
        a = points[line.id]
        return any(
            b != a and not x.beats(a[0], b[0]) and not y.beats(a[1], b[1]) for b in points.values()
        )

    return [Line(line.row, line.scores, line.verdict, dominated=dominated(line)) for line in lines]


def _ranked(lines: Sequence[Line], sort: Column | None) -> list[Line]:
    """Best first, equal numbers share a rank; then lines without a number; flagged ones last."""

    def place(line: Line) -> tuple:
        value = line.value(sort)
        sign = -1 if sort is not None and sort.better == "higher" else 1
        missing = value is None
        return (line.verdict == FLAGGED, missing, 0 if missing else sign * value, line.row["label"])

    found, seen = [], []
    for line in sorted(lines, key=place):
        value = line.value(sort)
        if value is None or line.verdict == FLAGGED:
            found.append(line)
            continue
        rank = 1 + sum(sort.beats(other, value) for other in seen)
        seen.append(value)
        found.append(Line(line.row, line.scores, line.verdict, rank, line.dominated))
    return found


def to_csv(board: Board) -> str:
    """The lines as they stand, a column per metric under its whole identity."""
    told = ("id", "label", "model", "cache", "decoding", "n", "device", "commit", "created")
    header = ["rank", *told, "submitter", "verdict", *(_head(c) for c in board.columns)]
    return csv_text(
        header,
        (
            [
                line.rank,
                *(line.row[key] for key in (*told, "submitter")),
                line.verdict,
                *(line.value(column) for column in board.columns),
            ]
            for line in board.lines
        ),
    )


def _chosen(source: Source, wanted: str) -> str:
    """The protocol of that name, or the newest one of the suite of that name."""
    newest = {suite: name for name, suite in reversed(source.suites.items())}
    protocol = newest.get(wanted, wanted)
    if protocol not in source.suites:
        raise VarSpacesError(
            f"There is no protocol '{wanted[:60]}' here. There are: {', '.join(source.suites)}."
        )
    return protocol


def _fullest(source: Source) -> str:
    rows = Counter(row["protocol"] for row in source.rows)
    return max(source.suites, key=rows.__getitem__)


def _head(column: Column) -> str:
    return f"{column.metric} {column.device}".strip()


def _version(protocol: str) -> int:
    """``smoke v2 0123abcd`` -> 2."""
    parts = protocol.split()
    return int(parts[1][1:]) if len(parts) > 1 and parts[1][1:].isdecimal() else 0
