"""Every metric equals an independent formula, written in another way with NumPy."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from leaderboard.item import Item
from leaderboard.metrics.base import Context, Cost
from leaderboard.metrics.bootstrap import (
    grouped_interval,
    mean_interval,
    resampled_means,
    spread_interval,
)
from leaderboard.metrics.clip_score import ClipScore, cosines
from leaderboard.metrics.codebook_use import CodebookUse
from leaderboard.metrics.diversity import Diversity
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.image_similarity import ClipI
from leaderboard.metrics.judged import ClassAccuracy, StyleAccuracy
from leaderboard.metrics.kv_bytes import KvHistory, KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.lpips import JudgeDistance
from leaderboard.metrics.machine import PeakMemory, Throughput
from leaderboard.metrics.psnr import Psnr
from leaderboard.metrics.ssim import Ssim
from leaderboard.metrics.style import StyleClipT
from leaderboard.metrics.subject import SubjectClipT
from leaderboard.metrics.token_agreement import TokenAgreement
from tests.leaderboard.measured import batch
from var_spaces import methods
from var_spaces.errors import VarSpacesError

RANDOM = np.random.default_rng(0)


def test_diversity(context):
    drawn = batch(3, side=64)
    network = context.network(Diversity().uses)
    pairs = {(i, j): network.distance(drawn.images[[i]], drawn.images[[j]])[0]
             for i, j in ((0, 1), (0, 2), (1, 2))}  # fmt: skip
    values = Diversity().measure(drawn, context)
    found, prompts = values.T
    assert set(prompts) == {drawn.items[0].index}
    assert found[0] == pytest.approx((pairs[0, 1] + pairs[0, 2]) / 2, rel=1e-4)
    assert found.mean() == pytest.approx(np.mean(list(pairs.values())), rel=1e-4)
    same = batch(3, side=64, images=drawn.images[[0, 0, 0]])
    assert Diversity().measure(same, context)[:, 0].tolist() == [0, 0, 0]
    several = np.column_stack([np.repeat([0.1, 0.5, 0.3], 8), np.repeat([0, 8, 16], 8)])
    scored = Diversity().score(several, None)  # eight images of a prompt share their pairs
    assert (scored.low, scored.high) == pytest.approx(mean_interval(np.array([0.1, 0.5, 0.3])))


# --- against the full cache ----------------------------------------------------------------------


def test_psnr(context):
    full = batch()
    drawn = batch(full=full)
    found = Psnr().measure(drawn, context)
    for value, a, b in zip(found, drawn.images, full.images, strict=True):
        error = np.mean((a.astype(float) / 255 - b.astype(float) / 255) ** 2)
        assert value == pytest.approx(-10 * math.log10(error))
    assert Psnr().measure(batch(images=full.images, full=full), context).tolist() == [99] * 3


def test_ssim(context):
    full = batch(1, side=13)
    near = (full.images.astype(int) + RANDOM.integers(-20, 20, full.images.shape)).clip(0, 255)
    drawn = batch(1, side=13, full=full, images=near.astype(np.uint8))
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    found = []
    for y, x, c in product(range(3), range(3), range(3)):
        a, b = (z[0, y : y + 11, x : x + 11, c].astype(float) for z in (drawn.images, full.images))
        ma, mb = (window * a).sum(), (window * b).sum()
        va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
        cov = (window * (a - ma) * (b - mb)).sum()
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        top = (2 * ma * mb + c1) * (2 * cov + c2)
        found.append(top / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    assert Ssim().measure(drawn, context) == pytest.approx([np.mean(found)], abs=1e-9)
    same = batch(1, side=13, full=full, images=full.images)
    assert Ssim().measure(same, context) == pytest.approx([1])


def test_token_agreement(context):
    full = batch(2, tokens=np.array([[1, 2, 3, 4], [1, 1, 1, 1]]))
    drawn = batch(2, full=full, tokens=np.array([[1, 2, 0, 0], [1, 1, 1, 1]]))
    assert TokenAgreement().measure(drawn, context).tolist() == [0.5, 1.0]
    bits = batch(1, tokens=np.array([[[0, 1], [1, 1]]]))
    other = batch(1, full=bits, tokens=np.array([[[0, 1], [1, 0]]]))
    assert TokenAgreement().measure(other, context).tolist() == [0.75]


def test_judge_distance(context):
    full = batch(2, side=64)
    drawn = batch(2, side=64, full=full)
    network = context.network(JudgeDistance().uses)
    expected = np.zeros(2)
    layers = [network.layers(x) for x in (drawn.images, full.images)]
    for a, b in zip(*layers, strict=True):
        a, b = a.double().numpy(), b.double().numpy()
        for row in range(2):
            total = [np.sum((a[row, :, i, j] - b[row, :, i, j]) ** 2)
                     for i in range(a.shape[2]) for j in range(a.shape[3])]  # fmt: skip
            expected[row] += np.mean(total) / len(layers[0])
    assert JudgeDistance().measure(drawn, context) == pytest.approx(expected, rel=1e-5)
    assert JudgeDistance().measure(batch(2, 64, full, images=full.images), context).max() == 0


# --- texts, labels, features ----------------------------------------------------------------------


def test_clip_score_and_clip_i(context):
    full = batch(2, side=64)
    drawn = batch(2, side=64, full=full)
    network = context.network(ClipScore().uses)
    seen, read = network(drawn.images), network.texts(["a red apple 0", "a red apple 1"])
    expected = [100 * max(0, float(a @ b)) for a, b in zip(seen, read, strict=True)]
    assert ClipScore().measure(drawn, context) == pytest.approx(expected, abs=1e-4)
    pairs = zip(seen, network(full.images), strict=True)
    expected = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in pairs]
    assert ClipI().measure(drawn, context) == pytest.approx(expected, abs=1e-5)
    assert cosines(np.array([[2.0, 0]]), np.array([[3.0, 0]])) == pytest.approx([1])


def test_clip_score_as_published(context):
    """2.5 times the cosine, captions with the prefix; its name says so, others keep theirs."""
    drawn, usual, published = batch(2, side=64), ClipScore(), ClipScore(published=True)
    network = context.network(usual.uses)
    seen = network(drawn.images)
    read = network.texts(["A photo depicts a red apple 0", "A photo depicts a red apple 1"])
    expected = [2.5 * max(0, float(a @ b)) for a, b in zip(seen, read, strict=True)]
    assert published.measure(drawn, context) == pytest.approx(expected, abs=1e-6)
    assert "published=True" in published.identity(2, None)
    assert published.heading(2) == "CLIPScore (2.5 cos), Embedded CLIP"
    assert usual.identity(2, None) == f"clip-score@1 [{usual.uses.identity}] N=2"
    assert usual.heading(2) == "CLIP score (100 cos), Embedded CLIP"
    assert methods.dump(usual) == {"name": "clip-score", "extractor": "embedded-clip"}


def test_captions_that_say_the_opposite_score_nothing():
    class Opposite:
        def __call__(self, images):
            return np.ones((len(images), 3))

        def texts(self, texts):
            return -np.ones((len(texts), 3))

    context, drawn = Context("cpu", _networks={"embedded-clip": Opposite()}), batch(2)
    for look in (ClipScore().measure, StyleClipT().numbers, SubjectClipT().numbers):
        assert look(drawn, context).tolist() == [0, 0]


def test_accuracies(context):
    """On real pictures of the judge's own data, with right and with wrong labels."""
    from leaderboard.references.atlas import AtlasScenes

    (pixels,) = AtlasScenes(count=16).images()
    classes, styles = context.network(ClassAccuracy().uses).names(pixels)
    items = tuple(
        Item(i, {}, {"class": name if i % 2 else "nothing", "style": style})
        for i, (name, style) in enumerate(zip(classes, styles, strict=True))
    )
    drawn = batch(16, items=items, images=pixels)
    assert ClassAccuracy().measure(drawn, context).tolist() == [0.0, 1.0] * 8
    assert StyleAccuracy().measure(drawn, context).tolist() == [1.0] * 16


