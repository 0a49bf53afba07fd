"""A log that a stranger wrote: nothing is read, written or deleted outside of the store."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from leaderboard import sound
from leaderboard.cli import main
from leaderboard.store import Store, Unwritable
from leaderboard.store.backend import MAX_FILE
from leaderboard.store.folder import FolderBackend
from leaderboard.store.hub import HubBackend
from tests.hostile.stores import (
    RESULT,
    SAMPLES,
    everything,
    log_entry,
    put,
    seen,
)
from tests.leaderboard.fake_hub import FakeHub
from var_spaces.errors import VarSpacesError

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
