"""Distances between sets of features equal formulas that are written in another way with NumPy."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from leaderboard.metrics import frechet as frechet_module
from leaderboard.metrics import mind
from leaderboard.metrics.cmmd import Cmmd
from leaderboard.metrics.frechet import Frechet, frechet, unbiased
from leaderboard.metrics.inception_score import InceptionScore
from leaderboard.metrics.kid import Kid, contributions
from leaderboard.metrics.mind import Mind
from leaderboard.references.base import RealFeatures
from leaderboard.references.features import statistics
from tests.leaderboard.measured import real

RANDOM = np.random.default_rng(0)


def reference_frechet(a: np.ndarray, b: np.ndarray) -> float:
    """The formula of the paper: tr (S1 S2)^(1/2) from the eigenvalues of the product itself."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    centred = [x - x.mean(0) for x in (a, b)]
    s1, s2 = (x.T @ x / (len(x) - 1) for x in centred)
    root = np.sqrt(np.linalg.eigvals(s1 @ s2).real.clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s1 + s2) - 2 * root)


@pytest.mark.parametrize(("n", "m", "d"), [(40, 60, 5), (400, 500, 32), (20, 30, 24)])
def test_frechet(n, m, d):
    mix = RANDOM.normal(size=(d, d))
    a = (RANDOM.normal(size=(n, d)) @ mix).astype(np.float32)
    b = (RANDOM.normal(size=(m, d)) @ mix + 0.3).astype(np.float32)
    found = Frechet().score(a, real(b))
    assert found.value == pytest.approx(reference_frechet(a, b), rel=1e-3, abs=1e-3)
    assert found.low < found.value < found.high


def test_frechet_of_the_same_features_is_zero():
    a = RANDOM.normal(size=(50, 6))
    assert frechet(*statistics(a), *statistics(a)) == pytest.approx(0, abs=1e-9)


def test_bias_of_small_n_is_about_what_theory_says():
    """Identical unit Gaussians: the distance is all bias, about d^2 / 2N for the drawn side."""
    d, n = 16, 400
    mean, covariance = np.zeros(d), np.eye(d)
    known = RealFeatures(np.empty((0, d)), mean, covariance)
    found = [Frechet().score(RANDOM.normal(size=(n, d)), known) for _ in range(4)]
    value = np.mean([f.value for f in found])
    expected = d / n + d * (d + 1) / (4 * n)  # of the means, and of the covariances to 2nd order
    assert value == pytest.approx(expected, rel=0.3)
    assert np.mean([f.details["bias"] for f in found]) == pytest.approx(value, rel=0.6)


def test_bias_is_read_off_a_line_over_sets_of_half_the_images_and_more():
    sizes = []

    def distance(index):
        sizes.append(len(set(index.tolist())))
        return 3 + 7 / len(index)

    assert unbiased(distance, 100) == pytest.approx(3)
    assert (sizes[0], sizes[-1]) == (50, 100) and sizes == sorted(sizes)


def test_the_interval_of_kid_knows_that_subsets_were_chosen():
    """Two small ones of many images say little."""
    random = np.random.default_rng(3)
    x, y = random.normal(size=(400, 4)), random.normal(size=(400, 4)) + 0.4
    few, many = (Kid(subsets=n, subset_size=10).score(x, real(y)) for n in (2, 200))
    assert few.high - few.low > 2 * (many.high - many.low)


def test_kid():
    x, y = RANDOM.normal(size=(7, 4)), RANDOM.normal(size=(7, 4)) + 0.5
    total = 0.0
    for i, j in product(range(7), range(7)):
        if i != j:
            total += ((x[i] @ x[j]) / 4 + 1) ** 3 / 42 + ((y[i] @ y[j]) / 4 + 1) ** 3 / 42
        total -= 2 * ((x[i] @ y[j]) / 4 + 1) ** 3 / 49
    assert sum(part.mean() for part in contributions(x, y)) == pytest.approx(total)
    score = Kid(subsets=10, subset_size=1000).score(x, real(y))  # subsets are the whole sets
    assert score.value == pytest.approx(1000 * total)
    same = Kid(subsets=50, subset_size=40).score(
        RANDOM.normal(size=(200, 4)), real(RANDOM.normal(size=(200, 4)))
    )
    assert same.low < same.value < same.high
    assert abs(same.value) < 200  # unbiased: about 0 even for small subsets