def test_codebook_use(context):
    metric = CodebookUse()
    four = metric.score(np.array([[0, 1], [2, 3]]), None)
    assert (four.value, four.details["distinct"]) == (pytest.approx(4), 4)
    assert metric.score(np.array([[5, 5], [5, 5]]), None).value == pytest.approx(1)
    bits = batch(1, tokens=np.array([[[1, 0, 1], [0, 1, 1]]]))
    assert metric.measure(bits, context).tolist() == [[5, 6]]
    wide = np.eye(64, dtype=np.int64)[None]
    assert metric.score(metric.measure(batch(1, tokens=wide), context), None).value == (
        pytest.approx(64)
    )
    with pytest.raises(VarSpacesError, match="up to 64 bits; these have 65"):
        metric.measure(batch(1, tokens=np.zeros((1, 2, 65), np.int64)), context)


# --- costs ----------------------------------------------------------------------


def test_costs(context):
    drawn = batch()
    assert KvPeak().measure(drawn, context).tolist() == [4.0] * 3
    assert KvHistory().measure(drawn, context).tolist() == [0.5] * 3
    one_scale = batch(1, cost=Cost(1.0, (8,), (8,)))
    assert KvHistory().measure(one_scale, context).tolist() == [0]
    assert Latency().measure(drawn, context).tolist() == [[pytest.approx(100), 3]] * 3
    times = np.stack([np.arange(101.0), np.ones(101)], 1)
    latency = Latency().score(np.concatenate([times, [[999, 8]]]), None)
    assert (latency.value, latency.details) == (50, {"batch": 1, "p5": 5, "p95": 95})
    sizes = [batch(4, cost=Cost(2.0, (1, 1), (1, 1))), batch(1, cost=Cost(9.0, (1, 1), (1, 1)))]
    seen = np.concatenate([Throughput().measure(b, context) for b in sizes])
    assert Throughput().score(seen, None).value == pytest.approx(2)
    memory = PeakMemory().score(PeakMemory().measure(drawn, context), None)
    assert memory.value == pytest.approx(3)
    assert PeakMemory().score(np.zeros(3), None) is None


