"""Shared by tests of metrics, and of the networks that some of them look with."""

from __future__ import annotations

import pytest
import torch

from leaderboard.extractors import open_clip_models
from leaderboard.metrics.base import Context
from tests.leaderboard.networks import Networks, tiny_clip


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
