"""Is a store sound? One line for every file that is damaged or not what its name says.

Readers skip these files; this names them. Each kind of file has its check below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from leaderboard.entry import Entry
from leaderboard.result import Result, Samples
from leaderboard.store import Store, index
from leaderboard.submissions.request import Request
from leaderboard.submissions.verdict import Verdict, path_of
from leaderboard.suites.base import OWN, get_suite
from var_spaces.errors import NotHere, VarSpacesError
from var_spaces.zoo.cards import known

Check = Callable[[str, bytes], None]  # path and content; raises what is wrong


def problems(store: Store) -> list[str]:
    """Everything that is wrong, in the order of the paths."""
    try:
        at = store.backend.head()
        lines = list(store.backend.problems())
        paths = list(store.backend.list("", at))
    except VarSpacesError as error:
        return [str(error)]
    for path in paths:
        lines += _problems(store, path, at)
    return sorted(lines)


def stale(store: Store) -> list[str]:
    """Results that are sound but of the past: another version of their suite, other weights, or a
    method that is gone. They stay; running them again makes rows of today."""
    try:
        results, _ = store.read_results()
    except VarSpacesError:
        return []  # see problems()
    reasons = ((result, past(result)) for result in results)
    return [f"{result.id} ({result.label}): {reason}" for result, reason in reasons if reason]


def past(result: Result) -> str:
    """Why running a result again here would not give it; "" if nothing is in the way."""
    if result.suite == OWN:
        return ""  # its pictures are not here: nobody can tell
    try:
        protocol = get_suite(result.suite).protocol
        Entry(**result.entry)
    except NotHere:
        return ""  # a download is missing here: nobody can tell
    except VarSpacesError as error:
        return str(error)
    if result.protocol != protocol:
        return f"it is of '{result.protocol}', the suite is '{protocol}' now"
    cards = known()
    changed = [
        name
        for name, digest in result.weights.items()
        if name in cards and cards[name].weights_sha256 not in (None, "", digest)
    ]
    return f"other weights of {', '.join(changed)} since" if changed else ""


def _problems(store: Store, path: str, at: str) -> Iterator[str]:
    try:
        data = store.backend.read(path, at) or b""
        if path == index.PATH:
            yield from (f"{path}: {line}" for line in index.problems(data))
            return
        check = CHECKS.get(path.partition("/")[0])
        if check:
            check(path, data)
        if path.startswith("results/"):
            store.samples(Result.from_json(data))
    except VarSpacesError as error:
        yield f"{path}: {error}"


def _result(path: str, data: bytes) -> None:
    _named(path, Result.from_json(data).path)


def _samples(path: str, data: bytes) -> None:
    samples = Samples.from_json(data)
    if not path.endswith(f"/{samples.digest[:16]}.json"):
        raise VarSpacesError("its content is not that of its name: it was changed.")


def _request(path: str, data: bytes) -> None:
    _named(path, Request.from_json(data).path)


def _verdict(path: str, data: bytes) -> None:
    _named(path, path_of(Verdict.from_json(data).result))


def _claim(path: str, data: bytes) -> None:
    if path.endswith("/result.json"):
        Result.from_json(data)
    else:
        Samples.from_json(data)


def _named(path: str, true: str) -> None:
    if path != true:
        raise VarSpacesError(f"its content is that of {true[:120]}: it was changed.")


CHECKS: dict[str, Check] = {
    "results": _result,
    "samples": _samples,
    "requests": _request,
    "verdicts": _verdict,
    "claims": _claim,
}
