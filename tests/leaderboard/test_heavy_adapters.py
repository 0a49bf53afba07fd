"""Published networks end to end, as tiny random ones: from the files to the number of a metric."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from leaderboard.extractors import dino
from leaderboard.extractors.base import get_extractor
from leaderboard.extractors.squash import squashed
from leaderboard.metrics.base import Context
from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.cmmd import Cmmd
from leaderboard.metrics.diversity import Diversity
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.hps import Hps
from leaderboard.metrics.image_similarity import DinoI
from leaderboard.metrics.inception_score import InceptionScore
from leaderboard.metrics.kid import Kid
from leaderboard.metrics.lpips import Lpips
from leaderboard.metrics.mind import Mind
from leaderboard.references.adm import FILES, AdmReference
from leaderboard.suites.base import get_suite
from tests.leaderboard.measured import real
from tests.leaderboard.published import batch, pictures
from var_spaces.errors import VarSpacesError

CPU = torch.device("cpu")


@pytest.fixture
def context() -> Context:
    return Context(device=CPU)


def test_inception(networks, context):
    networks.inception()
    drawn = batch([{}] * 4)
    features = Kid(extractor="inception").measure(drawn, context)
    assert features.shape == (4, 2048) and np.isfinite(features).all() and features.std() > 0
    alone = Kid(extractor="inception").measure(batch([{}], drawn.images[2:3]), context)
    assert alone[0] == pytest.approx(features[2], rel=1e-4, abs=1e-5)
    logits = InceptionScore(splits=1).measure(drawn, context)
    head = context.network(get_extractor("inception-logits")).model.fc.weight.detach().numpy()
    assert logits == pytest.approx(features @ head.T, rel=1e-3, abs=1e-4)
    assert 1 <= InceptionScore(splits=1).score(logits, None).value <= 4
    same = Mind(extractor="inception", directions=16)
    assert same.score(features, real(features)).value == pytest.approx(0, abs=1e-12)
    assert "[inception 299 tf1-bilinear " in same.identity(4, None)


def test_spatial_inception(networks, context):
    """Channels 0..6 of the first branch of the seventh block, channels last, as a flat row."""
    networks.inception()
    drawn = batch([{}] * 3)
    metric = Frechet(extractor="inception-spatial")
    found = metric.measure(drawn, context)
    assert found.shape == (3, metric.uses.dim) == (3, 2023)
    assert found.min() == 0 < found.max()  # behind the rectifier
    model = context.network(get_extractor("inception")).model
    blocks = [name for name, _ in model.named_children() if name.startswith("Mixed")]
    seventh = getattr(model, blocks[6])  # they are mixed, mixed_1, ... in the original graph
    inputs = []
    seventh.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    Frechet(extractor="inception").measure(drawn, context)
    with torch.no_grad():
        grid = seventh.branch1x1(inputs[0])
    assert grid.shape[2:] == (17, 17)
    rows = found.reshape(3, 17, 17, 7)
    assert rows[2, 4, 9] == pytest.approx(grid[2, :7, 4, 9].numpy(), rel=1e-3, abs=1e-5)
    assert rows[0, 16, 0] == pytest.approx(grid[0, :7, 16, 0].numpy(), rel=1e-3, abs=1e-5)
    assert metric.heading(50_000) == "sFID N=50000"

    reference = AdmReference()
    stored = {"mu": 1, "sigma": 2, "mu_s": 3, "sigma_s": 4}
    np.savez(networks.data / FILES[256], **{k: np.float32([v]) for k, v in stored.items()})
    for name, expected in (("inception", [1, 2]), ("inception-spatial", [3, 4])):
        assert np.ravel(reference.statistics(get_extractor(name))).tolist() == expected
    assert reference.statistics(get_extractor("dinov2-vit-l-14")) is None


@pytest.mark.parametrize("cls", ["DinoVitS16", "DinoV2VitL14"])
def test_dino(networks, context, monkeypatch, cls):
    kind = getattr(dino, cls)
    monkeypatch.setattr(kind, "architecture", "test_vit")
    networks.dino("timm/test_vit", "test_vit")
    full = batch([{}] * 6)
    drawn = batch([{}] * 6, images=full.images[::-1].copy(), full=full)
    metric = Frechet(extractor=kind.name)
    features = metric.measure(drawn, context)
    model = context.network(metric.uses).model
    pixels = torch.from_numpy(squashed(drawn.images, 224)).permute(0, 3, 1, 2) / 255
    mean, deviation = torch.tensor(dino.MEAN), torch.tensor(dino.DEVIATION)
    with torch.no_grad():
        tokens = model.forward_features((pixels - mean[:, None, None]) / deviation[:, None, None])
    assert features == pytest.approx(tokens[:, 0].numpy(), rel=1e-4, abs=1e-5)
    assert metric.score(features, real(features)).value == pytest.approx(0, abs=1e-6)
    assert metric.score(features, real(features + 1)).value == pytest.approx(64, rel=1e-3)
    found = DinoI(extractor=kind.name).measure(drawn, context)
    expected = [a @ b / np.linalg.norm(a) / np.linalg.norm(b)
                for a, b in zip(features, features[::-1], strict=True)]  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("clips")
def test_open_clip(context):
    drawn = batch([{"caption": "a dog"}, {"caption": "two red cats"}])
    metric = ClipScore(extractor="clip-vit-b-32")
    network = context.network(metric.uses)
    with torch.no_grad():
        import open_clip
        from PIL import Image

        pixels = torch.stack([network.preprocess(Image.fromarray(i)) for i in drawn.images])
        words = open_clip.get_tokenizer("tiny-clip")(["a dog", "two red cats"])
        images, texts = network.model(pixels, words)[:2]
        expected = 100 * torch.cosine_similarity(images, texts).clamp(0)
    assert metric.measure(drawn, context) == pytest.approx(expected.numpy(), abs=1e-3)
    features = Cmmd(extractor="clip-vit-l-14-336").measure(drawn, context)
    assert Cmmd().score(features, real(features)).value == pytest.approx(0, abs=1e-9)
    names = ("clip-vit-b-32", "clip-vit-l-14", "clip-vit-l-14-336", "hps-v2-1")
    assert len({get_extractor(name).identity for name in names}) == 4  # weights are in it


@pytest.mark.usefixtures("clips")
def test_a_squashed_picture_is_not_cropped(context):
    """A wide picture at 256 px, as a whole; its text is read as ever."""
    from PIL import Image

    plain, usual = (get_extractor(f"clip-vit-b-32{tail}") for tail in ("-plain", ""))
    wide = np.random.default_rng(4).integers(0, 256, (60, 200, 3), np.uint8)
    whole = np.asarray(Image.fromarray(wide).resize((256, 256), Image.Resampling.BICUBIC))
    found = context.network(plain)(wide[None])
    assert found == pytest.approx(context.network(usual)(whole[None]), abs=1e-6)
    assert not np.allclose(found, context.network(usual)(wide[None]), atol=1e-3)
    texts = [context.network(one).texts(["a dog"]) for one in (plain, usual)]
    assert np.array_equal(*texts)
    assert "256 bicubic antialias squashed" in plain.identity


@pytest.mark.usefixtures("clips")
def test_hps(context, networks):
    for style in Hps.groups:
        path = networks.data / "hps" / f"{style}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([f"a {style} of a dog", f"a {style} of a cat"]))
    suite = get_suite("hps")
    items = suite.items()
    assert [item.inputs["prompt"] for item in items[:3]] == [
        "a anime of a dog", "a anime of a cat", "a concept-art of a dog",
    ]  # fmt: skip
    drawn = batch([dict(item.facts) for item in items])
    values = Hps().measure(drawn, context)
    network = context.network(Hps().uses)
    texts = network.texts([item.inputs["prompt"] for item in items])
    cosines = (network(drawn.images) * texts).sum(1)  # both have unit length
    assert values[:, 0] == pytest.approx(100 * cosines, abs=1e-4)
    score = Hps().score(values, None)
    assert score.value == pytest.approx(100 * cosines.mean(), abs=1e-4)
    assert score.details["photo"] == pytest.approx(100 * cosines[-2:].mean(), abs=1e-4)
    path.write_text('{"no": "list"}')
    with pytest.raises(VarSpacesError, match="no list of prompts"):
        suite.items()


def test_lpips(networks, context):
    networks.alexnet()
    full = batch([{}] * 2)
    drawn = batch([{}] * 2, images=full.images[::-1].copy(), full=full)
    found = Lpips().measure(drawn, context)
    assert Lpips().measure(batch([{}] * 2, full.images, full), context).tolist() == [0, 0]

    import torchmetrics.functional.image as package
    from torchvision.models import alexnet

    layers = alexnet()
    file = networks.data / "torch/hub/checkpoints/alexnet-owt-7be5be79.pth"
    layers.load_state_dict(torch.load(file, weights_only=True))
    lines = torch.load(
        Path(package.__file__).parent / "lpips_models/alex.pth", CPU, weights_only=True
    )
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])

    def look(images: np.ndarray) -> list[torch.Tensor]:
        x = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
        x, seen = (x - shift[:, None, None]) / scale[:, None, None], []
        for number, layer in enumerate(layers.features):
            x = layer(x)
            if number in (1, 4, 7, 9, 11):
                seen.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-8))
        return seen

    with torch.no_grad():
        expected = 0
        for k, (a, b) in enumerate(zip(look(drawn.images), look(full.images), strict=True)):
            weight = lines[f"lin{k}.model.1.weight"][0]
            expected = expected + (weight * (a - b) ** 2).sum(1).mean((1, 2))
    assert found == pytest.approx(expected.numpy(), rel=1e-3)
    spread = Diversity(extractor="lpips-alex").measure(full, context)[:, 0]
    assert spread == pytest.approx([found[0]] * 2, rel=1e-5)


def test_lpips_of_squashed_images(networks, context):
    networks.alexnet()
    wide, high = pictures(2, 64)[:, :40], pictures(2, 256)
    usual, small = (context.network(get_extractor(f"lpips-alex{t}")) for t in ("", "-256"))
    whole = squashed(wide, 256)
    assert whole.shape == (2, 256, 256, 3)
    found = small.distance(wide, high)
    assert found == pytest.approx(usual.distance(whole, high), rel=1e-4)
    assert small.distance(high, high[::-1].copy()) == pytest.approx(
        usual.distance(high, high[::-1].copy()), rel=1e-4
    )
    assert "256 bicubic antialias" in get_extractor("lpips-alex-256").identity
