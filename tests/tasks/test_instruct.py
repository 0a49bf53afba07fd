"""Editing by instruction from end to end on tiny random models: library, command line, refusals."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file

import var_spaces
from leaderboard.entry import Entry
from tests.varedit import write_editor
from var_spaces import methods
from var_spaces.api import make_spec
from var_spaces.cli import main
from var_spaces.errors import InputError, VarSpacesError
from var_spaces.events import Finished, ScaleDone
from var_spaces.pictures import digest
from var_spaces.spec import RunSpec
from var_spaces.tasks.instruct import Instruct, cut_back, pasted
from var_spaces.tasks.plan import plan
from var_spaces.tasks.unchanged import changed, mixed
from var_spaces.ui.form.form import Form
from var_spaces.ui.run.command import command
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.estimate import estimate
from var_spaces.zoo.writer import save_model

WORDS = "make the apple blue"
PICTURE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_editor(tmp_path_factory.mktemp("editors"))


@pytest.fixture(autouse=True)
def _known(folder, monkeypatch):
    monkeypatch.setenv("VAR_SPACES_MODELS", str(folder))


NO_PICTURE = "There is no picture yet: hand one in"
NO_WORDS = "The instruction is missing: say what to change, for example: make the apple blue"


def draw(picture=PICTURE, instruction=WORDS, model="tiny-edit", **settings):
    *_, last = var_spaces.stream(
        model=model, image=picture, instruction=instruction, previews=False, **settings
    )
    return last


def test_words_picture_and_seed_decide():
    first = draw()
    assert (draw().images[0] == first.images[0]).all()
    assert draw().record.id == first.record.id
    for other in (draw(instruction="remove the dog"), draw(picture=255 - PICTURE), draw(seed=1)):
        assert other.record.id != first.record.id
        assert (other.images[0] != first.images[0]).any()


def test_layout_and_reference_matter():
    first = logits("tiny-edit")
    for other in ("tiny-finest", "tiny-published"):
        assert not torch.equal(first, logits(other))


def logits(model):
    """Of the last scale, before guidance."""
    seen = {}
    draw(model=model, observe=lambda what, scale, tensor: seen.__setitem__(what, tensor))
    return seen["raw_logits"]


@pytest.mark.parametrize("size", [(8, 8), (30, 20), (21, 40), (500, 300)])
def test_the_result_has_the_size_of_the_picture(size):
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    assert draw(picture).images[0].shape == (*size, 3)


def test_fitting_is_the_published_one():
    """Pasted at the top left of a white square; what comes back has the picture in its place."""
    picture = np.zeros((20, 30, 3), np.uint8)
    square = pasted(picture, 30, 30)
    assert (square[:20] == 0).all() and (square[20:] == 255).all()
    longer = Image.fromarray(pasted(picture, 30, 30)).resize((15, 15), Image.Resampling.LANCZOS)
    assert (pasted(picture, 15, 15) == np.asarray(longer)).all()
    assert (cut_back(square, 20, 30) == picture).all()
    wide = pasted(picture, 20, 40)  # a schedule that is not square
    assert wide.shape == (20, 40, 3) and (wide[:, 30:] == 255).all()
    assert (cut_back(wide, 20, 30) == picture).all()


@pytest.mark.parametrize("size", [(8, 8), (30, 20), (21, 40), (300, 200)])
def test_what_hardly_changed_is_the_picture_itself(size):
    """Nothing is near enough at 0 (as runs before there was such a field), all is at 1."""
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    drawn = draw(picture)
    assert draw(picture, restore=0.0).record.id == drawn.record.id
    assert "restore" not in drawn.record.spec.inputs
    assert (drawn.images[0] != picture).any()
    assert (draw(picture, restore=1.0).images[0] == picture).all()
    with pytest.raises(VarSpacesError, match=r"restore = 1\.5 is out of range: allowed is 0 to 1"):
        draw(picture, restore=1.5)


@given(st.integers(0, 2**32), st.integers(32, 90), st.integers(32, 90))
@settings(max_examples=25, deadline=None)
def test_a_change_is_taken_with_its_rim_and_nothing_else(seed, height, width):
    """One square becomes another: all but its corners arrives, and what is far from it stays."""
    rng = np.random.default_rng(seed)
    source = rng.integers(0, 120, (height, width, 3), np.uint8)
    noisy = np.clip(source.astype(int) + rng.integers(-9, 10, source.shape), 0, 255)
    size, side = min(height, width) // 4 + 1, max(height, width)
    top, left = rng.integers(0, height - size + 1), rng.integers(0, width - size + 1)
    square = slice(top, top + size), slice(left, left + size)
    noisy[square] = source[square] + 128
    result = noisy.astype(np.uint8)
    mixed_one = mixed(result, source, changed(result, source, 0.12))
    for inside in ((slice(2, -2), slice(None)), (slice(None), slice(2, -2))):
        assert (mixed_one[square][inside] == result[square][inside]).all()
    rows = np.maximum(top - np.arange(height), np.arange(height) - (top + size - 1))
    columns = np.maximum(left - np.arange(width), np.arange(width) - (left + size - 1))
    far = np.maximum(rows[:, None], columns) > side / 4 + 2
    assert (mixed_one[far] == source[far]).all()


def test_a_shade_everywhere_is_a_change_and_errors_of_a_tokenizer_and_specks_are_none():
    rng = np.random.default_rng(0)
    source = rng.integers(70, 180, (64, 64, 3), np.uint8)
    assert changed(source + np.uint8(40), source, 0.12).min() == 1
    errors = (source + rng.integers(-60, 61, source.shape)).astype(np.uint8)
    assert changed(errors, source, 0.12).max() == 0
    speck = source.copy()
    speck[30:32, 30:32] += 70
    assert changed(speck, source, 0.01).max() == 0


def test_a_card_keeps_what_its_model_hardly_changes(folder, tmp_path, monkeypatch, apple):
    """Every way to start a run takes the card's word; a spec that says nothing keeps nothing."""
    card = json.loads((folder / "tiny-edit" / "card.json").read_text("utf-8"))
    usual = {**card["defaults"], "task": {"name": "instruct", "restore": 1.0}}
    card |= {"id": "tiny-restores", "defaults": usual}
    del card["weights_sha256"]
    save_model(
        tmp_path / "more" / "tiny-restores",
        card,
        load_file(next((folder / "tiny-edit").glob("*.safetensors"))),
    )
    monkeypatch.setenv("VAR_SPACES_MODELS", os.pathsep.join((str(folder), str(tmp_path / "more"))))
    kept = draw(model="tiny-restores")
    assert (kept.images[0] == PICTURE).all() and kept.record.spec.inputs["restore"] == 1.0
    out = tmp_path / "kept.png"
    words = ["generate", "--model", "tiny-restores", "--instruction", WORDS, "--out", str(out)]
    assert main([*words, "--picture", str(apple)]) == 0
    assert RunSpec.from_file(out).id == kept.record.id
    form = Form("edit")
    values = form.defaults(get_card("tiny-restores"))
    values |= {"inputs.source": PICTURE, "inputs.instruction": WORDS}
    assert form.request(values)[0].id == kept.record.id
    asked = {"source": digest(PICTURE), "instruction": WORDS}
    row = Entry.of("tiny-restores").spec("instruct", asked, seed=0, first=0, count=1)
    assert row.id == kept.record.id
    drawn = draw(model="tiny-restores", restore=0.0).record.spec
    assert "--restore 0.0" in command(drawn, get_card("tiny-restores"))
    assert "--restore" not in command(kept.record.spec, get_card("tiny-restores"))


