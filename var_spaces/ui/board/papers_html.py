"""Published rows beside ours as HTML, a section for every system."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from leaderboard.reproduction import Reproduced, number

HEADS = ("Row", "Published", "Ours", "Status", "Command")
NOTE = """<p class="vs-note">What papers say, and what we get from the same settings. Counted
numbers follow from shapes and are counted anew here. A row that was not measured has a command that
fits together, and says what it waits for.</p>"""


def table(found: Sequence[Reproduced]) -> str:
    """All rows, as they stand now."""
    systems = dict.fromkeys(one.row.system for one in found)
    return NOTE + "".join(
        _section([one for one in found if one.row.system == system]) for system in systems
    )


def _section(rows: Sequence[Reproduced]) -> str:
    first = rows[0].row
    heads = "".join(f'<th scope="col">{head}</th>' for head in HEADS)
    name = escape(first.system, quote=True)
    return (
        f'<h3 class="vs-heading">{name} <a href="{escape(first.paper, quote=True)}" '
        f'target="_blank" rel="noopener">Paper</a></h3>'
        f'<div class="vs-scroll" tabindex="0" role="region" aria-label="Rows of {name}">'
        f'<table class="vs-table vs-board vs-papers"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(map(_row, rows))}</tbody></table></div>"
    )


def _row(one: Reproduced) -> str:
    row = one.row
    title = f"{row.title}. {row.note}".rstrip(". ") if row.note else row.title
    published = "; ".join(f"{name} {number(pair[0])}" for name, pair in one.numbers.items())
    ours = "; ".join(number(b) for _, b in one.numbers.values() if b is not None)
    told = f"{one.status}: {one.verdict or one.reason}"
    if one.device:
        told += f" ({one.device}, {one.created[:10]})"
    command = f"<code>{escape(row.command())}</code>" if row.command() else "–"
    return (
        f'<tr><th scope="row">{escape(title)}</th><td>{escape(published)}</td>'
        f"<td>{escape(ours) or '–'}</td><td>{escape(told)}</td><td>{command}</td></tr>"
    )
