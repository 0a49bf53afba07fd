"""A store as its owner made it, and what strangers do to it."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

from leaderboard.export import to_csv as exported
from leaderboard.result import Result
from leaderboard.store import Store, index
from leaderboard.store.folder import FolderBackend
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.request import Request
from leaderboard.submissions.verdict import Verdict
from leaderboard.table.board import Source, build, to_csv
from leaderboard.table.view import View
from tests.leaderboard.results import ENTRY, pair
from var_spaces import codecs

ROOT = Path(__file__).parents[2]
RESULT, SAMPLES = pair(1)
REQUEST = Request(suite="smoke", protocol="smoke v1 0123abcd", entry=ENTRY, created=1.0)
VERDICT = Verdict(
    result=RESULT.id, verdict="verified", images=(0,), equal_tokens=1, equal_pixels=1,
    created="2026-01-01T00:00:00Z",
)  # fmt: skip


def seen(folder: Path, *, result: bool = True) -> list[str]:
    """Read everything that the page, the commands and workers read; returns what they skip.

    Args:
        result: whether the sound result must still be there.
    """
    store = Store(FolderBackend(folder))
    source = Source.of([store])
    assert [row["id"] for row in source.rows if row["id"] == RESULT.id] == [RESULT.id] * result
    queue = Queue(store)
    queue.requests()
    queue.verdict(RESULT.id)
    assert isinstance(to_csv(build(source, View())), str)
    assert isinstance(exported(source.stamped), str)
    return list(source.skipped)


def put(folder: Path, path: str, data: bytes | str) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data.encode() if isinstance(data, str) else data)


def changed(part: Result | Request | Verdict, **changes) -> str:
    """The JSON of a file with other values, which no model would let pass."""
    return codecs.canonical({**json.loads(part.to_json()), **changes})


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != "lock"
    }


def log_entry(folder: Path, changes: dict, *, number: int = 0, **fields) -> Path:
    """A further entry of the log, as a stranger would write it, with contents."""
    log = folder / ".store" / "commits"
    head = json.loads((folder / ".store" / "head").read_text())
    number = number or head["number"] + 1
    place = log / f"{number:08d}"
    place.mkdir()
    digests = {}
    for position, path in enumerate(sorted(changes)):
        data = changes[path]
        digests[path] = None if data is None else hashlib.sha256(data).hexdigest()
        if data is not None:
            (place / str(position)).write_bytes(data)
    entry = {"number": number, "parent": head["id"], "message": "m", "time": "t"}
    (place / "entry.json").write_text(json.dumps({**entry, "changes": digests, **fields}))
    return place


def lines(folder: Path) -> list[dict]:
    """The rows of the index."""
    text = gzip.decompress((folder / index.PATH).read_bytes())
    return [json.loads(line) for line in text.splitlines()]
