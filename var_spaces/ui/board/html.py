"""A board, a row and the submissions as HTML; pure functions, all text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from leaderboard.result import Result
from leaderboard.submissions.request import Request
from leaderboard.submissions.verdict import Verdict
from leaderboard.table.board import Board, Column, Line
from var_spaces.evaluators.similarity import LIMIT
from var_spaces.ui.glossary import term
from var_spaces.ui.words import plural, seconds_text

STAMPS = {
    "verified": ("Verified", "drawn again: same tokens, same numbers"),
    "consistent": ("Consistent", "drawn again: other tokens, numbers within tolerance"),
    "mismatch": ("Mismatch", "drawn again: numbers do not hold"),
    "": ("–", "not drawn again yet"),
}
IDENTICAL = "identical"
STATES = {"queued": "Waiting", "running": "Running", "done": "Done", "failed": "Failed"}


def table(board: Board, shown: Sequence[str] = (), said: str = "") -> str:
    """The lines of a board; a click on an entry selects it, one on a header ranks by it.

    Models as they come are pinned above, with the rank that they have.

    Args:
        shown: keys of the columns to show; empty shows all.
        said: a line above them, as plain text.
    """
    if not board.columns:
        return (
            '<p class="vs-note">No results yet. The first one takes about a minute: '
            f"<code>python -m leaderboard run --suite smoke</code>{_skipped(board)}</p>"
        )
    columns = [column for column in board.columns if not shown or column.key in shown]
    told = (board.sort, board.y, board.x)  # what is ranked and plotted is in view
    columns.sort(key=lambda column: told.index(column) if column in told else len(told))
    heads = "".join(_head(column, board.sort) for column in columns)
    pinned = [line for line in board.lines if is_baseline(line)]
    others = [line for line in board.lines if not is_baseline(line)]
    rows = "".join(_row(line, columns) for line in (*pinned, *others))
    empty = '<tr><td colspan="99">No row passes the filters.</td></tr>'
    above = f'<p class="vs-note" role="status">{escape(said)}</p>' if said else ""
    return (
        f"{above}{_caption(board)}"
        '<div class="vs-scroll" tabindex="0" role="region" aria-label="Leaderboard">'
        '<table class="vs-table vs-board"><thead><tr><th scope="col">#</th>'
        f'<th scope="col">Entry</th><th scope="col">{term("verified", "Checked")}</th>{heads}</tr>'
        "</thead>"
        f"<tbody>{rows or empty}</tbody></table></div>"
    )


def is_baseline(line: Line) -> bool:
    """Whether it is a model as it comes: nothing of it is changed."""
    return line.row["label"] == line.row["model"]


def _caption(board: Board) -> str:
    hidden = f", {plural(board.hidden, 'row')} filtered out" if board.hidden else ""
    grey = sum(line.dominated for line in board.lines)
    told = (
        f" Grey: another row is better or equal in both <b>{escape(board.y.title)}</b> and "
        f"<b>{escape(board.x.title)}</b>."
        if grey and board.x and board.y
        else ""
    )
    return (
        f'<p class="vs-note">{plural(len(board.lines), "row")}{hidden}. Protocol '
        f'<span class="vs-mono">{escape(board.protocol)}</span>: rows of other protocols are never '
        f"ranked with these.{told}{_skipped(board)}</p>"
    )


def _skipped(board: Board) -> str:
    """Damaged files stop nobody; the owner is told how to find them. Paths stay on the server."""
    if not board.skipped:
        return ""
    return (
        f" {plural(len(board.skipped), 'file')} could not be read and "
        f"{'is' if len(board.skipped) == 1 else 'are'} left out: "
        "<code>python -m leaderboard validate</code> names them."
    )


def _head(column: Column, sort: Column | None) -> str:
    arrow = "↑" if column.better == "higher" else "↓"
    order = "descending" if column.better == "higher" else "ascending"  # the best stands first
    ranked = f' aria-sort="{order}"' if column is sort else ""
    unit = f", {column.unit}" if column.unit else ""
    return (
        f'<th scope="col" title="{escape(column.metric, quote=True)}"{ranked}>'
        f'<button type="button" class="vs-sort" data-sort="{column.key}">'
        f"{escape(column.title)}{escape(unit)} {arrow}</button></th>"
    )


def _row(line: Line, columns: Sequence[Column]) -> str:
    stamp, told = STAMPS[line.verdict]
    kind = " ".join(
        name
        for name, on in (
            ("vs-dominated", line.dominated),
            ("vs-flagged", line.rank is None),
            ("vs-baseline", is_baseline(line)),
        )
        if on
    )
    cells = "".join(_cell(line, column) for column in columns)
    return (
        f'<tr class="{kind}"><td>{line.rank or "–"}</td><th scope="row">'
        f'<button type="button" class="vs-pick" data-id="{escape(line.id, quote=True)}">'
        f"{escape(line.row['label'])}</button></th>"
        f'<td><span class="vs-stamp vs-{line.verdict or "none"}" title="{told}">{stamp}</span></td>'
        f"{cells}</tr>"
    )


def _cell(line: Line, column: Column) -> str:
    score = line.scores.get(column.key)
    if score is None:
        return '<td class="vs-none">–</td>'
    notes = []
    if score["low"] is not None:
        notes.append(f"95 %: {_number(score['low'])} to {_number(score['high'])}")
    if score["details"].get("bias") is not None:
        notes.append(f"about {_number(score['details']['bias'])} of it comes from small N")
    spread = ""
    if score["low"] is not None:
        half = (score["high"] - score["low"]) / 2
        spread = f'<span class="vs-spread">±{_number(half)}</span>' if half else ""
    title = f' title="{escape("; ".join(notes), quote=True)}"' if notes else ""
    return f"<td{title}>{value_text(score['value'], column.unit)}{spread}</td>"


def value_text(value: float, unit: str) -> str:
    """A score in words: pictures that are equal have no number of decibels."""
    return IDENTICAL if unit == "dB" and value >= LIMIT else _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def details(result: Result, verdict: Verdict | None, link: str) -> str:
    """Everything about one row.

    Args:
        link: HTML of a link that draws the first image of the row on this page.
    """
    where = result.environment
    facts = {
        "Result": result.id,
        "Protocol": result.protocol,
        "Images": f"{result.n:,}, {result.batch} at a time",
        "Measured": f"{result.created} on {where.device}, {plural(where.threads, 'thread')}",
        "Software": f"torch {where.torch}, python {where.python}",
        "Commit": where.commit or "unknown",
        "Weights": ", ".join(f"{name} {sha[:12]}" for name, sha in result.weights.items()),
    }
    facts |= {"Submitted by": result.submitter} if result.submitter else {}
    facts |= {"Note": result.note} if result.note else {}
    items = "".join(
        f'<div><dt>{name}</dt><dd class="vs-mono">{escape(str(value))}</dd></div>'
        for name, value in facts.items()
    )
    return (
        f"<h3>{escape(result.label)}</h3><p>Draw the first picture of this row with {link}.</p>"
        f"{_checked(result, verdict)}"
        f'<dl class="vs-identity">{items}</dl>{_scores(result)}'
    )


def _checked(result: Result, verdict: Verdict | None) -> str:
    if verdict is None:
        return (
            '<p class="vs-note">Not drawn again yet: '
            f"<code>python -m leaderboard verify {result.id[:8]}</code></p>"
        )
    seen = len(verdict.images)
    unchecked = (
        f" Not checked: {escape(', '.join(verdict.unchecked))}." if verdict.unchecked else ""
    )
    reason = f" {escape(verdict.reason)}." if verdict.reason else ""
    return (
        f'<p><span class="vs-stamp vs-{verdict.verdict}">{STAMPS[verdict.verdict][0]}</span> '
        f"{escape(verdict.created[:10])}: tokens of {verdict.equal_tokens} and pixels of "
        f"{verdict.equal_pixels} of {seen} images drawn again are the same; "
        f"{plural(len(verdict.checks), 'number')} compared.{unchecked}{reason}</p>"
    )


def _scores(result: Result) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(s.title)}</th><td>{with_unit(s.value, s.unit)}</td>'
        f"<td>{'' if s.low is None else f'{_number(s.low)} … {_number(s.high)}'}</td>"
        f'<td class="vs-mono">{escape(s.metric)}</td></tr>'
        for s in (*result.scores, *result.costs)
    )
    return (
        '<div class="vs-scroll" tabindex="0" role="region" aria-label="Numbers of this row">'
        '<table class="vs-table"><thead><tr><th scope="col">Metric</th><th scope="col">Value</th>'
        '<th scope="col">95 %</th><th scope="col">Identity</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def with_unit(value: float, unit: str) -> str:
    """A score and its unit; escaped."""
    text = value_text(value, unit)
    return text if text == IDENTICAL else f"{text} {escape(unit)}".strip()


def submissions(requests: Iterable[Request], now: float) -> str:
    """Newest first, with what is happening to each."""
    rows = "".join(_submission(request, now) for request in requests)
    if not rows:
        return '<p class="vs-note">Nothing was submitted yet.</p>'
    return (
        '<div class="vs-scroll" tabindex="0" role="region" aria-label="Submissions">'
        '<table class="vs-table vs-board"><thead><tr><th scope="col">Entry</th>'
        '<th scope="col">By</th><th scope="col">State</th><th scope="col">What happens</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _submission(request: Request, now: float) -> str:
    told = request.reason
    if request.lease is not None:
        silent = max(0.0, now - request.lease.since)
        told = f"{request.lease.progress or 'starting'} (for {seconds_text(silent)})"
    elif request.state == "queued":
        told = f"attempt {request.attempts + 1} comes next. {request.reason}".strip()
    stamp = ""
    if request.verdict:
        stamp = f' <span class="vs-stamp vs-{request.verdict}">{STAMPS[request.verdict][0]}</span>'
    return (
        f'<tr><th scope="row">{escape(request.label)}</th><td>{escape(request.submitter) or "–"}'
        f"</td><td>{STATES[request.state]}{stamp}</td><td>{escape(told)}</td></tr>"
    )
