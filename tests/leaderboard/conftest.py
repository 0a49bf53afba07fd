"""Shared by tests of metrics, of the networks that some of them look with, and of submissions."""

from __future__ import annotations

import pytest
import torch

from leaderboard.extractors import open_clip_models
from leaderboard.metrics.base import Context
from leaderboard.runner.job import Job
from leaderboard.runner.run import run
from leaderboard.store import Store
from leaderboard.store.folder import FolderBackend
from leaderboard.submissions.queue import Queue
from tests.leaderboard.claims import Clock, entry
from tests.leaderboard.networks import Networks, tiny_clip
from tests.leaderboard.suite import TinySuite


@pytest.fixture(scope="module")
def context() -> Context:
    return Context(device=torch.device("cpu"))


@pytest.fixture
def networks(tmp_path, monkeypatch) -> Networks:
    """An empty machine."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("VAR_SPACES_DATA", str(tmp_path / "data"))
    return Networks(tmp_path / "hub", tmp_path / "data")


@pytest.fixture
def clips(networks, tmp_path, monkeypatch) -> None:
    """All models of open_clip, with tiny weights of their own."""
    architecture = tiny_clip(tmp_path)
    for kind in ("VitB32", "VitL14", "VitL14At336", "HpsV21"):
        cls = getattr(open_clip_models, kind)
        monkeypatch.setattr(cls, "architecture", architecture)
        networks.clip(cls.repository, cls.file, architecture)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(tmp_path, clock):
    return Queue(Store(FolderBackend(tmp_path / "store")), clock=clock, lease=60)


@pytest.fixture(scope="module")
def measured(tiny_models, tmp_path_factory):
    """A true result of the tiny suite."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAR_SPACES_MODELS", str(tiny_models))
        return run(Job(TinySuite(), entry(), 2, tmp_path_factory.mktemp("work")))