@pytest.mark.parametrize(("drawn", "known", "size"), [(100, 300, 50), (80, 80, 80)])
def test_the_interval_of_kid_holds_what_it_should(drawn, known, size):
    """19 times in 20, whichever images were drawn; subsets that overlap do not narrow it."""
    random = np.random.default_rng(5)

    def sets(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
        return random.normal(size=(n, 4)), random.normal(size=(m, 4)) + 0.4

    true = [sum(part.mean() for part in contributions(*sets(1500, 1500))) for _ in range(4)]
    scores = [
        Kid(subsets=10, subset_size=size).score(x, real(y))
        for x, y in (sets(drawn, known) for _ in range(60))
    ]
    assert sum(s.low <= 1000 * np.mean(true) <= s.high for s in scores) >= 52
    width = np.mean([s.high - s.low for s in scores])
    assert width < 1.5 * 2 * 1.96 * np.std([s.value for s in scores])  # and no more than that


def test_mind():
    """Against the definition: the best way to move mass along a line, by merging both sets."""

    def moved(a: np.ndarray, b: np.ndarray) -> float:
        a, b = np.sort(a), np.sort(b)
        n, m = len(a), len(b)
        many = np.repeat(a, m) - np.repeat(b, n)  # n m equal pieces of mass, in order
        return float((many**2).mean())

    x, y = RANDOM.normal(size=(7, 4)), RANDOM.normal(size=(5, 4)) + 0.5
    metric = Mind(directions=300)
    vectors = np.concatenate(list(metric._vectors(4)))
    assert vectors.shape == (300, 4)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(300))
    for other in (y, RANDOM.normal(size=(7, 4))):
        expected = np.mean([moved(x @ v, other @ v) for v in vectors])
        found = metric.score(x, real(other))
        assert found.value == pytest.approx(expected)
        assert found.low < found.value < found.high
    # A shift along one axis of four costs a quarter of its square on average.
    far = Mind(directions=4096).score(x + np.array([10, 0, 0, 0]), real(x))
    assert far.value == pytest.approx(25, rel=0.1)
    assert "directions=1024 seed=2605" in Mind().identity(9, None)


def test_an_interval_that_takes_too_long_is_left_out(monkeypatch):
    x, known = RANDOM.normal(size=(7, 4)), real(RANDOM.normal(size=(5, 4)))
    for module, metric in ((mind, Mind(directions=3)), (frechet_module, Frechet())):
        whole = metric.score(x, known)
        monkeypatch.setattr(module, "MAX_WORK", 1)
        found = metric.score(x, known)
        assert (found.value, found.low, found.high) == (whole.value, None, None)
        assert whole.low < whole.high


def test_cmmd():
    x, y = RANDOM.normal(size=(6, 5)), RANDOM.normal(size=(8, 5)) + 1

    def k(a, b):
        a, b = a / math.sqrt(sum(a**2)), b / math.sqrt(sum(b**2))
        return math.exp(-sum((a - b) ** 2) / 200)

    def mean(p, q):
        return sum(k(a, b) for a in p for b in q) / (len(p) * len(q))

    expected = 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
    assert Cmmd().score(x, real(y)).value == pytest.approx(expected, rel=1e-9)


def test_inception_score():
    logits = RANDOM.normal(size=(20, 6)) * 3
    found = []
    for part in (logits[:10], logits[10:]):
        p = np.exp(part) / np.exp(part).sum(1, keepdims=True)
        kl = [sum(row * np.log(row / p.mean(0))) for row in p]
        found.append(math.exp(sum(kl) / len(kl)))
    score = InceptionScore(splits=2).score(logits, None)
    assert score.value == pytest.approx(sum(found) / 2)
    assert InceptionScore(splits=1).score(np.zeros((5, 4)), None).value == pytest.approx(1)
    sure = InceptionScore(splits=1).score(1000 * np.eye(4), None)
    assert sure.value == pytest.approx(4)
    assert InceptionScore(splits=10).score(1000 * np.eye(4), None).value == pytest.approx(1)
    sorted_ = 1000 * np.eye(4).repeat(25, axis=0)  # by class: every split holds one
    assert InceptionScore(splits=4).score(sorted_, None).value == pytest.approx(1)
    assert InceptionScore(splits=4, shuffle=True).score(sorted_, None).value > 3
