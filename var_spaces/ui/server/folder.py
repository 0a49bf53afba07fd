"""The folder in which gradio keeps files of visitors, and when they leave it.

There are those that visitors handed in, which ``uploads.py`` bounds as they come, and those that
the page made for them: downloads, pictures that controls show. All leave when they are a day old;
of those that the page made the oldest leave before, if they are too many. Gradio's own way goes by
the names that every component ever kept, which it never forgets once their file or page is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.route_utils import delete_files_created_by_app
from gradio.utils import get_upload_folder
from starlette.concurrency import run_in_threadpool

log = logging.getLogger(__name__)

FLOOR = 64 * 1024  # bytes that a file counts as at least: it has a folder of its own
DAY = 86_400.0  # seconds
BROKEN = 3600.0  # seconds after which a file that is still being written is a piece
EVERY = 60.0  # seconds between two looks
_HASH = re.compile("[0-9a-f]{64}")  # what gradio calls the folder of a file: nothing else is ours


def upload_bytes(uploads: Iterable[str]) -> int:
    """Bytes of files that were handed in and are still there, and of those that are being written;
    small ones count as ``FLOOR``."""
    arriving = (path for path, _ in _pieces())
    found = filter(None, map(_state, (*map(Path, uploads), *arriving)))
    return sum(max(state.st_size, FLOOR) for state in found)


def tidy(uploads: Collection[str], keep: Collection[str], most: int, now: float) -> None:
    """Delete what has had its time.

    Args:
        uploads: paths of files that were handed in.
        keep: paths of files that stay, as the page itself shows them.
        most: bytes of the files that the page made.
        now: seconds since 1970.
    """
    for path, state in _pieces():
        if state.st_mtime < now - BROKEN:
            _delete(path)
    made: list[tuple[float, int, Path]] = []
    for path, state in _files(now):
        if str(path) in keep:
            continue
        if state.st_mtime < now - DAY:
            _delete(path)
        elif str(path) not in uploads:
            made.append((state.st_mtime, max(state.st_size, FLOOR), path))
    total = sum(size for _, size, _ in made)
    for _, size, path in sorted(made):
        if total <= most:
            break
        _delete(path)
        total -= size


def tidying(most: int) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """For the server of a page: looks again and again, and takes what was handed in away with it.

    Args:
        most: see :func:`tidy`.
    """

    @asynccontextmanager
    async def serving(app: Any) -> AsyncIterator[None]:
        page = app.get_blocks()
        looking = asyncio.create_task(_look(page, most))
        try:
            yield
        finally:
            looking.cancel()
            delete_files_created_by_app(page, age=None)

    return serving


async def _look(page: gr.Blocks, most: int) -> None:
    while True:
        await asyncio.sleep(EVERY)
        try:
            await run_in_threadpool(look, page, most)
        except Exception:  # else nobody would look again
            log.exception("The folder of uploads could not be tidied up.")


def look(page: gr.Blocks, most: int) -> None:
    """Tidy up once, and let go of the names of files."""
    blocks = list(page.blocks.values())
    keep = {path for block in blocks for path in getattr(block, "keep_in_cache", ())}
    tidy(frozenset(page.upload_file_set), keep, most, time.time())
    gone = {path for path in frozenset(page.upload_file_set) if not os.path.exists(path)}
    page.upload_file_set -= gone
    # What components call theirs would only serve to delete it.
    page.temp_file_sets[:] = [page.upload_file_set]
    for block in blocks:
        getattr(block, "temp_files", set()).clear()


def _pieces() -> Iterator[tuple[Path, os.stat_result]]:
    """Files that are being written, or were: whole ones lie in folders of their own."""
    with suppress(OSError):
        for path in list(Path(get_upload_folder()).iterdir()):
            if state := _state(path):
                yield path, state


def _files(now: float) -> Iterator[tuple[Path, os.stat_result]]:
    """All whole files; folders that are long empty are removed."""
    with suppress(FileNotFoundError):
        for folder in list(Path(get_upload_folder()).iterdir()):
            if not _HASH.fullmatch(folder.name):
                continue
            with suppress(OSError):  # it may just have been removed
                inside = list(folder.iterdir())
                if not inside and folder.stat().st_mtime < now - BROKEN:
                    folder.rmdir()
                yield from ((path, state) for path in inside if (state := _state(path)))


def _state(path: Path) -> os.stat_result | None:
    """Of a plain file that is there."""
    with suppress(OSError):
        state = path.lstat()
        if stat.S_ISREG(state.st_mode):
            return state
    return None


def _delete(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
