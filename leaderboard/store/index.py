"""The index: one flat row per result, as a Parquet file that dataset viewers show.

It needs pyarrow, an optional extra. Without it results are read one by one, and a writer removes
nothing: the rows it could not add are found in the results.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

from leaderboard.entry import label, part_label
from leaderboard.result import Result
from var_spaces import codecs

PATH = "index.parquet"
TEXT = (
    "id", "key", "path", "suite", "protocol", "model", "cache", "decoding", "label", "entry",
    "device", "commit", "created", "submitter", "fingerprint", "scores", "costs",
)  # fmt: skip
WHOLE = ("version", "n")


def row(result: Result, path: str) -> dict[str, Any]:
    """What the table shows of a result: plain text and numbers.

    ``entry``, ``scores`` and ``costs`` are JSON text. ``protocol`` names suite, version and hash:
    rows of different protocols are never ranked together, nor are scores of different ``metric``.
    """
    entry = result.entry
    return {
        "id": result.id,
        "key": result.key,
        "path": path,
        "version": result.version,
        "suite": result.suite,
        "protocol": result.protocol,
        "model": entry["model"],
        "cache": part_label("cache", entry["cache"]),
        "decoding": part_label("decoding", entry["decoding"]),
        "label": label(entry),
        "entry": codecs.canonical(entry),
        "n": result.n,
        "device": result.environment.device,
        "commit": result.environment.commit or "",
        "created": result.created,
        "submitter": result.submitter,
        "fingerprint": result.fingerprint,
        "scores": codecs.canonical([score.model_dump(mode="json") for score in result.scores]),
        "costs": codecs.canonical([score.model_dump(mode="json") for score in result.costs]),
    }


def scores(row: dict[str, Any]) -> list[dict[str, Any]]:
    """All scores of a row, quality first; see ``result.Score`` for their keys."""
    return json.loads(row["scores"]) + json.loads(row["costs"])


def read(data: bytes | None) -> dict[str, dict[str, Any]]:
    """Rows by path; none if there is no index or nothing to read it with."""
    parquet = _parquet()
    if data is None or parquet is None:
        return {}
    try:
        # Without threads: a process that ends at once would abort while they start.
        file = parquet.ParquetFile(io.BytesIO(data), pre_buffer=False)
        rows = file.read(use_threads=False).to_pylist()
        return {found["path"]: {key: found[key] for key in (*TEXT, *WHOLE)} for found in rows}
    except (OSError, ValueError, KeyError):  # pyarrow's errors are ValueErrors
        return {}


def extended(data: bytes | None, new: dict[str, Any]) -> bytes | None:
    """The index with one more row, or None if it cannot be written here."""
    return write([*({**read(data), new["path"]: new}).values()])


def write(rows: Sequence[dict[str, Any]]) -> bytes | None:
    """Equal rows give equal bytes."""
    parquet = _parquet()
    if parquet is None:
        return None
    import pyarrow

    schema = pyarrow.schema(
        [(name, pyarrow.string()) for name in TEXT] + [(name, pyarrow.int64()) for name in WHOLE]
    )
    ordered = sorted(rows, key=lambda found: (found["created"], found["id"]))
    table = pyarrow.Table.from_pylist(ordered, schema=schema)
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        return None
    return parquet
