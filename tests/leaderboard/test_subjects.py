"""Subject suites: the sheet is drawn by the scene engine; metrics tell the subject from others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from leaderboard.metrics.base import Batch, Context, Cost
from leaderboard.metrics.bootstrap import mean_interval
from leaderboard.metrics.diversity import Diversity
from leaderboard.metrics.subject import (
    PriorClass,
    PriorLikeness,
    PromptDiversity,
    SubjectClass,
    SubjectClipI,
    SubjectClipT,
    SubjectDistance,
    SubjectDiversity,
    SubjectPrompt,
)
from leaderboard.subjects import sheet, subject
from leaderboard.suites.base import get_suite
from var_spaces.errors import VarSpacesError
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import pack
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import atlas_splits
from var_spaces.training.data.scene import Object, Scene

PROMPTS, EACH = 20, 28


@pytest.fixture(scope="module")
def atlas():
    return Atlas.load()


@pytest.fixture(scope="module")
def context():
    return Context(device=torch.device("cpu"))


@pytest.fixture(scope="module")
def items():
    return get_suite("embedded-subject").items()


def drawn(atlas, *scenes) -> np.ndarray:
    pixels = render(atlas, pack(atlas, scenes)).add(1).mul(127.5).round().byte()
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())


def batch(items, images) -> Batch:
    return Batch(tuple(items), images, np.zeros((len(images), 1), np.int64), Cost(0, (0,), (0,)))


def test_the_sheet_is_drawn_by_the_scene_engine_from_held_out_things(atlas):
    assert np.array_equal(np.asarray(Image.open(sheet.SHEET).convert("RGB")), sheet.draw())
    splits = atlas_splits(atlas)
    assert all(splits.split_of(*name) == "unseen_pairs" for name in sheet.NAMES)
    one = subject("embedded/dog, glossy")
    assert one.word == "dog"
    assert len(one.pictures) == sheet.EACH
    assert one.sha256 in get_suite("embedded-subject").pictures()


def test_items(items):
    assert len(items) == len(sheet.NAMES) * EACH
    first = items[:EACH]
    assert [item.facts["group"] for item in first] == ["prompts"] * 20 + ["prior"] * 4 + [
        "diversity"
    ] * 4
    assert all(("source" in item.inputs) != (item.facts["group"] == "prior") for item in first)
    assert first[0].inputs["prompt"] == "a <it> on a white background"
    assert first[0].facts["caption"] == "a dog on a white background"
    assert items[EACH].inputs["prompt"] == "an <it> on a white background"


def test_the_subject_itself_is_likest(atlas, context, items):
    """A picture of that very thing, of another drawing of the kind, and of something else."""
    item = items[0]  # a dog, glossy
    things = [Object("dog", "glossy", size=0.8), Object("dog", "blob"), Object("key", "soft")]
    seen = batch([item] * 3, drawn(atlas, *(Scene("white", (thing,)) for thing in things)))
    for metric, sign in ((SubjectClipI(), 1), (SubjectDistance(), -1)):
        same, kind, other = sign * metric.numbers(seen, context)
        assert same > kind > other, metric.name
    assert not PriorLikeness().measure(seen, context).any()


def test_what_the_prompt_says(atlas, context, items):
    item = items[1]  # on a cream background
    shown = [
        Scene("cream", (Object("dog", "glossy"),)),
        Scene("blue", (Object("dog", "glossy"),)),
        Scene("cream", (Object("key", "glossy"),)),
    ]
    seen = batch([item] * 3, drawn(atlas, *shown))
    assert SubjectPrompt().numbers(seen, context).tolist() == [1, 0, 0]
    assert SubjectClass().numbers(seen, context).tolist() == [1, 1, 0]
    right, _, wrong = SubjectClipT().numbers(seen, context)
    assert right > wrong
    open_place = SubjectClipT(unfilled=True).numbers(seen, context)
    assert not np.allclose(open_place, SubjectClipT().numbers(seen, context))
    plain = batch([items[PROMPTS]] * 3, seen.images)
    assert PriorClass().numbers(plain, context).tolist() == [1, 1, 0]
    assert not SubjectPrompt().measure(plain, context)[:, 1].any()


def test_scores_are_of_one_group(context, atlas, items):
    assert SubjectClass().score(np.array([[1.0, 1], [0, 1], [0, 0]]), None).value == 0.5
    dog, key = (Scene("white", (Object(name, "soft"),)) for name in ("dog", "key"))
    varied = items[PROMPTS + 4 : EACH]
    same = SubjectDiversity().numbers(batch(varied, drawn(atlas, dog, dog, dog, dog)), context)
    other = SubjectDiversity().numbers(batch(varied, drawn(atlas, dog, dog, key, key)), context)
    assert same.tolist() == pytest.approx([0] * 4, abs=1e-6)
    assert (other > 0.01).all()
    assert not SubjectDiversity().measure(batch(items[:1], drawn(atlas, dog)), context).any()
    sizes = [len(part) for part in get_suite("embedded-subject").batches(1)]
    assert set(sizes) == {1, 4}


def test_intervals_are_over_what_is_learned(context, atlas, items):
    """Forty pictures of one subject tell no more of other subjects than one does."""
    for metric in (SubjectClass(), SubjectDiversity()):
        counting = [item for item in items if item.facts["group"] in metric.groups]
        assert len({metric.cluster(item) for item in counting}) == len(items) // EACH
    scene = Scene("white", (Object("dog", "soft"),))
    one, other = (batch(items[n : n + 2], drawn(atlas, scene, scene)) for n in (0, EACH))
    metric = SubjectClass()
    codes = [metric.measure(part, context)[:, 1] for part in (one, other)]
    assert codes[0][0] == codes[0][1] != codes[1][0] == codes[1][1]
    right = np.repeat([1.0, 0.0, 1.0], 40)
    found = metric.score(np.column_stack([right, np.repeat([1, 2, 3], 40)]), None)
    assert (found.low, found.high) == mean_interval(np.array([1.0, 0.0, 1.0]))


def test_diversity_is_seen_through_the_network_that_is_named(items):
    class Network:
        def distance(self, one, two):
            return np.full(len(one), 7.0)

    context = Context("cpu", _networks={"lpips-alex": Network()})
    seeds = batch([items[0]] * 2, np.zeros((2, 8, 8, 3), np.uint8))
    assert PromptDiversity(extractor="lpips-alex").numbers(seeds, context).tolist() == [7, 7]


def test_diversity_of_the_seeds_of_a_prompt(context, atlas, items):
    """The plain pictures of the class do not count."""
    shown = drawn(
        atlas, *(Scene("white", (Object(name, "soft"),)) for name in ("dog", "dog", "key"))
    )
    seeds, plain = batch([items[0]] * 3, shown), batch(items[PROMPTS:][:3], shown)
    found = PromptDiversity().measure(seeds, context)
    assert found[:, 0] == pytest.approx(Diversity().measure(seeds, context)[:, 0])
    assert found[:, 1].all() and found[:, 0].min() > 0
    assert not PromptDiversity().measure(plain, context).any()
    assert not SubjectDiversity().measure(seeds, context).any()


@pytest.mark.parametrize("name", ["dreambench", "vico"])
def test_downloads_are_named(name, monkeypatch, tmp_path):
    monkeypatch.setenv("VAR_SPACES_DATA", str(tmp_path))
    with pytest.raises(VarSpacesError, match=r"download it from https://github\.com"):
        get_suite(name).items()


def test_dreambench_from_its_folder(monkeypatch, tmp_path):
    folder = tmp_path / "dreambooth" / "dataset"
    lists = "Classes\n\nsubject_name,class\ndog2,dog\nclock,clock\n\nPrompts\n\nObject Prompts\n\n"
    lists += "prompt_list = [\n'a {0} {1} in the snow'.format(unique_token, class_token)\n]\n\n"
    lists += "Live Subject Prompts\n\n'a {0} {1} wearing a hat'.format(unique_token, class_token)\n"
    for name in ("dog2", "clock"):
        (folder / name).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (8, 8 + number), (name == "dog2" and "brown") or "grey").save(
                folder / name / f"0{number}.jpg"
            )
    (folder / "prompts_and_classes.txt").write_text(lists, "utf-8")
    monkeypatch.setenv("VAR_SPACES_DATA", str(tmp_path))
    found = get_suite("dreambench").items()
    prompts = {item.inputs["prompt"] for item in found if item.facts["group"] == "prompts"}
    assert prompts == {"a <it> wearing a hat", "a <it> in the snow"}
    assert len([item for item in found if item.facts["group"] == "prompts"]) == 2 * 4
    assert {len(picture.shape) for picture in get_suite("dreambench").pictures().values()} == {3}


def test_vico_from_its_folder(monkeypatch, tmp_path):
    from leaderboard.subjects.folders import VICO_WORDS

    folder = tmp_path / "vico"
    for name in VICO_WORDS:
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (len(name), 0, 0)).save(folder / name / "1.png")
    (folder / "prompts_live_objects.txt").write_text("a {} in a hat\n", "utf-8")
    (folder / "prompts_nonlive_objects.txt").write_text("a {} on a rug\n\n", "utf-8")
    monkeypatch.setenv("VAR_SPACES_DATA", str(tmp_path))
    suite = get_suite("vico")
    found = suite.items()
    assert len(found) == 16 * (8 + 100)  # the seeds of a prompt tell diversity: no others are drawn
    assert {item.facts["group"] for item in found} == {"prompts", "prior"}
    (diversity,) = (metric for metric in suite.metrics() if "diversity" in metric.name)
    parts = [part for part in suite.batches(1) if part[0].facts["group"] in diversity.groups]
    assert [len(part) for part in parts] == [8] * 16
    assert {len({item.facts["template"] for item in part}) for part in parts} == {1}
    live = [item for item in found if item.facts["template"] == "a {} in a hat"]
    assert {item.facts["subject"].split("/")[1] for item in live} == {
        "fat_dog", "brown_dog", "brown_dog2", "black_cat", "brown_cat",
    }  # fmt: skip
