"""A page with every tab: models of classes, of prompts, of instructions and of control maps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controls import write_control
from tests.ui.models import write
from tests.varedit import write_editor
from var_spaces.zoo import cards


@pytest.fixture(scope="package")
def _models(tmp_path_factory) -> Iterator[None]:
    folder = write_editor(write(tmp_path_factory.mktemp("whole")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cards, "EMBEDDED", tmp_path_factory.mktemp("none"))
        patch.setenv("VAR_SPACES_MODELS", str(folder))
        patch.setenv("VAR_SPACES_MAX_WAITING_ADDRESS", "64")  # all tests are one address
        write_control(folder / "tiny-control")
        yield


@pytest.fixture
def models(_models) -> None:
    """For tests that run in this process."""


@pytest.fixture(scope="package")
def _whole(_models) -> Iterator[str]:
    from var_spaces.ui.app import build_app, launch_options

    page = build_app()
    options = {**launch_options(), "server_name": "127.0.0.1"}
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **options)
    try:
        yield url
    finally:
        page.close()


@pytest.fixture
def served(_whole) -> str:
    """Address of the page."""
    return _whole
