"""Suites of styles: the sheet, what the judge reads, and metrics that tell right from wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from leaderboard.metrics import style
from leaderboard.metrics.base import Batch, Context, Cost
from leaderboard.styles import csd_100, picture, read_out, sheet
from leaderboard.suites.base import get_suite
from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.judge import load_judge
from var_spaces.training.data.sampler import atlas_splits

EACH, CONTENT, STYLE = 20, 8, 8


@pytest.fixture(scope="module")
def context():
    return Context(device=torch.device("cpu"))


@pytest.fixture(scope="module")
def items():
    return get_suite("embedded-style").items()


def batch(items, images) -> Batch:
    return Batch(tuple(items), images, np.zeros((len(images), 1), np.int64), Cost(0, (0,), (0,)))


def test_the_sheet_is_drawn_by_the_scene_engine_from_held_out_pictures():
    assert np.array_equal(np.asarray(Image.open(sheet.SHEET).convert("RGB")), sheet.draw())
    atlas = sheet._atlas()
    splits = atlas_splits(atlas)
    for unseen, pairs in sheet.NAMES.items():
        for thing, style_ in pairs:
            row = atlas.table[atlas.concept_id(thing)]
            assert (row >= 0).all(), f"{thing} is not drawn in every style"
            assert splits.split_of(thing, style_) == (
                "unseen_style" if style_ == splits.style else f"unseen_{unseen}s"
            )
            assert (thing in splits.concepts) == (unseen == "concept")
    assert picture("embedded/dog, glossy").sha256 in get_suite("embedded-style").pictures()


def test_items(items):
    assert len(items) == 24 * EACH
    first = items[:EACH]
    groups = [item.facts["group"] for item in first]
    assert groups == ["content"] * CONTENT + ["style"] * STYLE + ["both"] * 4
    assert first[0].inputs["prompt"] == "a <content> in flat style"
    assert first[0].facts["caption"] == "a dog in flat style"
    assert first[CONTENT].inputs["prompt"] == "a red apple in <style>"
    assert first[CONTENT].facts["caption"] == "a red apple in glossy style"
    for item in items:
        content, style_ = item.facts["picture"].removeprefix("embedded/").split(", ")
        asked = (item.facts["concept"], item.facts["style"])
        kept = {"content": (content, None), "style": (None, style_), "both": (content, style_)}
        for wanted, own in zip(kept[item.facts["group"]], asked, strict=True):
            assert wanted in (None, own)
        if item.facts["group"] == "content":
            assert item.facts["style"] != style_


def test_the_read_out_names_views_that_it_was_not_fitted_on():
    from leaderboard.extractors.judge import FOLDER

    judge, _ = load_judge(FOLDER)
    chosen = read_out.scenes(77)[::6]
    table = read_out.pairs()[::6]
    images = torch.from_numpy(sheet.drawn(chosen)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        things, styles = read_out.ReadOut()(read_out.features(judge.eval(), images))
    right = np.array([[t == a, s == b] for t, s, (a, b) in zip(things, styles, table, strict=True)])
    assert right[:, 0].mean() > 0.97
    assert right[:, 1].mean() > 0.9


def test_right_content_right_style(context, items):
    """The drawings that are wanted, then each half of them wrong, then both."""
    asked = [item for item in items[:EACH] if item.facts["group"] == "content"][::2]
    wanted = [(i.facts["concept"], i.facts["style"]) for i in asked]
    shown = {
        "both": wanted,
        "content only": [("dog", "glossy")] * len(asked),
        "style only": [("house", style_) for _, style_ in wanted],
        "neither": [("house", "glossy")] * len(asked),
    }
    found = {}
    for cell, pairs in shown.items():
        seen = batch(asked, np.stack([sheet.truth(*pair) for pair in pairs]))
        metric = style.ContentInStyle()
        score = metric.score(metric.measure(seen, context), None)
        assert score.details[cell] >= 0.75, (cell, score.details)
        assert sum(score.details.values()) == pytest.approx(1)
        kept = style.ContentKept().score(style.ContentKept().measure(seen, context), None)
        found[cell] = (
            score.value,
            kept.value,
            style.ContentDistance().numbers(seen, context).mean(),
            style.StyleClipT().numbers(seen, context).mean(),
        )
        assert not style.StyleKept().measure(seen, context).any()
    right, other, wrong, neither = (np.array(found[cell]) for cell in shown)
    assert right[0] > max(other[0], wrong[0], neither[0])
    assert min(right[1], other[1]) > max(wrong[1], neither[1])
    assert right[2] == pytest.approx(0, abs=1e-6) and neither[2] > other[2] > 0
    assert right[3] > neither[3]


def test_the_learned_style_on_a_named_thing(context, items):
    asked = [item for item in items[:EACH] if item.facts["group"] == "style"]
    right = np.stack([sheet.truth(item.facts["concept"], "glossy") for item in asked])
    wrong = np.stack([sheet.truth(item.facts["concept"], "blob") for item in asked])
    for metric in (style.StyleKept(), style.StyleOnThing()):
        scores = [
            metric.score(metric.measure(batch(asked, x), context), None) for x in (right, wrong)
        ]
        assert scores[0].value > 0.8 > 0.2 > scores[1].value
    near, far = (
        style.StyleDistanceOnThing().numbers(batch(asked, x), context) for x in (right, wrong)
    )
    assert near == pytest.approx(0, abs=1e-6) and (far > 0.01).all()


def test_identity_is_likeness_to_the_picture(context, items):
    asked = items[:1]
    own, other = (
        style.ContentClipI().numbers(batch(asked, sheet.truth(*pair)[None]), context)[0]
        for pair in (("dog", "glossy"), ("key", "flat"))
    )
    assert own == pytest.approx(1, abs=1e-6) and own > other + 0.2


# --- CSD-100 --------------------------------------------------------------------------------------


def test_csd_100_downloads_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("VAR_SPACES_DATA", str(tmp_path))
    with pytest.raises(
        VarSpacesError, match=r"benchmark_prompts\.json .*download it from https://"
    ):
        get_suite("csd-100").items()
    write_prompts(tmp_path)
    with pytest.raises(VarSpacesError, match=r"download it from .*qualcomm/csd100"):
        get_suite("csd-100").items()
    (tmp_path / "csd100" / "benchmark_prompts.json").write_text('{"content": []}')
    with pytest.raises(VarSpacesError, match="is not that of"):
        get_suite("csd-100").items()


def test_csd_100_from_its_folder(csd_100_folder):
    found = get_suite("csd-100").items()
    bear = [item for item in found if item.facts["picture"] == "csd-100/bear, glowing"]
    hat = [item for item in found if item.facts["picture"].startswith("csd-100/hat")]
    assert len(bear) == 10 * 4 and len(hat) == 10 * 3  # a hat has no poses
    prompts = {item.inputs["prompt"] for item in bear}
    assert prompts == {
        "a <content> on the beach", "a sad <content>", "a <content> in anime style",
        "a dog in <style>",
    }  # fmt: skip
    assert hat[0].inputs["style"] == "minimal pastel colors art"
    assert {i.facts["caption"] for i in hat if i.facts["group"] == "style"} == {
        "a dog in minimal pastel colors art style"
    }
    assert set(get_suite("csd-100").pictures()) == {
        bear[0].inputs["source"],
        hat[0].inputs["source"],
    }


def test_a_part_of_csd_100_is_refused(csd_100_folder, monkeypatch):
    monkeypatch.setattr(csd_100, "COUNT", 3)
    with pytest.raises(VarSpacesError, match="holds 2 pictures and not 3"):
        get_suite("csd-100").items()


@pytest.fixture
def csd_100_folder(monkeypatch, tmp_path):
    """Two pictures in the layout of the archive."""
    write_csd_100(tmp_path)
    monkeypatch.setenv("VAR_SPACES_DATA", str(tmp_path))
    monkeypatch.setattr(csd_100, "COUNT", 2)
    return tmp_path


def write_csd_100(folder) -> None:
    write_prompts(folder)
    for number, name in enumerate(("bear+glowing", "hat+minimal_pastel_colors_art")):
        place = folder / "csd100" / "test" / name
        place.mkdir(parents=True)
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(place / "00.jpg")


def write_prompts(folder) -> None:
    content = {
        "recontextualization": ["a {} on the beach"],
        "non-rigid": ["a sad {}"],
        "stylization": ["a {} in anime style"],
    }
    (folder / "csd100").mkdir(parents=True, exist_ok=True)
    (folder / "csd100" / "benchmark_prompts.json").write_text(
        json.dumps({"content": content, "style": ["a dog in {} style"]})
    )
