"""A text model that can be taught, and pictures to teach it with."""

from __future__ import annotations

import numpy as np
import pytest

from tests.infinity import write_models
from tests.ui.models import write
from var_spaces.zoo import places


@pytest.fixture(scope="session")
def text_models(tmp_path_factory):
    """Folder of ``tiny-t2i`` beside the models of classes."""
    return write_models(write(tmp_path_factory.mktemp("taught")))


@pytest.fixture
def taught(text_models, monkeypatch, tmp_path):
    monkeypatch.setattr(places, "EMBEDDED", tmp_path / "none")
    monkeypatch.setenv("VAR_SPACES_MODELS", str(text_models))


@pytest.fixture
def folder(taught, tmp_path):
    """Shelf of a visitor."""
    made = tmp_path / "visitors" / "one"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def pictures():
    return tuple(np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8))