def test_batches_equal_single_images():
    """Images of a guided batch are those drawn alone, as far as matrix products round alike."""
    both = draw(count=2)
    alone = [draw(first=n) for n in range(2)]
    for image, single in zip(both.images, alone, strict=True):
        assert (image == single.images[0]).all()


def test_guidance_on_the_picture():
    """A third row without the picture; with strength 1 it is guidance per scale, bit for bit."""
    usual = draw(guidance={"name": "per-scale", "scale": 3})
    off = draw(guidance={"name": "words-and-picture", "scale": 3, "picture": 1})
    on = draw(guidance={"name": "words-and-picture", "scale": 3, "picture": 2})
    picture_only = draw(guidance={"name": "words-and-picture", "scale": 1, "picture": 2})
    assert (usual.images[0] == off.images[0]).all()
    assert (usual.images[0] != on.images[0]).any()
    assert (picture_only.images[0] != on.images[0]).any()
    with pytest.raises(VarSpacesError, match="no-picture"):
        draw(model="tiny-published", guidance={"name": "words-and-picture", "picture": 2})
    with pytest.raises(VarSpacesError, match="text"):
        draw(guidance={"name": "conditions", "condition": 3})


def test_combined_logits():
    from var_spaces.schedule import ScaleSchedule

    rule = methods.parse("guidance", {"name": "words-and-picture", "scale": 3, "picture": 2})
    schedule = ScaleSchedule.square((1, 2))
    full, null, blind = torch.randn(3, 2, 4, 6)
    assert rule.rows(schedule) == ("full", "null", "no-picture")
    guided = rule.combine({"full": full, "null": null, "no-picture": blind}, 0, schedule)
    torch.testing.assert_close(guided, full + 2 * (full - null) + (full - blind))
    several = methods.parse(
        "guidance", {"name": "words-and-picture", "scale": 1, "picture": (1, 3)}
    )
    assert several.rows(schedule) == ("full", "no-picture")
    guided = several.combine({"full": full, "no-picture": blind}, 1, schedule)
    torch.testing.assert_close(guided, full + 2 * (full - blind))


