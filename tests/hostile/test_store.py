"""A store of a stranger, a damaged one, a full disk: readers go on, nothing leaves the folder."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard import sound
from leaderboard.cli import main
from leaderboard.export import to_csv as exported
from leaderboard.result import Result, Samples
from leaderboard.store import Store, Unwritable, index
from leaderboard.store import folder as folder_module
from leaderboard.store.backend import MAX_FILE
from leaderboard.store.folder import FolderBackend
from leaderboard.store.hub import HubBackend
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.request import Request
from leaderboard.submissions.verdict import Verdict
from leaderboard.table.board import Source, build, to_csv
from leaderboard.table.view import View
from tests.hostile.fuzz import examples
from tests.leaderboard.fake_hub import FakeHub
from tests.leaderboard.results import ENTRY, pair, score
from var_spaces import codecs
from var_spaces.errors import VarSpacesError

ROOT = Path(__file__).parents[2]
RESULT, SAMPLES = pair(1)
REQUEST = Request(suite="smoke", protocol="smoke v1 0123abcd", entry=ENTRY, created=1.0)
VERDICT = Verdict(
    result=RESULT.id, verdict="verified", images=(0,), equal_tokens=1, equal_pixels=1,
    created="2026-01-01T00:00:00Z",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> Path:
    """A sound store: one result, one request, one verdict."""
    store = Store(FolderBackend(tmp_path / "store"))
    store.add(RESULT, SAMPLES)
    for part in (REQUEST, VERDICT):
        store.update(part.path, lambda _, part=part: part.to_json().encode(), "add")
    assert sound.problems(store) == []
    return tmp_path / "store"


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
    assert isinstance(exported(source.rows), str)
    return list(source.skipped)


def put(folder: Path, path: str, data: bytes | str) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data.encode() if isinstance(data, str) else data)


def changed(part: Result | Request | Verdict, **changes) -> str:
    """The JSON of a file with other values, which no model would let pass."""
    return codecs.canonical({**json.loads(part.to_json()), **changes})


# --- one bad file -------------------------------------------------------------------------------

SCORE = json.loads(RESULT.to_json())["scores"][0]
BAD_RESULTS = {
    "empty": "",
    "half": RESULT.to_json()[:100],
    "no object": "[1]",
    "not UTF-8": b"\xff\xfe",
    "cache is a number": changed(RESULT, entry={**ENTRY, "cache": 5}),
    "cache without a name": changed(RESULT, entry={**ENTRY, "cache": {}}),
    "name is a number": changed(RESULT, entry={**ENTRY, "cache": {"name": 5}}),
    "model is null": changed(RESULT, entry={**ENTRY, "model": None}),
    "schedule is a number": changed(RESULT, entry={**ENTRY, "schedule": 7}),
    "no entry": changed(RESULT, entry={}),
    "low without high": changed(RESULT, scores=[{**SCORE, "low": 1.0}]),
    "low above high": changed(RESULT, scores=[{**SCORE, "low": 2.0, "high": 1.0}]),
    "huge": changed(RESULT, scores=[{**SCORE, "value": -1.7e308}]),
    "huge detail": changed(RESULT, scores=[{**SCORE, "details": {"bias": 1e300}}]),
    "detail is text": changed(RESULT, scores=[{**SCORE, "details": {"bias": "x"}}]),
    "NaN": RESULT.to_json().replace("20.5", "NaN"),
    "infinite": RESULT.to_json().replace("20.5", "1e999"),
    "another result's name": pair(2)[0].to_json(),
}


@pytest.mark.parametrize("what", BAD_RESULTS)
def test_a_bad_result_is_skipped_and_named(folder, what, capsys):
    path = "results/smoke/0123456789abcdef/0123456789abcdef.json"
    put(folder, path, BAD_RESULTS[what])
    (line,) = seen(folder)
    assert path in line
    assert [path in line for line in sound.problems(Store(FolderBackend(folder)))] == [True]
    assert main(["list", "--store", str(folder)]) == 0
    out = capsys.readouterr()
    assert RESULT.id[:8] in out.out and path in out.err
    assert main(["validate", "--store", str(folder)]) == 1
    assert path in capsys.readouterr().out


BAD_REQUESTS = {
    "empty entry": changed(REQUEST, entry={}),
    "cache is a number": changed(REQUEST, entry={**ENTRY, "cache": 5}),
    "no object": "null",
    "running without end": changed(REQUEST, state="running", lease={"worker": "w"}),
    "another name": changed(REQUEST, note="x", claim="0" * 16),
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
def test_a_bad_request_is_skipped_and_named(folder, what):
    path = "requests/smoke/0123456789abcdef.json"
    put(folder, path, BAD_REQUESTS[what])
    assert seen(folder) == []
    store = Store(FolderBackend(folder))
    assert [request.id for request in Queue(store).requests()] == [REQUEST.id]
    assert Queue(store).take("w").id == REQUEST.id
    assert any(line.startswith(path) for line in sound.problems(store))


@pytest.mark.parametrize("data", ["", "{}", VERDICT.to_json().replace(RESULT.id, "0" * 16)])
def test_a_bad_verdict_is_skipped_and_named(folder, data):
    put(folder, VERDICT.path, data)
    (line,) = seen(folder)
    assert VERDICT.path in line
    assert Queue(Store(FolderBackend(folder))).verdict(RESULT.id) is None
    assert VERDICT.path in sound.problems(Store(FolderBackend(folder)))[0]


# --- the index ----------------------------------------------------------------------------------


def lines(folder: Path) -> list[dict]:
    text = gzip.decompress((folder / index.PATH).read_bytes())
    return [json.loads(line) for line in text.splitlines()]


def write_lines(folder: Path, rows: list) -> None:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    put(folder, index.PATH, gzip.compress(text.encode()))


def test_a_forged_index_is_not_believed(folder):
    (row,) = lines(folder)
    forged = row["scores"].replace("20.5", "99.0")
    write_lines(folder, [{**row, "scores": forged, "model": "mine", "submitter": "=cmd"}])
    store = Store(FolderBackend(folder))
    (shown,) = store.rows()
    assert [s["value"] for s in index.scores(shown)] == [20.5]
    assert (shown["model"], shown["submitter"]) == (RESULT.entry["model"], "")
    (line,) = sound.problems(store)
    assert "model, submitter, scores" in line and RESULT.id in line


def test_a_forged_text_is_not_believed(folder):
    """A result of the index that is in no file has no row; one that was changed has no name."""
    (row,) = lines(folder)
    other = pair(5)[0]
    text = row["result"].replace("20.5", "99.0")
    write_lines(folder, [{**row, "result": text}, {**row, "result": other.to_json()}])
    (shown,) = Store(FolderBackend(folder)).rows()
    assert [s["value"] for s in index.scores(shown)] == [20.5]


@pytest.mark.parametrize(
    "rows",
    [[None], [{}], [5], ["{"], [{"result": None}], [{"result": []}], ["null", '{"a":NaN}'], []],
)
def test_wrong_types_in_the_index(folder, rows):
    write_lines(folder, rows)
    assert seen(folder) == []
    assert len(sound.problems(Store(FolderBackend(folder)))) == len(rows)


def test_an_index_that_unpacks_to_too_much(folder, monkeypatch):
    monkeypatch.setattr(index, "MAX_TEXT", 100_000)
    put(folder, index.PATH, gzip.compress(b"0" * 10_000_000))
    assert seen(folder) == []
    assert sound.problems(Store(FolderBackend(folder))) == [f"{index.PATH}: it is damaged"]


# --- the folder itself --------------------------------------------------------------------------


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


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name != "lock"
    }


EVIL_PATHS = (
    "../outside.txt", "/tmp/vs-outside.txt", "a/../../outside.txt", "C:/outside.txt",
    "C:outside.txt", "\\\\host\\share\\x", "a\\..\\..\\x", ".store/head", "a/./b", "a//b", "",
    "results/..", "~/x", "a\nb", "a\0b",
)  # fmt: skip


@pytest.mark.parametrize("path", EVIL_PATHS)
@pytest.mark.parametrize("data", [b"evil", None], ids=["write", "delete"])
def test_the_log_writes_and_deletes_nowhere_else(folder, path, data):
    outside = folder.parent / "outside.txt"
    outside.write_bytes(b"mine")
    place = log_entry(folder, {"requests/good.json": b"{}", path: data})
    before = everything(folder.parent)
    assert seen(folder) == []
    with pytest.raises(VarSpacesError):
        Store(FolderBackend(folder)).update("notes/a.json", lambda _: b"1", "mine")
    assert everything(folder.parent) == before  # not even the good part
    assert not Path("/tmp/vs-outside.txt").exists()
    problems = sound.problems(Store(FolderBackend(folder)))
    assert any(place.name in line for line in problems)
    shutil.rmtree(place)
    assert Store(FolderBackend(folder)).update("notes/a.json", lambda _: b"1", "mine") == b"1"


@pytest.mark.parametrize("what", ["folder", "file", "blob", "read", "store"])
def test_symbolic_links_are_neither_followed_nor_replaced(folder, what):
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "a.json").write_bytes(b"mine")
    if what == "folder":
        (folder / "notes").symlink_to(outside)
        log_entry(folder, {"notes/a.json": b"evil"})
    elif what == "file":
        (folder / "notes.json").symlink_to(outside / "a.json")
        log_entry(folder, {"notes.json": None})
    elif what == "blob":
        place = log_entry(folder, {"notes.json": b"mine"})
        (place / "0").unlink()
        (place / "0").symlink_to(outside / "a.json")
    elif what == "read":
        target = folder / "results" / "smoke" / "a.json"
        target.symlink_to(outside / "a.json")
        with pytest.raises(VarSpacesError, match="symbolic link"):
            FolderBackend(folder).read("results/smoke/a.json", "")
    else:
        (folder / "samples").rename(outside / "samples")
        (folder / "samples").symlink_to(outside / "samples")
    seen(folder)
    if what != "read":
        with pytest.raises(VarSpacesError):
            store = Store(FolderBackend(folder))
            store.samples(RESULT)
            store.update("other.json", lambda _: b"1", "mine")
    assert (outside / "a.json").read_bytes() == b"mine"
    assert not (folder / "notes.json").exists() or what == "file"
    assert sound.problems(Store(FolderBackend(folder))) != []


def test_a_changed_content_of_the_log_is_not_applied(folder):
    place = log_entry(folder, {"notes.json": b"right"})
    (place / "0").write_bytes(b"wrong")
    assert seen(folder) == []
    with pytest.raises(VarSpacesError, match="was changed"):
        Store(FolderBackend(folder)).update("other.json", lambda _: b"1", "mine")
    assert not (folder / "notes.json").exists()


BAD_HEADS = ["", "null", "{}", "5", "{", '{"number": "x", "id": 5}', '{"number": -1, "id": ""}']


@pytest.mark.parametrize("head", [*BAD_HEADS, '{"id": "", "number": 0}', None])
def test_a_bad_head_loses_nothing(folder, head):
    """Also one that is behind, or gone: the log is not played again from its start."""
    backend = FolderBackend(folder)
    backend.commit({"notes/a.json": b"1"}, backend.head(), "there")
    backend.commit({"notes/a.json": None}, backend.head(), "gone")
    last = backend.commit({"notes/a.json": b"2"}, backend.head(), "there again")
    before = {k: v for k, v in everything(folder).items() if not k.startswith(".store")}
    if head is None:
        (folder / ".store" / "head").unlink()
    else:
        (folder / ".store" / "head").write_text(head)
    assert seen(folder) == []
    assert FolderBackend(folder).head() == last
    assert {k: v for k, v in everything(folder).items() if not k.startswith(".store")} == before
    FolderBackend(folder).commit({"notes/b.json": b"3"}, last, "more")
    assert (folder / "notes/b.json").read_bytes() == b"3"
    assert sound.problems(Store(FolderBackend(folder))) == []


def test_an_empty_folder_in_the_log(folder):
    place = folder / ".store" / "commits" / "00000004"
    place.mkdir()
    assert seen(folder) == []
    assert "it is no commit" in sound.problems(Store(FolderBackend(folder)))[0]
    Store(FolderBackend(folder)).update("notes/a.json", lambda _: b"1", "mine")
    assert (folder / "notes/a.json").read_bytes() == b"1"
    assert sound.problems(Store(FolderBackend(folder))) == []


def test_a_store_that_is_a_file(tmp_path, capsys):
    path = tmp_path / "store"
    path.write_text("hello")
    assert seen(path, result=False) == []
    with pytest.raises(Unwritable, match="Not a directory"):
        Store(FolderBackend(path)).add(RESULT, SAMPLES)
    assert "a store is a folder" in sound.problems(Store(FolderBackend(path)))[0]
    assert main(["list", "--store", str(path)]) == 0
    assert main(["validate", "--store", str(path)]) == 1


def test_what_is_no_plain_file_is_not_read(folder, monkeypatch):
    os.mkfifo(folder / "results" / "smoke" / "fifo.json")
    (folder / "results" / "smoke" / "folder.json").mkdir()
    monkeypatch.setattr("leaderboard.store.folder.MAX_FILE", 10_000)
    put(folder, "results/smoke/large.json", b" " * 20_000)
    skipped = seen(folder)
    assert len(skipped) == 2
    assert "no plain file" in skipped[0] and "larger than" in skipped[1]


def test_names_that_are_no_paths_are_named(folder):
    for name in ("results/smoke/a b.json", "results/smoke/é.json"):
        put(folder, name, RESULT.to_json())
    assert seen(folder) == []
    assert len(sound.problems(Store(FolderBackend(folder)))) == 2


def test_a_strangers_repository(tmp_path):
    """Names that lead out of it are not asked for, and what is too large is not fetched."""
    hub = FakeHub(tmp_path)
    backend = HubBackend("a/b", api=hub)
    Store(backend).add(RESULT, SAMPLES)
    state = dict(hub.states[-1])
    state |= {"../../evil": b"x", "results/../../evil.json": b"x", "/etc/evil": b"x"}
    state["results/smoke/0/large.json"] = type("Large", (bytes,), {"__len__": lambda _: 2**40})()
    hub.states.append(state)
    asked = []
    download = hub.hf_hub_download
    hub.hf_hub_download = lambda **more: asked.append(more["filename"]) or download(**more)
    results, skipped = Store(backend).read_results()
    assert [result.id for result in results] == [RESULT.id]
    assert len(skipped) == 1 and f"larger than the allowed {MAX_FILE // 2**20} MiB" in skipped[0]
    assert len(sound.problems(Store(backend))) == 4
    assert not [name for name in asked if "evil" in name or "large" in name]


# --- time, room and company ---------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-86_400.0, -1e6, 1e6])
def test_no_lease_outlives_a_clock_that_jumps(folder, jump):
    now = [2_000_000.0]
    queue = Queue(Store(FolderBackend(folder)), clock=lambda: now[0], lease=60)
    assert queue.take("w1").held_by("w1")
    assert queue.take("w2") is None
    now[0] += jump
    assert queue.take("w2").held_by("w2")
    assert queue.take("w1") is None  # and the new one holds


def test_a_worker_keeps_its_request_when_the_clock_jumps(folder):
    now = [2_000_000.0]
    queue = Queue(Store(FolderBackend(folder)), clock=lambda: now[0], lease=60)
    request = queue.take("w1")
    now[0] -= 86_400
    assert queue.beat(request, "w1", "draw")
    assert queue.take("w2") is None


def test_a_full_disk_loses_nothing(folder, monkeypatch):
    """Each write in turn fails; the result is there whole or not at all, and the rest stays."""
    writers = {"_write_durably": folder_module, "write_bytes": Path}
    result, samples = pair(7)
    count = 0
    for name, owner in writers.items():
        for failing in range(10):
            copy = folder.parent / f"{name}-{failing}"
            shutil.copytree(folder, copy)
            calls, original = [0], getattr(owner, name)

            def write(path, data, calls=calls, failing=failing, original=original):
                calls[0] += 1
                if calls[0] > failing:  # full from here on
                    original(path, data[: len(data) // 2])
                    raise OSError(errno.ENOSPC, "No space left on device")
                return original(path, data)

            with monkeypatch.context() as patch:
                patch.setattr(owner, name, write)
                try:
                    Store(FolderBackend(copy)).add(result, samples)
                    break  # all writes were allowed
                except Unwritable as error:
                    assert "No space left" in str(error)
                    count += 1
                seen(copy)
            store = Store(FolderBackend(copy))  # there is room again
            assert store.add(result, samples) in (True, False)
            assert {row["id"] for row in store.rows()} == {RESULT.id, result.id}
            assert store.samples(result) == samples
            assert sound.problems(store) == []
    assert count >= 6


def test_a_worker_survives_a_full_disk(folder, monkeypatch):
    """The request is not lost: it waits for the next worker."""
    from leaderboard.submissions import worker as module

    def full(*_args, **_more):
        raise Unwritable("Cannot write: No space left on device.")

    now = [2_000_000.0]
    queue = Queue(Store(FolderBackend(folder)), clock=lambda: now[0], lease=60)
    monkeypatch.setattr(module.Worker, "_obtain", full)
    worker = module.Worker(queue, name="w")
    with monkeypatch.context() as patch:
        patch.setattr(queue, "again", full)
        worker.once()
    assert queue.get(REQUEST.id).state == "running"  # nothing could be written down
    now[0] += 61
    worker.once()
    after = queue.get(REQUEST.id)
    assert after.state == "queued" and "No space left" in after.reason


SERVER = """
import sys
from leaderboard.store import open_store
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.request import Request
from leaderboard.submissions.verdict import Verdict
from leaderboard.table.board import Source
from tests.leaderboard.results import ENTRY, pair
place, name = sys.argv[1:]
queue = Queue(open_store(place))
while (request := queue.take(name)) is not None:
    result, samples = pair(int(request.note), note=request.note)
    queue.store.add(result, samples)
    verdict = Verdict(result=result.id, verdict="verified", images=(0,), equal_tokens=1,
                      equal_pixels=1, created="2026-01-01T00:00:00Z", worker=name)
    assert queue.finish(request, name, verdict)
    Source.of([queue.store])
