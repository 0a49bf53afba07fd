"""Published rows and ours: what each says, how far apart they are, and what stands in the way."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.counted import agrees, counted
from leaderboard.papers import PaperRow, Printed, by_metric
from leaderboard.runner.job import Job
from leaderboard.suites.base import get_suite
from var_spaces.errors import NotHere, VarSpacesError
from var_spaces.tasks.plan import plan

NEAR = 0.02  # of the published number: papers and their own files differ by as much
# An item of each task, to see whether a run fits together before its prompts are downloaded.
SOME: Mapping[str, Mapping[str, Any]] = {
    "generate": {"class": 0},
    "text-to-image": {"prompt": "a red apple"},
    "subject": {"prompt": "a dog on a beach", "word": "dog"},
}


@dataclass(frozen=True)
class Reproduced:
    """A published row beside ours.

    Attributes:
        numbers: published and our number by name; None where we have none.
        status: "counted", "measured", "not measured" or "cannot run".
        verdict: "the same", "near", "differs", or "" without a number of ours.
        reason: why there is no number of ours, or "".
        result, device, created: of our measurement, else "".
    """

    row: PaperRow
    numbers: Mapping[str, tuple[float, float | None]]
    status: str
    verdict: str = ""
    reason: str = ""
    result: str = ""
    device: str = ""
    created: str = ""


def reproduced(row: PaperRow, rows: Iterable[Mapping[str, Any]]) -> Reproduced:
    """A row beside what our stores hold.

    Args:
        rows: of the index, without those that a verification refuted: see ``Source.standing``.
    """
    if row.missing:
        return Reproduced(row, _beside(row.published, {}), "cannot run", reason=row.missing)
    if row.counted:
        numbers = _beside(row.counted, counted(row))
        return Reproduced(row, numbers, "counted", _verdict(numbers))
    try:
        ours = row.measured(rows)
    except VarSpacesError:
        ours = None  # the suite needs a download first
    if ours is None:
        numbers = _beside(row.published, {})
        needs = "; ".join(get_suite(row.suite).downloads)
        return Reproduced(row, numbers, "not measured", reason=f"needs {needs}")
    found = {name: score["value"] for name, score in by_metric(ours).items()}
    numbers = _beside(row.published, found)
    told = {"result": ours["id"], "device": ours["device"], "created": ours["created"]}
    return Reproduced(row, numbers, "measured", _verdict(numbers), **told)


def _beside(
    published: Mapping[str, float], ours: Mapping[str, float]
) -> dict[str, tuple[float, float | None]]:
    return {name: (value, ours.get(name)) for name, value in published.items()}


def _verdict(numbers: Mapping[str, tuple[float, float | None]]) -> str:
    pairs = [(a, b) for a, b in numbers.values() if b is not None]
    if not pairs:
        return ""
    if all(agrees(a, b) for a, b in pairs):
        return "the same"
    near = all(agrees(a, b) or abs(a - b) <= NEAR * abs(a) for a, b in pairs)
    return "near" if near else "differs"


def would_start(row: PaperRow) -> tuple[bool, str]:
    """Whether the command of a row is right, and what it still waits for ("": nothing).

    A command is right if the flags of the command line give exactly the entry of the row and its
    parts fit together for the task of its suite. Downloads are what it may wait for.
    """
    if row.missing:
        return True, row.missing
    try:
        if row.counted:
            counted(row)
            return True, ""
        job = _job(row.command())
        if job.entry != row.entry():
            return False, "its command line asks for another entry"
        plan(job.entry.spec(job.suite.task, SOME[job.suite.task], seed=0, first=0, count=1))
    except NotHere as error:
        return True, str(error)
    except VarSpacesError as error:
        return False, str(error)
    try:
        job.check()
    except VarSpacesError as error:
        return True, str(error)
    return True, ""


def _job(command: str) -> Job:
    from leaderboard.cli.run import read_jobs

    (job,) = read_jobs("run", "", shlex.split(command)[4:])[0]
    return job


def markdown(found: Sequence[Reproduced]) -> str:
    """The table of the documentation, a section for every system."""
    lines = [HEAD]
    for system in dict.fromkeys(one.row.system for one in found):
        rows = [one for one in found if one.row.system == system]
        paper = rows[0].row
        link = f"[{paper.paper.partition('//')[2]}]({paper.paper})"
        lines.append(f"\n## {system}\n\n{link}, {paper.date}.\n")
        lines.append(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        lines += [_line(one) for one in rows]
    return "\n".join(lines) + "\n"


def _line(one: Reproduced) -> str:
    row = one.row
    protocol = row.suite or ("counted" if row.counted else "none here")
    published = "; ".join(f"{name} {number(pair[0])}" for name, pair in one.numbers.items())
    ours = "; ".join(number(b) for _, b in one.numbers.values() if b is not None)
    verdict = f"{one.status}: {one.verdict or one.reason}"
    machine = "any" if row.counted else f"{one.device}, {one.created[:10]}" if one.device else "-"
    title = f"{row.title}. {row.note}".rstrip(". ") if row.note else row.title
    command = f"`{row.command()}`" if row.command() else "-"
    cells = (title, protocol, published, ours or "-", verdict, f"{row.hardware or '-'}; {machine}",
             command)  # fmt: skip
    return f"| {' | '.join(cells)} |"


def number(value: float) -> str:
    """As a paper prints it; else as short as it can be, whole or with five digits."""
    if isinstance(value, Printed):
        return repr(value)
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10_000 else f"{value:.5g}"


COLUMNS = (
    "row", "protocol", "published", "ours", "verdict", "hardware: theirs; ours, date", "command",
)  # fmt: skip
HEAD = """# Papers and ours

Every published row that this project set out to reproduce: the command that should give it, the
paper's number, ours or what stands in its way. The table is made from `leaderboard/papers.json` and
the results in `leaderboard/results`:

```bash
python -m leaderboard reproduce --all --markdown   # this page
python -m leaderboard reproduce --all --dry-run    # would every command start?
python -m leaderboard reproduce var-d16            # one row, and what it still needs
```

*Counted* numbers follow from shapes and are counted anew on any machine, with caches stored as the
authors' code stores them (keys in four bytes, values in two). *The same* means: rounded as the
paper rounds; *near*: within two per cent. *Not measured* rows have a command that fits together and
waits for downloads and a GPU; *cannot run* says why."""
