"""The store loses nothing: two writers, a killed writer, an old index, a damaged file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from leaderboard.sound import problems
from leaderboard.store import Moved, Store, open_store
from leaderboard.store import index as index_module
from leaderboard.store.folder import FolderBackend
from leaderboard.store.hub import SMALL, HubBackend
from tests.leaderboard.fake_hub import FakeHub
from tests.leaderboard.results import pair
from var_spaces.errors import VarSpacesError

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["folder", "hub"])
def backend(request, tmp_path):
    if request.param == "folder":
        return FolderBackend(tmp_path / "store")
    return HubBackend("someone/results", api=FakeHub(tmp_path))


def test_add_and_read(backend):
    store = Store(backend)
    assert store.rows() == []
    result, samples = pair(1)
    assert store.add(result, samples)
    assert not store.add(result, samples)  # it is there already
    store.add(*pair(2))
    rows = store.rows()
    assert [row["id"] for row in rows] == [result.id, pair(2)[0].id]
    assert rows[0]["label"] == "var-small + top-k-top-p(top_k=100)"
    assert [s["value"] for s in index_module.scores(rows[0])] == [20.5]
    assert store.result(result.id[:9]) == result
    assert store.samples(result) == samples
    assert problems(store) == []


def test_both_places_have_the_same_layout(tmp_path):
    hub = FakeHub(tmp_path)
    folder, repository = FolderBackend(tmp_path / "store"), HubBackend("a/b", api=hub)
    for backend in (folder, repository):
        Store(backend).add(*pair(1))
        Store(backend).update("requests/a.json", lambda _: b"1", "ask")
    names = folder.list("", "")
    assert names == repository.list("", repository.head())
    assert {name.split("/")[0] for name in names} == {
        "index.jsonl.gz", "requests", "results", "samples",
    }  # fmt: skip
    for name in names:
        assert folder.read(name, "") == repository.read(name, repository.head()), name


def test_compare_and_swap(backend):
    head = backend.head()
    first = backend.commit({"a.json": b"1"}, head, "one")
    assert backend.head() == first != head
    with pytest.raises(Moved):
        backend.commit({"a.json": b"2", "b.json": b"2"}, head, "late")
    assert backend.read("a.json", backend.head()) == b"1"
    assert backend.read("b.json", backend.head()) is None
    backend.commit({"a.json": None}, first, "gone")
    assert backend.read("a.json", backend.head()) is None
    assert backend.list("", backend.head()) == []


def test_a_late_writer_decides_again(backend):
    """Another writer comes between reading and writing; both changes hold."""
    pauses = []
    store, other = Store(backend, pauses.append), Store(backend)
    store.update("n.json", lambda _: b"0", "start")
    seen = []

    def add_one(before):
        if not seen:
            other.update("n.json", lambda data: b"%d" % (int(data) + 10), "between")
        seen.append(before)
        return b"%d" % (int(before) + 1)

    assert store.update("n.json", add_one, "late") == b"11"
    assert seen == [b"0", b"10"]
    assert len(pauses) == 1


@pytest.mark.parametrize(
    "path", ["../a", "/a", "a//b", ".store/head", "a/.b", "", "a\\b", "a" * 300]
)
def test_paths_stay_inside(backend, path):
    with pytest.raises(VarSpacesError, match="no path of a store"):
        backend.commit({path: b""}, backend.head(), "bad")


WRITER = """
import sys
from leaderboard.store import Store
from leaderboard.store.folder import FolderBackend
from tests.leaderboard.results import pair
store = Store(FolderBackend(sys.argv[1]))
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 4):
    store.add(*pair(number))
    store.update("counted/count.json", lambda data: b"%d" % (int(data or b"0") + 1), "count")
