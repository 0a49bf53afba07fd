"""Claims, the frozen prompts, and the score of pictures that are known to be right or wrong."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.evaluators.clips import write_clip
from tests.infinity import write_models
from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.claims import Caption, Facts, Seen, Thing, checks, holds
from var_spaces.evaluators.clip import ClipScorer
from var_spaces.evaluators.compose import (
    OTHERS,
    OVERALL,
    Prompt,
    by_category,
    clip_scores,
    dump,
    read_prompts,
    score,
)
from var_spaces.evaluators.folder import EVALUATORS
from var_spaces.evaluators.parser import SceneParser, embedded_parser
from var_spaces.schedule import ScaleSchedule
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.batch import pack
from var_spaces.training.data.distinct import SEEN, tint_differences
from var_spaces.training.data.frozen_prompts import CATEGORIES, PER_CATEGORY, facts_of
from var_spaces.training.data.render import render
from var_spaces.training.data.sampler import atlas_splits
from var_spaces.training.data.scene import Object, Scene

ROOT = Path(__file__).parents[2]
CAT = Seen("cat", "flat", "top left")
DOG = Seen("dog", "flat", "bottom right", "blue")
WHITE = ("white", "white")
ATLAS = Atlas.load()


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return read_prompts()


@pytest.mark.parametrize(
    ("said", "shown", "expected"),
    [
        ((Thing("cat"),), (CAT,), {"object": True}),
        ((Thing("cat"),), (DOG,), {"object": False}),
        ((Thing("cat"),), (), {"object": False}),
        ((Thing("cat"), Thing("dog")), (CAT,), {"object": False}),
        ((Thing("cat"),), (CAT, DOG, CAT), {"object": True}),
        ((Thing("cat", 2),), (CAT, CAT), {"object": True, "count": True}),
        ((Thing("cat", 2),), (CAT, CAT, CAT), {"object": True, "count": False}),
        ((Thing("cat", 2),), (CAT, DOG), {"object": True, "count": False}),
        ((Thing("dog", colour="blue"),), (DOG,), {"object": True, "colour": True}),
        ((Thing("cat", colour="blue"),), (CAT, DOG), {"object": True, "colour": False}),
        ((Thing("cat", place="top left"),), (CAT,), {"object": True, "place": True}),
        ((Thing("dog", place="top left"),), (DOG, CAT), {"object": True, "place": False}),
    ],
)
def test_claims_about_things(said, shown, expected):
    caption, facts = Caption("", said), Facts(shown, WHITE)
    assert checks(caption, facts) == expected
    assert holds(caption, facts) is all(expected.values())


@pytest.mark.parametrize(
    ("change", "kind", "right"),
    [
        ({"relation": "left of"}, "place", True),
        ({"relation": "above"}, "place", True),
        ({"relation": "left of", "things": (Thing("dog"), Thing("cat"))}, "place", False),
        ({"background": "white"}, "background", True),
        ({"background": "red"}, "background", False),
        ({"background": ("white", "red")}, "background", False),
        ({"style": "flat"}, "style", True),
        ({"style": "soft"}, "style", False),
    ],
)
def test_claims_about_the_scene(change, kind, right):
    caption = replace(Caption("", (Thing("cat"), Thing("dog"))), **change)
    assert checks(caption, Facts((CAT, DOG), WHITE))[kind] is right


def test_a_thing_of_the_right_colour_must_stand_there():
    grey = replace(DOG, colour=None, place="top right")
    caption = Caption("", (Thing("cat"), Thing("dog", colour="blue")), relation="above")
    assert checks(caption, Facts((CAT, grey), WHITE))["place"] is False
    assert checks(caption, Facts((CAT, grey, DOG), WHITE))["place"] is True


def test_the_frozen_prompts(prompts, tmp_path):
    groups = by_category(prompts)
    assert {name: len(group) for name, group in groups.items()} == dict.fromkeys(
        CATEGORIES, PER_CATEGORY
    )
    assert all(len({prompt.text for prompt in group}) == PER_CATEGORY for group in groups.values())
    splits = atlas_splits(ATLAS)
    for prompt in prompts:
        scene = Scene.from_dict(prompt.scene)
        seen = facts_of(scene)
        assert sorted(seen.things, key=str) == sorted(prompt.facts.things, key=str)
        assert holds(prompt.caption, prompt.facts), prompt.text
        if prompt.category == "unseen style":
            assert splits.split_of(seen.things[0].concept, seen.things[0].style) == "unseen_pairs"
    wanted = {"count": "count", "colour": "colour", "two colours": "colour", "position": "place"}
    wanted |= {"background": "background", "style": "style", "unseen style": "style"}
    for name, kind in wanted.items():
        assert all(kind in checks(p.caption, p.facts) for p in groups[name])
    (tmp_path / "p.json").write_text(dump(prompts))
    assert read_prompts(path=tmp_path / "p.json") == prompts
    assert len(read_prompts(3)) == 3 * len(CATEGORIES)


def test_a_bad_file_is_refused(tmp_path):
    with pytest.raises(VarSpacesError, match="frozen_prompts"):
        read_prompts(path=tmp_path / "none.json")
    (tmp_path / "p.json").write_text(json.dumps({"format": 9}))
    with pytest.raises(VarSpacesError, match="format 1"):
        read_prompts(path=tmp_path / "p.json")


def test_score_of_right_and_wrong_pictures(prompts):
    some = [p for group in by_category(prompts).values() for p in group[:10]]
    perfect = score(some, [p.facts for p in some])
    assert list(perfect) == [*CATEGORIES, OVERALL]
    for row in perfect.values():
        assert row["accuracy"] == 1
        assert row["shuffled"] == row["chance"] < 0.2
    nothing = score(some, [Facts((), ("navy", "white"))] * len(some))
    assert all(row["accuracy"] == 0 for row in nothing.values())
    assert nothing[OVERALL]["chance"] == perfect[OVERALL]["chance"]
    # Half right: the first five of every category.
    half = [p.facts if i % 10 < 5 else Facts((), WHITE) for i, p in enumerate(some)]
    assert score(some, half)[OVERALL]["accuracy"] == pytest.approx(0.5)
    assert score(some, half)["background"]["claims"]["object"] == pytest.approx(0.5)
    with pytest.raises(VarSpacesError, match="1 pictures for 2 prompts"):
        score(some[:2], [some[0].facts])


def test_chance_counts_other_prompts_that_are_true():
    cat = Prompt("object", Caption("a cat", (Thing("cat"),)), Facts((CAT,), WHITE), {})
    dog = Prompt("object", Caption("a dog", (Thing("dog"),)), Facts((DOG,), WHITE), {})
    found = score([cat, cat, dog], [Facts((), WHITE)] * 3)["object"]
    # cat-cat twice out of six ordered pairs
    assert found["chance"] == pytest.approx(2 / 6)
    assert OTHERS > 2


def test_clip_scores_of_matched_and_other_prompts(prompts, tmp_path):
    scorer = ClipScorer(write_clip(tmp_path / "clip"))
    some = prompts[:3] + prompts[100:103]
    images = torch.rand(6, 3, 64, 64) * 2 - 1
    cosines = (100 * scorer.similarity(images, [p.text for p in some])).clamp(min=0)
    found = clip_scores(scorer, images, some)
    assert found["matched"] == pytest.approx(cosines.diagonal().mean().item(), abs=1e-4)
    inside = torch.block_diag(*[1 - torch.eye(3)] * 2).bool()
    assert found["shuffled"] == pytest.approx(cosines[inside].mean().item(), abs=1e-4)


def test_the_embedded_parser_reads_its_scenes(prompts):
    """Single things of the easy recipe, whose ceiling its card promises to be high."""
    parser = embedded_parser()
    assert parser is embedded_parser()
    easy = by_category(prompts)["easy"][:48]
    images = render(ATLAS, pack(ATLAS, [Scene.from_dict(p.scene) for p in easy]))
    found = score(easy, parser(images))["easy"]
    assert found["accuracy"] > 0.8 > 0.2 > found["shuffled"]
    as_arrays = ((images[:2] + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    assert parser(list(as_arrays)) == parser(images[:2])
    assert {seen.concept for facts in parser(images) for seen in facts.things} <= set(
        parser.card["concepts"]
    )


def test_the_parser_knows_things_by_their_shape():
    """On real scenes of every category, tinted ones too; 99 % over all prompts."""
    some = read_prompts(12)
    images = render(ATLAS, pack(ATLAS, [Scene.from_dict(p.scene) for p in some]))
    found = score(some, embedded_parser()(images))
    assert found[OVERALL]["accuracy"] > 0.94
    assert min(row["accuracy"] for row in found.values()) >= 0.8


def test_how_sure_the_parser_is_counts_that_nothing_may_be_there():
    """Of the place where a thing is likeliest."""
    concept, style = torch.zeros(1, 5, 3), torch.zeros(1, 5, 2)
    concept[..., 1:] = -50  # the first is nothing
    concept[0, 3, 1], style[0, 3, 1] = 0, math.log(3)
    parser = SceneParser.__new__(SceneParser)
    parser.card, parser.device = {"concepts": "ab", "styles": "cd"}, torch.device("cpu")
    parser.network = lambda images: SimpleNamespace(concept=concept, style=style)
    found = parser.surest(torch.zeros(1, 3, 8, 8))
    assert found == {"concept": ("a", pytest.approx(0.5)), "style": ("d", pytest.approx(0.75))}


def test_colours_that_are_asked_for_can_be_seen():
    tinted = [p for p in read_prompts(25) if "colour" in p.category]
    scenes = [Scene.from_dict(prompt.scene) for prompt in tinted]
    assert min(tint_differences(ATLAS, scenes)) >= SEEN
    orange = {"concept": "fire", "style": "flat", "tint": "orange"}
    alike = Scene("white", (Object(**orange),))
    assert tint_differences(ATLAS, [alike])[0] < SEEN
    plain = Scene("white", (Object("fire", "flat"),))
    assert tint_differences(ATLAS, [plain]) == [1.0]


def test_a_missing_parser_is_named(tmp_path):
    with pytest.raises(VarSpacesError, match="training parser --config parser"):
        SceneParser(tmp_path / "parser")
    assert (EVALUATORS / "parser" / "card.json").is_file()


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """A benchmark script as a module that writes into a folder of its own."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("VAR_SPACES_MODELS", str(write_models(tmp_path / "models")))

    def load(name: str):
        spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        report = sys.modules["report"]
        monkeypatch.setattr(report, "FOLDER", tmp_path)
        if hasattr(module, "FOLDER"):
            monkeypatch.setattr(module, "FOLDER", tmp_path)
        return module, tmp_path

    return load


