"""Files of visitors: uploads alone are counted as such, and nothing stays for ever."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.coroutines import finished
from var_spaces.ui.queue.limits import MIB, Limits
from var_spaces.ui.server import folder, uploads
from var_spaces.ui.server.folder import BROKEN, DAY, FLOOR, look, tidy, upload_bytes
from var_spaces.ui.server.options import app_options

NOW = 10 * DAY


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def put(root: Path, number: int, age: float = 0, size: int = 10) -> str:
    """A file as gradio keeps it, ``age`` seconds old; returns its path."""
    path = root / f"{number:064x}" / "a.png"
    path.parent.mkdir()
    path.write_bytes(bytes(size))
    os.utime(path, (NOW - age, NOW - age))
    return str(path)


def there(*paths: str) -> list[bool]:
    return [os.path.exists(path) for path in paths]


def test_uploads_alone_are_counted(root):
    for number in range(5):
        put(root, number)
    small, large = put(root, 10), put(root, 11, size=3 * FLOOR)
    (root / "tmparriving").write_bytes(bytes(5))
    assert upload_bytes([small, large, str(root / "gone")]) == (1 + 3 + 1) * FLOOR
    assert upload_bytes([]) == FLOOR


def test_the_oldest_files_that_the_page_made_go_first(root):
    made = [put(root, number, age=100 - number) for number in range(6)]
    upload = put(root, 10, age=1000)
    shown = put(root, 11, age=2 * DAY)
    tidy([upload], [shown], 4 * FLOOR, NOW)
    assert there(*made) == [False] * 2 + [True] * 4
    assert there(upload, shown) == [True, True]


def test_everything_goes_after_a_day(root):
    old = [put(root, number, age=DAY + 1) for number in range(2)]
    new = [put(root, number, age=DAY - 1) for number in range(2, 4)]
    tidy([old[0], new[0]], (), 10 * FLOOR, NOW)
    assert there(*old, *new) == [False, False, True, True]


def test_pieces_and_empty_folders_go_and_nothing_of_others(root):
    paths = [root / name for name in ("tmpnew", "tmpold")]
    for path, age in zip(paths, (0, BROKEN + 1), strict=True):
        path.write_bytes(b"x")
        os.utime(path, (NOW - age, NOW - age))
    other = root / "other"
    other.mkdir()
    (other / "a.png").write_bytes(b"x")
    os.utime(other / "a.png", (0, 0))
    empty = [root / f"{number:064x}" for number in range(2)]
    for path, age in zip(empty, (0, BROKEN + 1), strict=True):
        path.mkdir()
        os.utime(path, (NOW - age, NOW - age))
    tidy((), (), 0, NOW)
    assert there(*map(str, (*paths, *empty, other / "a.png"))) == [True, False, True, False, True]


def test_names_of_files_are_let_go(root, monkeypatch):
    """Gradio keeps a set for every component of every tab that anybody opened."""
    monkeypatch.setattr(folder, "time", SimpleNamespace(time=lambda: NOW))
    upload, made = put(root, 1), put(root, 2)
    uploads, block = {upload, str(root / "gone")}, SimpleNamespace(temp_files={made})
    sets = [uploads, block.temp_files, *({f"{number}"} for number in range(250))]
    page = SimpleNamespace(blocks={1: block}, upload_file_set=uploads, temp_file_sets=sets)
    look(page, 10 * FLOOR)
    assert page.upload_file_set == {upload}
    assert page.temp_file_sets == [{upload}]
    assert page.temp_file_sets[0] is uploads
    assert not block.temp_files
    assert there(upload, made) == [True, True]


def test_a_page_looks_again_and_again_and_takes_uploads_away(root, monkeypatch):
    upload = put(root, 1)
    page = SimpleNamespace(blocks={}, temp_file_sets=[{upload}])
    app, looks = SimpleNamespace(get_blocks=lambda: page), []
    monkeypatch.setattr(folder, "EVERY", 0)

    async def serve() -> None:
        loop, enough = asyncio.get_running_loop(), asyncio.Event()

        def once(*asked: object) -> None:
            looks.append(asked)
            if len(looks) == 2:
                loop.call_soon_threadsafe(enough.set)
            raise RuntimeError("as a disk that is full")

        monkeypatch.setattr(folder, "look", once)
        async with app_options(Limits(max_downloads_mb=3))["lifespan"](app):
            await enough.wait()
            assert there(upload) == [True]

    finished(serve())
    assert looks[:2] == [(page, 3 * MIB)] * 2
    assert there(upload) == [False]


def test_uploads_that_are_there_are_counted_once(monkeypatch):
    """Every look counts anew what is there; what was known before is not added to it."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(uploads, "upload_bytes", lambda _: 3 * MIB)
    check = uploads.UploadTotals(None, Limits(max_uploads_mb=8), lambda: clock.now)
    for clock.now in (0.0, 61.0, 122.0):
        finished(check.count(()))
    assert check.refusal("a", str(5 * MIB)) is None
    assert check.refusal("a", str(MIB))[0] == 507
