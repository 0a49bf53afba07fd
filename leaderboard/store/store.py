"""The store: results are added and never changed; requests change by compare and swap.

    results/<suite>/<key>/<id>.json     one result, named by its content
    samples/<suite>/<key>/<id>.json     its numbers and digests per image
    index.parquet                       one row per result, for fast opening
    requests/...                        submissions and their states

The index is only a cache: what it lacks is read from the results themselves, so a store without it
(or with an old one, after a merge of two stores) shows the same table.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from leaderboard.result import Result, Samples
from leaderboard.store import index
from leaderboard.store.backend import Backend, Changes, Moved
from var_spaces.errors import VarSpacesError

ATTEMPTS = 100
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
        at = self.backend.head()
        known = index.read(self.backend.read(index.PATH, at))
        found = []
        for path in self.backend.list("results/", at):
            row = known.get(path)
            if row is None:
                try:
                    row = index.row(self._result(path, at), path)
                except VarSpacesError:
                    continue  # see problems()
            found.append(row)
        return sorted(found, key=lambda row: (row["created"], row["id"]))

    def problems(self) -> list[str]:
        """One line for every result that is damaged or not what its name says."""
        at = self.backend.head()
        lines = []
        for path in self.backend.list("results/", at):
            try:
                result = self._result(path, at)
                self.samples(result)
            except VarSpacesError as error:
                lines.append(f"{path}: {error}")
        return lines

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

    def add(self, result: Result, samples: Samples) -> bool:
        """Add a result with its samples and index row; False if it was there already."""
        files = {
            result.path: result.to_json().encode() + b"\n",
            result.samples_path: samples.to_json().encode() + b"\n",
        }
        row = index.row(result, result.path)

        def changes(at: str) -> Changes:
            if self.backend.read(result.path, at) is not None:
                return {}
            after = index.extended(self.backend.read(index.PATH, at), row)
            return files if after is None else {**files, index.PATH: after}

        return self.transact(changes, f"Result {result.id}: {result.label}") is not None

    def reindex(self) -> int:
        """Write the index anew from the results; returns the number of rows."""
        rows = self.rows()

        def changes(at: str) -> Changes:
            data = index.write(rows)
            same = data == self.backend.read(index.PATH, at)
            return {} if data is None or same else {index.PATH: data}

        self.transact(changes, "Index of all results")
        return len(rows)

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

    def _result(self, path: str, at: str) -> Result:
        data = self.backend.read(path, at)
        if data is None:
            raise VarSpacesError(f"There is no result {path}.")
        result = Result.from_json(data)
        if result.path != path:
            raise VarSpacesError(f"its content is that of {result.id}: it was changed.")
        return result


def _name(path: str) -> str:
    return path.rpartition("/")[2]
