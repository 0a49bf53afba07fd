"""Every metric equals an independent formula, written in another way with NumPy."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from leaderboard.item import Item
from leaderboard.metrics.base import Batch, Context, Cost
from leaderboard.metrics.bootstrap import mean_interval, resampled_means, spread_interval
from leaderboard.metrics.clip_score import ClipScore, cosines
from leaderboard.metrics.cmmd import Cmmd
from leaderboard.metrics.codebook_use import CodebookUse
from leaderboard.metrics.density_coverage import Coverage, Density
from leaderboard.metrics.distribution import Distribution
from leaderboard.metrics.diversity import Diversity
from leaderboard.metrics.frechet import Frechet, frechet
from leaderboard.metrics.image_similarity import ClipI
from leaderboard.metrics.inception_score import InceptionScore
from leaderboard.metrics.judged import ClassAccuracy, StyleAccuracy
from leaderboard.metrics.kid import Kid, contributions
from leaderboard.metrics.kv_bytes import KvHistory, KvPeak
from leaderboard.metrics.latency import Latency
from leaderboard.metrics.lpips import JudgeDistance
from leaderboard.metrics.machine import PeakMemory, Throughput
from leaderboard.metrics.mind import Mind
from leaderboard.metrics.precision_recall import Precision, Recall
from leaderboard.metrics.psnr import Psnr
from leaderboard.metrics.ssim import Ssim
from leaderboard.metrics.token_agreement import TokenAgreement
from leaderboard.references.base import RealFeatures
from leaderboard.references.features import statistics
from var_spaces import methods
from var_spaces.errors import VarSpacesError

RANDOM = np.random.default_rng(0)


def real(features: np.ndarray) -> RealFeatures:
    return RealFeatures(features, *statistics(features))


def images(count: int = 3, side: int = 16) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def batch(count: int = 3, side: int = 16, full: Batch | None = None, **changes) -> Batch:
    items = tuple(Item(i, {}, {"caption": f"a red apple {i}"}) for i in range(count))
    fields = {
        "items": items,
        "images": images(count, side),
        "tokens": RANDOM.integers(0, 4, (count, 21)),
        "cost": Cost(0.3, (1024, 4096, 2048), (1024, 8192, 9000), 3 * 2**20),
        "full": full,
    }
    return Batch(**{**fields, **changes})


CPU = "cpu"


@pytest.fixture(scope="module")
def context():
    import torch

    return Context(device=torch.device(CPU))


# --- distributions ----------------------------------------------------------------------


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


def test_diversity(context):
    drawn = batch(3, side=64)
    network = context.network(Diversity().uses)
    pairs = {(i, j): network.distance(drawn.images[[i]], drawn.images[[j]])[0]
             for i, j in ((0, 1), (0, 2), (1, 2))}  # fmt: skip
    found = Diversity().measure(drawn, context)
    assert found[0] == pytest.approx((pairs[0, 1] + pairs[0, 2]) / 2, rel=1e-4)
    assert found.mean() == pytest.approx(np.mean(list(pairs.values())), rel=1e-4)
    same = batch(3, side=64, images=drawn.images[[0, 0, 0]])
    assert Diversity().measure(same, context).tolist() == [0, 0, 0]


def test_cmmd():
    x, y = RANDOM.normal(size=(6, 5)), RANDOM.normal(size=(8, 5)) + 1

    def k(a, b):
        a, b = a / math.sqrt(sum(a**2)), b / math.sqrt(sum(b**2))
        return math.exp(-sum((a - b) ** 2) / 200)

    def mean(p, q):
        return sum(k(a, b) for a in p for b in q) / (len(p) * len(q))

    expected = 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
    assert Cmmd().score(x, real(y)).value == pytest.approx(expected, rel=1e-9)


def test_precision_and_recall():
    drawn, known = RANDOM.normal(size=(30, 3)), RANDOM.normal(size=(25, 3)) * 2

    def share(points, of, k):
        found = 0
        for point in points:
            for centre in of:
                to_others = sorted(np.linalg.norm(of - centre, axis=1))
                if np.linalg.norm(point - centre) <= to_others[k]:
                    found += 1
                    break
        return found / len(points)

    for k in (1, 3):
        precision = Precision(k=k).score(drawn, real(known)).value
        recall = Recall(k=k).score(drawn, real(known)).value
        assert precision == pytest.approx(share(drawn, known, k))
        assert recall == pytest.approx(share(known, drawn, k))


def test_density_and_coverage():
    drawn, known = RANDOM.normal(size=(30, 3)), RANDOM.normal(size=(25, 3)) * 2

    def balls(k):
        """For every real point, which drawn points are no further than its k-th neighbour."""
        for centre in known:
            to_others = sorted(np.linalg.norm(known - centre, axis=1))
            yield [np.linalg.norm(point - centre) <= to_others[k] for point in drawn]

    for k in (1, 5):
        held = np.array(list(balls(k)))
        density = Density(k=k).score(drawn, real(known))
        coverage = Coverage(k=k).score(drawn, real(known))
        assert density.value == pytest.approx(held.sum() / (k * 30))
        assert coverage.value == pytest.approx(held.any(axis=1).mean())
        assert density.low <= density.value <= density.high
        assert coverage.low <= coverage.value <= coverage.high
    assert Density().k == Coverage().k == 5  # as published


def test_density_and_coverage_of_equal_sets_are_what_theory_says():
    """Expected values of the paper: 1, and one minus the chance that the k nearest of all others
    are real."""
    n, k = 400, 5
    random = np.random.default_rng(7)
    pairs = [(random.normal(size=(n, 4)), random.normal(size=(n, 4))) for _ in range(5)]
    density = np.mean([Density(k=k).score(x, real(y)).value for x, y in pairs])
    coverage = np.mean([Coverage(k=k).score(x, real(y)).value for x, y in pairs])
    missed = math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    assert density == pytest.approx(1, abs=0.05)
    assert coverage == pytest.approx(1 - missed, abs=0.01)


def test_a_far_real_point_does_not_upset_density():
    drawn, known = RANDOM.normal(size=(50, 3)) + 8, RANDOM.normal(size=(50, 3))
    known[0] = 200  # its ball holds everything
    assert Precision().score(drawn, real(known)).value == 1
    assert Density().score(drawn, real(known)).value <= 1 / 5 + 0.05


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


DISTRIBUTIONS = (
    Frechet(), Kid(subset_size=5), Mind(directions=8), Cmmd(), Precision(), Recall(), Density(),
    Coverage(), InceptionScore(),
)  # fmt: skip


def test_every_metric_of_distributions_is_among_those():
    kinds = (methods.get("metric", name) for name in methods.names("metric"))
    assert {kind for kind in kinds if issubclass(kind, Distribution)} == set(
        map(type, DISTRIBUTIONS)
    )


@pytest.mark.parametrize("metric", DISTRIBUTIONS, ids=lambda metric: metric.name)
def test_one_image_is_no_distribution(metric):
    """Two of either side have a number, however poor; one or none is refused in words."""
    many = RANDOM.normal(size=(6, 3))
    assert math.isfinite(metric.score(many[:2], real(many[2:4])).value)
    for few in (0, 1):
        with pytest.raises(VarSpacesError, match=f"at least 2 drawn images, but got {few}"):
            metric.score(many[:few], real(many))
        with pytest.raises(VarSpacesError, match="at least 2 drawn"):
            metric.check(few)
        if metric.needs_reference:
            with pytest.raises(VarSpacesError, match=f"images, but got {few}"):
                metric.score(many, real(many[:few]))
            if metric.by_points:
                known = RealFeatures(many[:few], *statistics(many))
                with pytest.raises(VarSpacesError, match=f"at least 2 real images, but got {few}"):
                    metric.score(many, known)
    metric.check(2)


def test_one_image_has_no_diversity(context):
    with pytest.raises(VarSpacesError, match="image 0 is alone"):
        Diversity().measure(batch(1, side=64), context)


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
    assert (latency.value, latency.details["p95"], latency.details["batch"]) == (50, 95, 1)
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
    assert len(resampled_means(values, 37)) == 37
    low, high = spread_interval(values.mean(), lambda i: values[i].mean(), 400, 200)
    assert (high - low) / 2 == pytest.approx(1.96 * 2 / 20, rel=0.25)


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
