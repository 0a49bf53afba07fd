"""The index: all results in one file, for fast opening and for the dataset viewer of the Hub.

Gzipped JSON lines. A line holds the columns of the table for other programs, and the whole text of
its result. Only the text is believed here: it must be that of a result which is in the store under
the name that the text gives it, and a name is a digest of the text.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any

from leaderboard.entry import Usual, label, part_label, usual_parts
from leaderboard.result import MAX_RESULT_BYTES, Result
from var_spaces import codecs
from var_spaces.errors import VarSpacesError

PATH = "index.jsonl.gz"
REPLACED = "index.parquet"  # of older versions; a writer removes it
USUAL = 64 * 1024  # of a result; larger ones are not kept
MAX_TEXT = 64 * 1024 * 1024  # bytes, inflated
TEXT = "result"  # column of the text


def row(result: Result, usual: Usual = usual_parts) -> dict[str, Any]:
    """What the table shows of a result: plain text and numbers.

    ``entry``, ``scores`` and ``costs`` are JSON text. ``protocol`` names suite, version and hash:
    rows of different protocols are never ranked together, nor are scores of different ``metric``.

    Args:
        usual: see ``entry.label``.
    """
    entry = result.entry
    return {
        "id": result.id,
        "key": result.key,
        "path": result.path,
        "version": result.version,
        "suite": result.suite,
        "protocol": result.protocol,
        "model": entry["model"],
        "cache": part_label("cache", entry["cache"]),
        "decoding": part_label("decoding", entry["decoding"]),
        "label": label(entry, usual),
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


def read(data: bytes | None) -> dict[str, str]:
    """Texts of results by the path where each must lie; damaged lines are left out."""
    return {result.path: text for _, result, text in _lines(data) if result is not None}


def problems(data: bytes | None) -> Iterator[str]:
    """One line for every line of the index that is damaged or says what its result does not."""
    if data is not None and _inflated(data) is None:
        yield "it is damaged"
    for number, (columns, result, _) in enumerate(_lines(data), 1):
        if result is None:
            yield f"line {number} is damaged"
            continue
        true = row(result)
        labels = ("label", "cache", "decoding")  # they depend on what this machine knows
        wrong = [key for key in true if key not in labels and columns.get(key) != true[key]]
        if wrong:
            yield f"line {number} is not what result {result.id} says: {', '.join(wrong)}"


def write(results: Iterable[Result]) -> bytes | None:
    """Equal results give equal bytes; None if they are too many."""
    ordered = sorted(results, key=lambda result: (result.created, result.id))
    usual = cache(usual_parts)
    lines = [codecs.canonical({**row(r, usual), TEXT: r.to_json()}) for r in ordered]
    text = "".join(f"{line}\n" for line in lines).encode()
    return gzip.compress(text, mtime=0) if len(text) <= MAX_TEXT else None


def extended(data: bytes | None, new: Result) -> bytes | None:
    """The index with one more result, or None if it cannot be written."""
    known = {result.path: result for _, result, _ in _lines(data) if result is not None}
    return write({**known, new.path: new}.values())


def parsed(text: str | bytes) -> Result:
    """A result from its text; results are frozen, so those of usual size are read once.

    Raises:
        VarSpacesError: if it is none.
    """
    return (_once if len(text) <= USUAL else Result.from_json)(text)


@lru_cache(maxsize=8192)
def _once(text: str | bytes) -> Result:
    return Result.from_json(text)


def _lines(data: bytes | None) -> Iterator[tuple[dict[str, Any], Result | None, str]]:
    for line in (_inflated(data) or b"").splitlines():
        try:
            columns = codecs.parse_json(line, "The line", 2 * MAX_RESULT_BYTES)
            text = columns[TEXT] if isinstance(columns, dict) and TEXT in columns else ""
            yield columns, parsed(str(text)), text
        except VarSpacesError:
            yield {}, None, ""


def _inflated(data: bytes | None) -> bytes | None:
    """The text, or None if it is damaged or too large."""
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = stream.decompress(data or b"", MAX_TEXT + 1)
    except zlib.error:
        return None
    return text if stream.eof and len(text) <= MAX_TEXT else None