"""


def test_two_servers_on_one_store(folder):
    store = Store(FolderBackend(folder))
    store.update(REQUEST.path, lambda _: None, "keep")
    for number in range(10, 18):
        entry = {**ENTRY, "model": f"m{number}"}
        request = REQUEST.model_copy(update={"entry": entry, "note": str(number)})
        text = request.to_json().encode()
        store.update(request.path, lambda _, text=text: text, "submit")
    store.update(REQUEST.path, lambda _: b"{}", "a damaged one among them")
    command = [sys.executable, "-c", SERVER, str(folder)]
    servers = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("a", "b")]
    assert [server.wait(timeout=120) for server in servers] == [0, 0]
    done = Queue(store).requests()
    assert [request.state for request in done] == ["done"] * 8
    assert [request.attempts for request in done] == [1] * 8  # each was run once
    assert len(store.rows()) == 9
    assert len(lines(folder)) == 9
    assert [line.split(":")[0] for line in sound.problems(store)] == [REQUEST.path]


# --- texts of strangers -------------------------------------------------------------------------

ESCAPES = "a\x1b[31mred\x1b[0m\r\n\u202egnp.exe\x07\u2028b"


def test_terminal_escapes_are_not_printed(tmp_path, capsys):
    title = score(title=ESCAPES, metric=f"=m{ESCAPES}")
    entry = {**ENTRY, "model": f"m{ESCAPES}"}
    result, samples = pair(3, scores=(title,), entry=entry, submitter=ESCAPES)
    store = Store(FolderBackend(tmp_path))
    store.add(result, samples)
    request = REQUEST.model_copy(update={"entry": entry, "log": (ESCAPES,), "reason": ESCAPES})
    store.update(request.path, lambda _: request.to_json().encode(), "ask")
    place = ("--store", str(tmp_path))
    for words in (
        ["list"], ["compare", result.id, result.id], ["requests"], ["requests", request.id],
        ["export"], ["validate"], ["list", "--json"], ["compare", result.id, "zz\x1b[31m"],
    ):  # fmt: skip
        main([*words, *place])
        out, err = capsys.readouterr()
        for char in out + err:
            assert char == "\n" or char.isprintable(), (words, char)


def test_formulas_are_text_in_both_tables():
    evil = ("=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "＝1+1", "|x")
    for text in evil:
        result, _ = pair(3, submitter=text, scores=(score(metric=text, title=text, value=-2.0),))
        source = Source((index.row(result),), {})
        for written in (exported(source.rows), to_csv(build(source, View()))):
            cells = [cell for line in written.splitlines() for cell in line.split(",")]
            assert not [c for c in cells if c.strip()[:1] in tuple("=+@|＝")], (text, written)
            assert [c for c in cells if c.startswith("-")] == ["-2.0"]  # numbers are numbers


# --- fuzz ---------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
FILES = {
    RESULT.path: RESULT.to_json(),
    "results/smoke/0123456789abcdef/0123456789abcdef.json": pair(2)[0].to_json(),
    RESULT.samples_path: SAMPLES.to_json(),
    REQUEST.path: REQUEST.taken("w", 1.0, 60).to_json(),
    VERDICT.path: VERDICT.to_json(),
    f"claims/{REQUEST.id}/result.json": RESULT.to_json(),
    f"claims/{REQUEST.id}/samples.json": SAMPLES.to_json(),
    ".store/head": '{"id":"","number":3}',
    ".store/commits/00000004/entry.json": codecs.canonical(
        {"number": 4, "parent": "", "message": "", "time": "", "changes": {"a": None, "b": "0"}}
    ),
    index.PATH: codecs.canonical({**index.row(RESULT), "result": RESULT.to_json()}),
}  # fmt: skip


def places(value, path=()):
    """Paths of all values inside JSON."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()  # fmt: skip
    for key, item in inner:
        yield from places(item, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = replaced(copy[key], rest, new)
    return copy


@st.composite
def damaged(draw):
    """A file of the store: noise, cut, with some bytes changed, or with another value inside."""
    path = draw(st.sampled_from(sorted(FILES)))
    text = FILES[path].encode()
    how = draw(st.sampled_from(["noise", "cut", "bytes", "value", "value", "value"]))
    if how == "noise":
        data = draw(st.binary(max_size=200))
    elif how == "cut":
        data = text[: draw(st.integers(0, len(text)))]
    elif how == "bytes":
        at = draw(st.integers(0, len(text) - 1))
        data = text[:at] + draw(st.binary(max_size=4)) + text[at + draw(st.integers(0, 4)) :]
    else:
        value = json.loads(text)
        where = draw(st.sampled_from(list(places(value))))
        try:
            data = json.dumps(replaced(value, where, draw(VALUES))).encode()
        except UnicodeError:
            data = b""
    if path == index.PATH and draw(st.booleans()):
        data = gzip.compress(data)
    return path, data


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@examples()
@given(damaged())
def test_no_file_stops_a_reader(fuzzed, file):
    """Whatever lies in a store: it is read to the end, and what is left out has a line."""
    path, data = file
    folder = fuzzed / "store"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in FILES.items():
        if not name.startswith((".store", "results/smoke/0123", index.PATH)):
            put(folder, name, text)
    put(folder, path, data)
    skipped = seen(folder, result=path != RESULT.path)
    problems = sound.problems(Store(FolderBackend(folder)))
    assert len(problems) >= len(skipped)
    assert all("\n" not in line for line in problems)


@examples()
@given(st.binary(max_size=300) | VALUES.map(lambda v: json.dumps(v).encode()))
def test_noise_is_refused_in_one_line(data):
    for read in (Result.from_json, Samples.from_json, Request.from_json, Verdict.from_json):
        try:
            read(data)
        except VarSpacesError as error:
            assert len(str(error)) < 1000
    index.read(data)
    list(index.problems(gzip.compress(data)))