def test_the_benchmark_on_a_tiny_model(benchmark, monkeypatch):
    module, folder = benchmark("compose")
    arguments = ["compose.py", "--model", "tiny-t2i", "--per-category", "2"]
    monkeypatch.setattr(sys, "argv", arguments)
    # scenes of 64 px are no input of the tiny tokenizer of 8 px pictures
    monkeypatch.setattr(module, "reconstructions", lambda model, pictures: pictures)
    module.main()
    data = json.loads((folder / "compose.json").read_text())["results"]
    assert data["parser"]["tiny-t2i"][OVERALL]["prompts"] == 2 * len(CATEGORIES)
    assert data["parser"]["real scenes"][OVERALL]["accuracy"] > 0.3
    assert data["clip"]["real scenes"]["matched"] > data["clip"]["real scenes"]["shuffled"]
    assert "| easy | 2 |" in (folder / "compose.md").read_text()
    assert (folder / "compose-tiny-t2i.png").is_file()


def test_the_cost_table_on_a_tiny_model(benchmark, monkeypatch):
    module, folder = benchmark("schedules")
    assert "0.06M 2:1" in module.cases((1, 2, 4), ["2:1"], ["0.06M"])
    small = {"own": ScaleSchedule.square((1, 2, 4)), "wide": ScaleSchedule(((1, 1), (2, 4)))}
    monkeypatch.setattr(module, "cases", lambda own, ratios, presets: small)
    monkeypatch.setattr(sys, "argv", ["schedules.py", "--model", "tiny-t2i", "--repeats", "1"])
    module.main()
    runs = json.loads((folder / "schedules.json").read_text())["results"]
    tokens = [sum(h * w for h, w in row["sizes"]) for row in runs]
    kv = [row["runs"][0]["kv_bytes"] for row in runs]
    assert kv[1] / kv[0] == pytest.approx(tokens[1] / tokens[0])
