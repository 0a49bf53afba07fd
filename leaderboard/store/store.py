"""The store: results are added and never changed; requests change by compare and swap.

    results/<suite>/<key>/<id>.json     one result, named by its content
    samples/<suite>/<key>/<id>.json     its numbers and digests per image
    index.jsonl.gz                      all results in one file, for fast opening
    requests/...                        submissions and their states

The index is only a cache: what it lacks is read from the results themselves, so a store without it
(or with an old one, after a merge of two stores, or with a forged one) shows the same table.

Readers skip what is damaged and name it; see ``leaderboard.sound`` for everything that can be.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from leaderboard.entry import usual_parts
from leaderboard.result import Result, Samples
from leaderboard.store import index
from leaderboard.store.backend import Backend, Changes, Moved
from var_spaces.errors import VarSpacesError

ATTEMPTS = 100
NOTHING: Changes = MappingProxyType({})
LONGEST_PAUSE = 1.0  # seconds between attempts


class Store:
    """Results and requests in one place.

    Args:
        backend: where the files lie.
        pause: waits for some seconds; replaced in tests.
    """

    def __init__(self, backend: Backend, pause: Callable[[float], None] = time.sleep) -> None:
        self.backend, self._pause = backend, pause

    # --- reading ------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """All results as flat rows (see ``index.row``), newest last; damaged files are left out."""
        usual = cache(usual_parts)
        return [index.row(result, usual) for result in self.read_results()[0]]

    def read_results(self) -> tuple[list[Result], list[str]]:
        """All results, oldest first, and a line for each file that is damaged."""
        at = self.backend.head()
        known = self._index(at)
        found, skipped = [], []
        for path in self.backend.list("results/", at):
            try:
                found.append(index.parsed(known[path]) if path in known else self._result(path, at))
            except VarSpacesError as error:
                skipped.append(f"{path}: {error}")
        return sorted(found, key=lambda result: (result.created, result.id)), skipped

    def result(self, id: str) -> Result:
        """One result by its id, or by the beginning of it.

        Raises:
            VarSpacesError: if there is none, or several begin like this, or it is damaged.
        """
        at = self.backend.head()
        paths = [p for p in self.backend.list("results/", at) if _name(p).startswith(id)]
        if not id or len(paths) != 1:
            many = "several results begin" if len(paths) > 1 else "no result begins"
            raise VarSpacesError(
                f"In {self.backend} {many} with '{id[:40]}': see python -m leaderboard list."
            )
        return self._result(paths[0], at)

    def samples(self, result: Result) -> Samples:
        """Numbers and digests per image.

        Raises:
            VarSpacesError: if they are missing or not those of the result.
        """
        data = self.backend.read(result.samples_path, self.backend.head())
        if data is None:
            raise VarSpacesError(f"The samples of result {result.id} are missing.")
        samples = Samples.from_json(data)
        if samples.digest != result.samples_sha256:
            raise VarSpacesError(f"The samples of result {result.id} were changed.")
        return samples

    def read(self, path: str) -> bytes | None:
        """A file of the store, e.g. a request."""
        return self.backend.read(path, self.backend.head())

    def list(self, prefix: str) -> list[str]:
        """Sorted paths of the files below a prefix."""
        return list(self.backend.list(prefix, self.backend.head()))

    # --- writing ------------------------------------------------------------------------------

    def add(self, result: Result, samples: Samples, beside: Changes = NOTHING) -> bool:
        """Add a result with its samples and index row; False if it was there already.

        Args:
            beside: files that come with it, or not at all: nobody sees the one without the other.
        """
        files = {
            **beside,
            result.path: result.to_json().encode() + b"\n",
            result.samples_path: samples.to_json().encode() + b"\n",
        }

        def changes(at: str) -> Changes:
            if self.backend.read(result.path, at) is not None:
                return {}
            return {**files, **self._indexed(index.extended(self._index_file(at), result), at)}

        return self.transact(changes, f"Result {result.id}: {result.label}") is not None

    def reindex(self) -> int:
        """Write the index anew from the results; returns their number."""
        results, _ = self.read_results()
        data = index.write(results)

        def changes(at: str) -> Changes:
            return {} if data == self._index_file(at) else self._indexed(data, at)

        self.transact(changes, "Index of all results")
        return len(results)

    def update(self, path: str, change: Callable[[bytes | None], bytes | None], why: str) -> bytes:
        """Read a file, change it, write it back; repeated until nobody wrote in between.

        Args:
            change: from the present content (None: no file) to the new one; None leaves it. It may
                run several times and may raise to give up.

        Returns:
            The content that holds now.
        """
        held: dict[str, bytes] = {}

        def changes(at: str) -> Changes:
            before = self.backend.read(path, at)
            after = change(before)
            held["now"] = before or b"" if after is None else after
            return {} if after is None or after == before else {path: after}

        self.transact(changes, why)
        return held["now"]

    def transact(self, changes: Callable[[str], Changes], message: str) -> str | None:
        """Commit what ``changes(head)`` says, again with the new head when another was first.

        Returns:
            The new head, or None if there was nothing to change.

        Raises:
            VarSpacesError: if others were first too often.
        """
        for attempt in range(ATTEMPTS):
            head = self.backend.head()
            wanted: Mapping[str, bytes | None] = changes(head)
            if not wanted:
                return None
            try:
                return self.backend.commit(wanted, head, message)
            except Moved:
                self._pause(random.uniform(0, min(LONGEST_PAUSE, 0.01 * 2**attempt)))
        raise VarSpacesError(f"{self.backend} is too busy: {ATTEMPTS} attempts to write failed.")

    def _index_file(self, at: str) -> bytes | None:
        try:
            return self.backend.read(index.PATH, at)
        except VarSpacesError:
            return None  # a link, or too large: as if there were none

    def _index(self, at: str) -> dict[str, str]:
        return index.read(self._index_file(at))

    def _indexed(self, data: bytes | None, at: str) -> Changes:
        """The change that writes the index, and removes that of older versions."""
        if data is None:
            return {}
        old = {index.REPLACED: None} if index.REPLACED in self.backend.list("index", at) else {}
        return {index.PATH: data, **old}

    def _result(self, path: str, at: str) -> Result:
        data = self.backend.read(path, at)
        if data is None:
            raise VarSpacesError(f"There is no result {path}.")
        result = index.parsed(data)
        if result.path != path:
            raise VarSpacesError(f"its content is that of {result.id}: it was changed.")
        return result


def _name(path: str) -> str:
    return path.rpartition("/")[2]
