"""Published networks end to end, as tiny random ones: from the files to the number of a metric."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from leaderboard import published_edits
from leaderboard.entry import Entry
from leaderboard.extractors import csd, dino, imgedit_judge, mask2former, open_clip_models
from leaderboard.extractors.base import get_extractor
from leaderboard.extractors.blip_vqa import REPOSITORY as BLIP
from leaderboard.extractors.qwen3_vl import REPOSITORY as QWEN
from leaderboard.extractors.squash import squashed
from leaderboard.item import Item
from leaderboard.learned import learn
from leaderboard.metrics import imgedit as imgedit_metric
from leaderboard.metrics.base import Batch, Context, Cost
from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.cmmd import Cmmd
from leaderboard.metrics.diversity import Diversity
from leaderboard.metrics.dpg import Dpg
from leaderboard.metrics.frechet import Frechet
from leaderboard.metrics.geneval import GenEval
from leaderboard.metrics.hps import Hps
from leaderboard.metrics.image_similarity import DinoI
from leaderboard.metrics.imgedit import ImgEditScore
from leaderboard.metrics.inception_score import InceptionScore
from leaderboard.metrics.kid import Kid
from leaderboard.metrics.lpips import Lpips
from leaderboard.metrics.mind import Mind
from leaderboard.metrics.soft_tifa import SoftTifaAm, SoftTifaGm, spellings
from leaderboard.references.adm import FILES, AdmReference
from leaderboard.references.base import RealFeatures
from leaderboard.references.features import statistics
from leaderboard.runner.job import Job
from leaderboard.runner.run import run
from leaderboard.styles import csd_100
from leaderboard.suites.base import get_suite
from tests.infinity import write_models
from tests.leaderboard.networks import Networks, tiny_clip
from tests.leaderboard.test_styles import write_csd_100
from var_spaces.errors import VarSpacesError
from var_spaces.training.styles.settings import StyleSettings
from var_spaces.zoo.residency import Residency

CPU = torch.device("cpu")


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
def context() -> Context:
    return Context(device=CPU)


def pictures(count: int = 4, side: int = 64) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3), np.uint8)


def batch(facts: list[dict], images: np.ndarray | None = None, full: Batch | None = None) -> Batch:
    images = pictures(len(facts)) if images is None else images
    items = tuple(Item(i, {}, fact) for i, fact in enumerate(facts))
    return Batch(items, images, np.zeros((len(facts), 1), np.int64), Cost(1.0, (1,), (1,)), full)


def real(features: np.ndarray) -> RealFeatures:
    return RealFeatures(features, *statistics(features))


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
        assert np.array_equal(values[:, 1], np.isin(groups, metric.groups)), metric.name
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
    spread = Diversity(extractor="lpips-alex").measure(full, context)
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


@pytest.mark.usefixtures("clips")
def test_mask2former(networks, context, monkeypatch):
    networks.mask2former(mask2former.REPOSITORY, seen=16)
    dog = {"class": "dog", "count": 1}
    prompts = [
        {"tag": "single_object", "include": [dog]},
        {"tag": "single_object", "include": [{"class": "cat", "count": 1}]},
        {"tag": "counting", "include": [{"class": "dog", "count": 3}], "exclude": []},
        {"tag": "colors", "include": [{**dog, "color": "no colour"}]},
    ]
    drawn = batch([{"group": p["tag"], "metadata": p} for p in prompts])
    network = context.network(GenEval().uses)
    seen = network.detect(drawn.images[3], prompts[3])
    assert {one.name for one in seen} <= {"dog"} and seen
    assert all(one.colour in mask2former.COLOURS for one in seen)
    left, top, right, bottom = seen[0].box
    assert 0 <= left <= right <= 63 and 0 <= top <= bottom <= 63
    with monkeypatch.context() as patch:
        patch.setattr(mask2former, "LEAST", 1.1)
        assert network.detect(drawn.images[0], prompts[0]) == []  # nothing is sure enough
    values = GenEval().measure(drawn, context)
    assert values[:, 0].tolist()[:2] == [1, 0] and values[3, 0] == 0
    score = GenEval().score(values, None)
    assert score.details["single_object"] == 0.5 and score.details["colors"] == 0


@pytest.mark.parametrize(("says", "points"), [("yes", 100), ("no", 0)])
def test_blip(networks, context, says, points):
    networks.blip(BLIP, says)
    asked = [{"id": "1", "text": "is there a dog?", "parents": []},
             {"id": "2", "text": "is there a cat in the image?", "parents": ["1"]}]  # fmt: skip
    values = Dpg().measure(batch([{"questions": asked}] * 2), context)
    assert values.tolist() == [points, points]


GENEVAL_2 = {
    "prompt": "two dogs",
    "atom_count": 2,
    "vqa_list": [["How many dog in the image?", "two"], ["Is there a dog?", "Yes"]],
    "skills": ["count", "object"],
}


@pytest.fixture
def geneval_2(networks) -> Path:
    path = networks.data / "geneval2" / "geneval2_data.jsonl"
    path.parent.mkdir(parents=True)
    other = {**GENEVAL_2, "prompt": "a cat", "atom_count": 1, "skills": ["count", "unheard of"]}
    path.write_text("\n".join(map(json.dumps, (GENEVAL_2, other))) + "\n")
    return path


def test_soft_tifa(networks, context, geneval_2):
    """Its probabilities are those that generation itself begins with."""
    networks.qwen3_vl(QWEN)
    items = get_suite("geneval-2").items()
    drawn = batch([dict(item.facts) for item in items])
    network = context.network(SoftTifaGm().uses)

    def begins(image: np.ndarray, question: str, words: tuple[str, ...]) -> float:
        from PIL import Image

        content = [{"type": "image", "image": Image.fromarray(image)},
                   {"type": "text", "text": f"{question} Answer in one word."}]  # fmt: skip
        inputs = network.process.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True,
            return_dict=True, return_tensors="pt",
        )  # fmt: skip
        done = network.model.generate(
            **inputs, max_new_tokens=1, do_sample=False, output_scores=True,
            return_dict_in_generate=True,
        )  # fmt: skip
        ids = network.process.tokenizer.convert_tokens_to_ids(list(words))
        return done.scores[0][0].float().softmax(0)[ids].sum().item()

    expected = [
        [
            begins(image, "How many dog in the image?", ("two", "Two", "2")),
            begins(image, "Is there a dog?", ("yes", "Yes")),
        ]
        for image in drawn.images
    ]
    assert expected[0] != expected[1]  # it looks at the image
    gm, am = (kind().measure(drawn, context) for kind in (SoftTifaGm, SoftTifaAm))
    assert gm[:, 0] == pytest.approx([100 * (a * b) ** 0.5 for a, b in expected], rel=1e-4)
    assert am[:, 0] == pytest.approx([50 * (a + b) for a, b in expected], rel=1e-4)
    by_prompt, by_part = SoftTifaGm().score(gm, None), SoftTifaAm().score(am, None)
    assert by_prompt.details == {"1 parts": pytest.approx(gm[1, 0]), "2 parts": gm[0, 0]}
    assert by_part.details == {
        "count": pytest.approx(50 * (expected[0][0] + expected[1][0]), rel=1e-4),
        "object": pytest.approx(100 * expected[0][1], rel=1e-4),
        "other": pytest.approx(100 * expected[1][1], rel=1e-4),
    }
    assert by_part.value == pytest.approx(am[:, 0].mean())


def test_imgedit_judge(networks, context, monkeypatch):
    """Source and edit reach it in this order, after the instruction, at the size it was taught."""
    monkeypatch.setattr(imgedit_metric, "LONGEST", 3)
    kinds = published_edits.IMGEDIT_KINDS
    place = networks.data / published_edits.IMGEDIT
    place.mkdir(parents=True)
    (place / "judge_prompt.json").write_text(json.dumps(dict.fromkeys(kinds, "is <edit_prompt> ?")))
    with pytest.raises(VarSpacesError, match="download it from"):
        get_extractor("imgedit-judge").weights_sha256()
    networks.qwen2_5_vl(imgedit_judge.FOLDER, says="Fit: 4\n")
    assert len(get_extractor("imgedit-judge").weights_sha256()) == 64
    drawn = batch([{"group": "add", "source": "s"}] * 2)
    asked = tuple(replace(item, inputs={"instruction": "a dog"}) for item in drawn.items)
    drawn = replace(drawn, items=asked)
    context.pictures = {"s": 255 - drawn.images[0]}
    metric = ImgEditScore()
    found = metric.score(metric.measure(drawn, context), None)
    assert found.value == 4 and found.details == {"add": 4, "not rated": 0}

    network = context.network(metric.uses)
    pair = [context.pictures["s"], drawn.images[0]]
    inputs = network._asked(pair, "is a dog ?", question_first=True)
    said = network.process.tokenizer.decode(inputs["input_ids"][0])
    assert said.index("a dog") < said.index("<|image_pad|>")
    patches = inputs["image_grid_thw"].prod(1).tolist()
    assert len(patches) == 2 and 56**2 * patches[0] >= imgedit_judge.SIZE["shortest_edge"]
    alone = [network._asked([image], "?")["pixel_values"] for image in pair]
    assert torch.equal(inputs["pixel_values"], torch.cat(alone))


def test_spellings():
    assert spellings("Yes") == ("yes", "Yes", " yes", " Yes")
    assert spellings("four") == ("four", "Four", " four", " Four", "4", " 4")


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", json.dumps({**GENEVAL_2, "skills": ["count"]}),
             json.dumps({**GENEVAL_2, "vqa_list": [], "skills": []})],
)  # fmt: skip
def test_a_damaged_file_of_prompts_is_refused(geneval_2, line):
    geneval_2.write_text(f"{json.dumps(GENEVAL_2)}\n{line}\n")
    with pytest.raises(VarSpacesError, match=r"geneval2_data\.jsonl") as caught:
        get_suite("geneval-2").items()
    assert "\n" not in str(caught.value) and "2" in str(caught.value)


def test_a_part_of_a_repository_is_not_enough(networks):
    with pytest.raises(VarSpacesError, match="hf download Qwen"):
        get_extractor("qwen3-vl-8b").weights_sha256()
    networks.qwen3_vl(QWEN)
    assert len(get_extractor("qwen3-vl-8b").weights_sha256()) == 64
    (networks.folder(QWEN) / "model.safetensors").unlink()
    with pytest.raises(VarSpacesError, match="as a whole"):
        get_extractor("qwen3-vl-8b").weights_sha256()