"""


def test_writers_at_once_lose_nothing(tmp_path):
    folder = tmp_path / "store"
    command = [sys.executable, "-c", WRITER, str(folder)]
    writers = [subprocess.Popen([*command, start], cwd=ROOT) for start in ("0", "4")]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    backend = FolderBackend(folder)
    store = Store(backend)
    assert {row["id"] for row in store.rows()} == {pair(number)[0].id for number in range(8)}
    assert store.read("counted/count.json") == b"8"
    assert len(index_module.read(store.read("index.jsonl.gz"))) == 8
    log = backend.commits()
    assert [entry.number for entry in log] == list(range(1, len(log) + 1))
    assert problems(store) == []


@pytest.mark.parametrize("when", ["before the rename", "after the rename", "while applying"])
def test_a_killed_writer_leaves_all_or_nothing(tmp_path, monkeypatch, when):
    backend = FolderBackend(tmp_path)
    head = backend.commit({"a.json": b"old"}, "", "start")

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    applied = FolderBackend._apply

    def die_at_second(self, path, blob):
        if path == "b.json":
            raise Killed
        applied(self, path, blob)

    place, action = {
        "before the rename": ("os.rename", die),
        "after the rename": ("leaderboard.store.folder.FolderBackend._apply", die),
        "while applying": ("leaderboard.store.folder.FolderBackend._apply", die_at_second),
    }[when]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(place, action)
        backend.commit({"a.json": b"new", "b.json": b"new"}, head, "killed")

    after = FolderBackend(tmp_path)
    at = after.head()  # another process opens the store
    assert after.read("a.json", at) == (b"old" if when == "before the rename" else b"new")
    assert after.read("b.json", at) == (None if when == "before the rename" else b"new")
    again = after.commit({"c.json": b"more"}, at, "next")
    assert after.read("c.json", again) == b"more"


def test_an_index_that_lacks_rows_shows_all(tmp_path, monkeypatch):
    store = Store(FolderBackend(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "MAX_TEXT", 10)  # a writer for whom it is too large
        store.add(*pair(1))
        assert store.read("index.jsonl.gz") is None
        assert len(store.rows()) == 1
    store.add(*pair(2))
    assert len(index_module.read(store.read("index.jsonl.gz"))) == 1
    before = store.rows()
    assert len(before) == 2
    assert store.reindex() == 2
    assert len(index_module.read(store.read("index.jsonl.gz"))) == 2
    assert store.rows() == before
    (tmp_path / "index.jsonl.gz").write_bytes(b"damaged")
    assert store.rows() == before


def test_the_index_of_older_versions_goes(backend):
    backend.commit({"index.parquet": b"old"}, backend.head(), "old")
    Store(backend).add(*pair(1))
    assert "index.parquet" not in backend.list("", backend.head())
    assert problems(Store(backend)) == []


def test_a_changed_result_is_seen(tmp_path):
    store = Store(FolderBackend(tmp_path))
    result, samples = pair(1)
    store.add(result, samples)
    path = tmp_path / result.path
    data = json.loads(path.read_text())
    data["scores"][0]["value"] = 99.0
    path.write_text(json.dumps(data))
    (line,) = problems(store)
    assert "it was changed" in line
    with pytest.raises(VarSpacesError, match="it was changed"):
        store.result(result.id)


def test_changed_samples_are_seen(tmp_path):
    store = Store(FolderBackend(tmp_path))
    result, _ = pair(1)
    store.add(*pair(1))
    Path(tmp_path / result.samples_path).write_text(pair(2)[1].to_json())
    assert "samples of result" in problems(store)[0]


def test_results_are_found_by_the_beginning_of_their_id(tmp_path):
    store = Store(FolderBackend(tmp_path))
    store.add(*pair(1))
    for wrong in ("", "zz"):
        with pytest.raises(VarSpacesError, match=r"no result begins|several"):
            store.result(wrong)


def test_the_hub_explains_what_is_wrong(tmp_path):
    backend = HubBackend("someone/results", api=FakeHub(tmp_path, broken=True))
    with pytest.raises(VarSpacesError, match="hf://datasets/someone/results cannot be reached"):
        Store(backend).rows()


def test_of_a_new_head_only_what_changed_is_fetched(tmp_path):
    hub = FakeHub(tmp_path)
    store = Store(HubBackend("someone/results", api=hub))
    for name in "abc":
        store.update(f"requests/{name}.json", lambda _, name=name: name.encode(), "ask")
    large = b"x" * (SMALL + 1)  # not kept in memory
    store.update("large.json", lambda _: large, "add")

    def read():
        hub.downloads.clear()
        return [store.read(path) for path in store.list("requests/")], list(hub.downloads)

    assert read()[0] == [b"a", b"b", b"c"]
    assert read() == ([b"a", b"b", b"c"], [])
    store.update("requests/b.json", lambda _: b"beat", "beat")
    assert read() == ([b"a", b"beat", b"c"], ["requests/b.json"])
    store.update("requests/b.json", lambda _: b"b", "as it was")
    assert read() == ([b"a", b"b", b"c"], ["requests/b.json"])
    hub.downloads.clear()
    assert store.read("large.json") == store.read("large.json") == large
    assert hub.downloads == ["large.json"] * 2
    assert store.read("none.json") is None and hub.downloads == ["large.json"] * 2


def test_what_is_kept_of_a_hub_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("leaderboard.store.hub.MOST_KEPT", 2)
    backend = HubBackend("someone/results", api=FakeHub(tmp_path))
    store = Store(backend)
    for name in "abcd":
        store.update(f"requests/{name}.json", lambda _, name=name: name.encode(), "ask")
        assert store.read(f"requests/{name}.json") == name.encode()
    assert list(backend._kept) == ["requests/c.json", "requests/d.json"]
    store.transact(lambda _: {"requests/c.json": None}, "done")
    store.list("requests/")
    assert list(backend._kept) == ["requests/d.json"]  # of files that are gone nothing is kept


def test_everybody_asks_one_and_the_same_hub():
    stores = [open_store("hf://datasets/someone/results") for _ in range(2)]
    assert stores[0].backend is stores[1].backend
