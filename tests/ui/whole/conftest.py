"""A page with every tab: models of classes, of prompts, of instructions and of control maps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controls import write_control
from tests.ui.models import write
from tests.varedit import write_editor
from var_spaces.zoo import places


def _only(folder: Path, none: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(places, "EMBEDDED", none)
    patch.setenv("VAR_SPACES_MODELS", str(folder))
    patch.setenv("VAR_SPACES_MAX_WAITING_ADDRESS", "64")  # all tests are one address


@pytest.fixture(scope="session")
def _folder(tmp_path_factory) -> Path:
    folder = write_editor(write(tmp_path_factory.mktemp("whole")))
    with pytest.MonkeyPatch.context() as patch:
        _only(folder, tmp_path_factory.mktemp("none"), patch)
        write_control(folder / "tiny-control")
    return folder


@pytest.fixture
def models(_folder, tmp_path, monkeypatch) -> None:
    """For tests that run in this process. Test by test, since the page of the others, with other
    models, lives in this process as well."""
    _only(_folder, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def _whole(_folder, tmp_path_factory) -> Iterator[str]:
    from var_spaces.ui.app import build_app, launch_options

    with pytest.MonkeyPatch.context() as patch:
        _only(_folder, tmp_path_factory.mktemp("none"), patch)
        page = build_app()
    options = {**launch_options(), "server_name": "127.0.0.1"}
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **options)
    try:
        yield url
    finally:
        page.close()


@pytest.fixture
def served(_whole, models) -> str:
    """Address of the page."""
    return _whole
