"""CSD-100 with tiny random networks: from its pictures to a result."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leaderboard.entry import Entry
from leaderboard.extractors import csd, dino
from leaderboard.extractors.base import get_extractor
from leaderboard.learned import learn
from leaderboard.metrics.base import Batch, Context, Cost
from leaderboard.runner.job import Job
from leaderboard.runner.run import run
from leaderboard.styles import csd_100
from leaderboard.suites.base import get_suite
from tests.infinity import write_models
from tests.leaderboard.networks import tiny_clip
from tests.leaderboard.published import pictures
from tests.leaderboard.test_styles import write_csd_100
from var_spaces.errors import VarSpacesError
from var_spaces.training.styles.settings import StyleSettings
from var_spaces.zoo.residency import Residency

CPU = torch.device("cpu")


@pytest.fixture
def context() -> Context:
    return Context(device=CPU)


@pytest.fixture
def csd_suite(clips, networks, monkeypatch, tmp_path):
    """CSD-100 of two pictures, and tiny networks for all its metrics."""
    monkeypatch.setattr(csd_100, "COUNT", 2)
    monkeypatch.setattr("leaderboard.suites.csd_100.SEEDS", 2)
    write_csd_100(tmp_path / "data")
    architecture = tiny_clip(tmp_path, "tiny-csd", side=224)
    monkeypatch.setattr(csd.Csd, "architecture", architecture)
    networks.csd(architecture)
    monkeypatch.setattr(dino.DinoVitS16, "architecture", "test_vit")
    networks.dino("timm/test_vit", "test_vit")
    return get_suite("csd-100")


def test_csd_100(csd_suite, context):
    """Every metric looks at its own group; of a picture itself every likeness is 1."""
    chosen = csd_suite.items()[::2]
    groups = np.array([item.facts["group"] for item in chosen])
    of_picture = [csd_100.find(i.facts["picture"].removeprefix("csd-100/")).pixels for i in chosen]
    drawn = Batch(
        tuple(chosen), np.stack(of_picture), np.zeros((len(chosen), 1)), Cost(1.0, (1,), (1,))
    )
    looking = [metric for metric in csd_suite.metrics() if "group" in metric.facts]
    assert len(looking) == 5
    for metric in looking:
        values = metric.measure(drawn, context)
        assert np.array_equal(values[:, 1] > 0, np.isin(groups, metric.groups)), metric.name
        score = metric.score(values, None)
        if "picture" in metric.facts:
            assert score.value == pytest.approx(1, abs=1e-4), metric.name
        assert metric.uses.identity in metric.identity(len(chosen), None)
    network = context.network(get_extractor("csd-style"))
    pixels = pictures(2)
    found = network(pixels)
    assert found.shape == (2, 16) and np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(found, context.network(get_extractor("csd-content"))(pixels))


def test_csd_100_from_its_pictures_to_a_result(csd_suite, monkeypatch, tmp_path):
    models = f"{tmp_path / 'own'}:{write_models(tmp_path / 'm')}"
    monkeypatch.setenv("VAR_SPACES_MODELS", models)
    few = StyleSettings(rank=0, steps=2)
    with Residency().lease(["tiny-t2i"], "cpu", text=True) as (base,):
        learn(csd_suite, base, few, tmp_path / "own" / "learned", tmp_path / "work")
    job = Job(csd_suite, Entry.of("learned"), work=tmp_path / "jobs")
    result, samples = run(job, now="2026-01-01T00:00:00Z")
    assert result.n == len(samples.tokens) == 2 * (4 + 3)
    titles = [score.title for score in result.scores]
    assert titles[:4] == [
        "CSD-C, CSD ViT-L/14, content", "CLIP-I of content, CLIP ViT-B/32 (OpenAI)",
        "CSD-S, CSD ViT-L/14, style", "DINO of style, DINO ViT-S/16",
    ]  # fmt: skip


def test_another_csd_file_is_refused(networks, monkeypatch, tmp_path):
    networks.csd(tiny_clip(tmp_path, "tiny-csd", side=224))
    monkeypatch.setattr(csd.Csd, "architecture", tiny_clip(tmp_path, "other-csd", side=32))
    with pytest.raises(VarSpacesError, match=r"does not fit: .*positional_embedding"):
        get_extractor("csd-style").load(CPU)