@pytest.mark.parametrize(
    "policy", [p for p in methods.names("cache") if p not in ("scalekv", "hack", "heatkv", "none")]
)
def test_cache_policies_run(policy):
    """And the source survives them all: it is pinned."""
    seen = {}
    cache = {"name": policy}
    if "budget" in methods.get("cache", policy).field_names():
        cache["budget"] = 0.5
    draw(cache=cache, observe=lambda what, scale, tensor: seen.setdefault(what, []).append(tensor))
    assert seen["kept"]


def test_searches_run():
    search = {"name": "best-of-n", "candidates": 3}
    assert draw(decoding=search).images[0].shape == PICTURE.shape


def test_estimate_counts_the_source():
    card = get_card("tiny-edit")
    spec = plan(_spec())
    found = estimate(card, cache=spec.cache, guidance=spec.guidance)
    scales = [e for e in _events() if isinstance(e, ScaleDone)]
    measured = [e.kv_bytes for e in scales]
    assert list(found.kv) == measured == [e.kv_full_bytes for e in scales]
    source = card.schedule.lengths[-1]
    whole = 2 * 2 * 4 * card.architecture["width"]  # keys and values of two rows, float32
    depth = card.architecture["depth"]
    assert measured[-1] == whole * (depth * card.schedule.total + (depth - 1) * source)
    assert {e.kv_pinned_bytes for e in scales} == {whole * (depth - 1) * source}


@pytest.mark.parametrize("model", ["varedit-2b-512", "varedit-8b-512", "varedit-8b-1024"])
def test_published_models_run_through_the_adapter(model):
    card = get_card(model)
    inputs = {"source": digest(PICTURE), "instruction": WORDS}
    planned = plan(RunSpec(model=model, task="instruct", inputs=inputs, **_usual(card)))
    assert planned.adapter.name == "scale-aligned-reference"
    assert planned.adapter.rope_layout == "published"
    found = estimate(card, cache=planned.cache, guidance=planned.guidance, dtype="bfloat16")
    sizes, schedule = card.architecture, card.schedule
    entry = 2 * 2 * 2 * sizes["width"]  # keys and values, two rows, bfloat16
    source = (sizes["depth"] - 1) * schedule.lengths[-1]
    assert found.kv[-1] == entry * (sizes["depth"] * schedule.total + source)


def _usual(card):
    return {kind: card.defaults[kind] for kind in ("sampling", "guidance")}


def _spec():
    return RunSpec(
        model="tiny-edit",
        task="instruct",
        inputs={"source": digest(PICTURE), "instruction": WORDS},
        guidance={"name": "per-scale", "scale": 3},
        sampling={"name": "bits"},
    )