# --- intervals ----------------------------------------------------------------------


def test_intervals_cover():
    values = RANDOM.normal(3, 2, size=400)
    low, high = mean_interval(values)
    assert low < values.mean() < high
    assert (high - low) / 2 == pytest.approx(1.96 * 2 / 20, rel=0.2)
    assert mean_interval(values) == (low, high)
    means = resampled_means(values)
    assert ((low <= means) & (means <= high)).mean() == pytest.approx(0.95, abs=0.003)
    assert len(resampled_means(values, 37)) == 37
    two = iter((1.0, 3.0))  # their deviation is the root of 2
    assert spread_interval(5, lambda _: next(two), 9, 2) == pytest.approx(
        (2.2281, 7.7719), abs=1e-3
    )
    low, high = spread_interval(values.mean(), lambda i: values[i].mean(), 400, 200)
    assert (high - low) / 2 == pytest.approx(1.96 * 2 / 20, rel=0.25)


def test_groups_are_resampled_each_for_itself():
    values = RANDOM.normal(3, 2, size=400)
    low, high = grouped_interval([values] * 16)  # the same draws for all would not narrow it
    assert (high - low) / 2 == pytest.approx(1.96 * 2 / 20 / 4, rel=0.2)
    assert low < values.mean() < high
    assert grouped_interval([values]) == mean_interval(values)
    low, high = grouped_interval([np.zeros(10), np.full(3, 8.0)])  # each counts the same
    assert low == high == 4


# --- identities ----------------------------------------------------------------------


def test_identities_hold_what_makes_numbers_comparable():
    from leaderboard.references.atlas import AtlasScenes

    metric, reference = Frechet(), AtlasScenes(count=100)
    text = metric.identity(320, reference)
    assert text.startswith("frechet@1 [judge 64 area ")
    assert metric.uses.weights_sha256()[:8] in text
    assert text.endswith("M=100) N=320")
    assert metric.heading(320) == "Frechet distance (judge) N=320"
    others = [
        metric.identity(321, reference),
        metric.identity(320, AtlasScenes(count=101)),
        Frechet(extractor="embedded-clip").identity(320, reference),
    ]
    assert len({text, *others}) == 4


@pytest.mark.parametrize("name", methods.names("metric"))
def test_every_metric_says_what_it_is(name):
    cls = methods.get("metric", name)
    assert cls.better in ("higher", "lower")
    assert cls.version >= 1
    assert cls.__doc__


def test_what_is_not_here_is_named_with_the_way_to_get_it(monkeypatch, tmp_path):

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("VAR_SPACES_DATA", str(tmp_path))
    for name in methods.names("extractor"):
        extractor = methods.get("extractor", name)()
        if name in ("judge", "embedded-clip", "scene-parser", "style-read-out"):
            assert extractor.identity.startswith(name)
            continue
        with pytest.raises(VarSpacesError, match=r"hf download|download it from|pip install"):
            extractor.weights_sha256()