def _events():
    return list(var_spaces.stream(_spec(), images={digest(PICTURE): PICTURE}))


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instruction": ""}, "say what to change"),
        ({"instruction": " \n"}, "say what to change"),
        ({"instruction": "x" * 10_000}, "4000"),
        ({"picture": np.zeros((1, 5000, 3), np.uint8)}, "5000x1 pixels, longer than 8 times"),
        ({"model": "tiny-t2i", "task": "instruct"}, "instructions"),
        ({"cache": {"name": "none"}, "model": "tiny-t2i", "task": "instruct"}, "instructions"),
    ],
)
def test_bad_input_is_refused_before_any_work(changes, message, monkeypatch):
    monkeypatch.setattr("var_spaces.zoo.residency.Residency.lease", None)
    with pytest.raises(VarSpacesError, match=message) as refused:
        draw(**changes)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("handed", "said"),
    [
        ({"instruction": WORDS}, f"{NO_PICTURE} (source=...)."),
        ({"instruction": WORDS, "image": None}, f"{NO_PICTURE} (source=...)."),
        ({"image": PICTURE}, f"{NO_WORDS} (instruction=...)."),
        ({"image": PICTURE, "instruction": " "}, f"{NO_WORDS} (instruction=...)."),
        ({}, f"{NO_PICTURE}. {NO_WORDS} (source=... and instruction=...)."),
    ],
)
def test_what_is_missing_is_asked_for_in_sentences(handed, said):
    with pytest.raises(InputError) as refused:
        make_spec("tiny-edit", **handed)
    assert str(refused.value) == said


def test_the_editor_draws_no_prompt_alone():
    with pytest.raises(VarSpacesError, match="does not work with"):
        list(var_spaces.stream(model="tiny-edit", task="text-to-image", prompt="a cat"))


# --- command line ---------------------------------------------------------------------------------


@pytest.fixture
def apple(tmp_path):
    path = tmp_path / "apple.png"
    Image.fromarray(PICTURE).save(path)
    return path


def run(*arguments):
    return main(["generate", "--model", "tiny-edit", *map(str, arguments)])


def test_command_line(apple, tmp_path):
    out = tmp_path / "blue.png"
    assert run("--picture", apple, "--instruction", WORDS, "--out", out) == 0
    assert (np.asarray(Image.open(out)) == draw().images[0]).all()
    assert RunSpec.from_file(out).inputs["source"] == digest(PICTURE)


def test_steps_follow_each_other(apple, tmp_path):
    """Each step starts from the result of the one before, and says which run that was."""
    out = tmp_path / "steps.png"
    words = ["make it blue", "remove the dog", "make it bigger"]
    flags = [part for text in words for part in ("--instruction", text)]
    assert run("--picture", apple, *flags, "--out", out) == 0
    picture, before = PICTURE, None
    for number, text in enumerate(words, 1):
        path = out if number == 3 else tmp_path / f"steps-{number}.png"
        spec = RunSpec.from_file(path)
        assert spec.inputs["instruction"] == text
        assert spec.inputs["source"] == digest(picture)
        assert spec.inputs.get("after") == before
        picture, before = np.asarray(Image.open(path)), spec.id
    assert (picture != PICTURE).any()


def test_a_bad_step_stops_all(apple, tmp_path, capsys):
    out = tmp_path / "steps.png"
    flags = ["--instruction", "make it blue", "--instruction", ""]
    assert run("--picture", apple, *flags, "--out", out) == 2
    assert "say what to change" in capsys.readouterr().err
    assert not out.exists() and not (tmp_path / "steps-1.png").exists()


def test_a_picture_is_asked_for(tmp_path, capsys):
    assert run("--instruction", WORDS, "--out", tmp_path / "a.png") == 2
    assert f"error: {NO_PICTURE} (--picture FILE).\n" == capsys.readouterr().err


def test_a_record_can_be_drawn_again(apple, tmp_path):
    out, again = tmp_path / "blue.png", tmp_path / "again.png"
    assert run("--picture", apple, "--instruction", WORDS, "--out", out) == 0
    assert main(["generate", "--spec", str(out), "--picture", str(apple), "--out", str(again)]) == 0
    assert out.read_bytes() == again.read_bytes()


def test_events_and_record():
    events = _events()
    assert isinstance(events[-1], Finished)
    inputs = events[-1].record.spec.inputs
    assert (inputs["source"], inputs["instruction"]) == (digest(PICTURE), WORDS)


@pytest.mark.parametrize(("said", "found"), [("blurry", "blurry"), ("", None)])
def test_guidance_of_an_edit_leads_away_from_the_negative_prompt(said, found):
    task = Instruct(source="ab" * 32, instruction="make it blue", negative_prompt=said)
    assert task.conditioning(get_card("tiny-edit"), 2).negative == found
