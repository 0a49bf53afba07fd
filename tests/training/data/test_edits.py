"""Pairs for editing: exact, repeatable, clear in their words, and never from what is held out."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from var_spaces.conditioning.packed_encoder import load_minilm
from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.claims import Facts, Seen
from var_spaces.evaluators.edits import PAIRS, Pair, done, kept_psnr, kept_ssim, nearer, read_pairs
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.captions import Choices
from var_spaces.training.data.edits import WEIGHTS, EditSampler, never_trained, render_edits
from var_spaces.training.data.frozen_edits import PER_SPLIT, make_pairs, pictures_of
from var_spaces.training.data.instructions import _TO_THE, JOINTS, WORDINGS, Speaker
from var_spaces.training.data.operations import OPERATIONS
from var_spaces.training.data.recipes import COMPOSED, COMPOSED_WIDE
from var_spaces.training.data.scene import Object, Scene
from var_spaces.training.data.words import PLACES


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas.load()


@pytest.fixture(scope="module", params=[COMPOSED, COMPOSED_WIDE], ids=["composed", "wide"])
def drawn(request, atlas):
    sampler = EditSampler(atlas, request.param)
    return sampler, sampler.batch(3, 0, 600)


def test_rows_depend_on_their_number_only(atlas, drawn):
    sampler, edits = drawn
    assert sampler.batch(3, 590, 10) == edits[590:]
    assert sampler.batch(4, 590, 10) != edits[590:]


def test_all_operations_occur_and_nothing_held_out(drawn):
    sampler, edits = drawn
    assert {edit.operation for edit in edits} == set(WEIGHTS)
    assert {sampler.split_of(edit) for edit in edits} == {"train"}
    assert not any(never_trained(edit.combination) for edit in edits)


def test_held_out_is_a_part(atlas):
    sampler = EditSampler(atlas, replace(COMPOSED, split="all"), held_out=True)
    splits = Counter(sampler.split_of(edit) for edit in sampler.batch(3, 0, 600))
    assert set(splits) == {"train", "unseen_pairs", "unseen_combinations"}
    assert splits["train"] > 400


def test_pictures_differ_inside_the_mask_only(atlas, drawn):
    _, edits = drawn
    before, after, mask = render_edits(atlas, edits[:200])
    outside = ~mask.expand_as(before)
    assert torch.equal(before[outside], after[outside])
    assert bool((before != after).flatten(1).any(1).all())
    assert before.shape == (200, 3, 64, 64) and mask.shape == (200, 1, 64, 64)


def test_objects_that_come_or_move_cover_nothing(drawn):
    for edit in drawn[1]:
        if edit.operation in ("add", "duplicate", "move"):
            new = edit.target.objects[-1] if edit.operation != "move" else edit.changed[-1]
            for other in edit.target.objects:
                apart = max(abs(new.cx - other.cx), abs(new.cy - other.cy))
                assert other == new or apart >= (new.size + other.size) / 2 - 1e-9


EXPECTED = {"add": 1, "duplicate": 1, "remove": -1}


def test_each_operation_does_what_its_name_says(drawn):
    for edit in drawn[1]:
        if edit.operation == "two":
            continue
        old, new = edit.source, edit.target
        assert len(new.objects) - len(old.objects) == EXPECTED.get(edit.operation, 0)
        same = {name for name in ("concept", "style", "tint", "ink", "cx", "size") if new.objects}
        changed = {
            name
            for name in same
            for one, two in zip(old.objects, new.objects, strict=False)
            if edit.operation not in EXPECTED and getattr(one, name) != getattr(two, name)
        }
        allowed = {
            "replace": {"concept", "tint", "ink"},
            "recolour": {"tint", "ink"},
            "restyle": {"style", "ink"},
            "move": {"cx"},
            "enlarge": {"size", "cx"},
            "shrink": {"size", "cx"},
        }
        assert changed <= allowed.get(edit.operation, set())
        assert (old.background != new.background) == (edit.operation == "background")
        if edit.operation in ("enlarge", "shrink"):
            (one,), (two,) = old.objects, new.objects
            assert (one.size < two.size) == (edit.operation == "enlarge")
        if edit.operation == "replace":
            come = edit.changed[-1].concept
            assert come not in {item.concept for item in old.objects}


def test_a_thing_is_named_so_that_it_is_no_other():
    """By colour, then by place; what neither tells apart is not spoken of."""
    choose, speaker = Choices([2**32 - 1] * 99), Speaker({}, 0)

    def key(cx, tint=None):
        return Object("key", "flat", cx=cx, cy=0.25, size=0.3, tint=tint)

    left, right, middle = key(0.25, "red"), key(0.75, "red"), key(0.5, "red")
    for others, said in (
        ((), "the key"),
        ((key(0.75, "blue"),), "the red key"),
        ((right,), "the red key" + " " + PLACES["top left"][-1]),
        ((key(0.26, "red"),), None),
    ):
        assert speaker.the(left, [Scene("white", (left, *others))], choose) == said
        assert speaker.the(left, [Scene("white", (left,)), Scene("white", others)], choose) == said
    assert speaker.the(middle, [Scene("white", (middle, right))], choose) is None  # nowhere clearly


def test_wordings():
    assert set(WORDINGS) == set(OPERATIONS)
    assert all(len(set(texts)) >= 6 for texts in (*WORDINGS.values(), JOINTS))


def test_encoder_knows_the_words(drawn):
    tokenizer = load_minilm().tokenizer
    worded = [text for texts in (*WORDINGS.values(), *_TO_THE.values()) for text in texts]
    for text in (*(edit.instruction for edit in drawn[1]), *worded, *JOINTS):
        assert (
            tokenizer.unk_token_id
            not in tokenizer(text.replace("{", " ").replace("}", " "))["input_ids"]
        ), text


def test_unknown_operations_are_refused(atlas):
    for weights in ({"explode": 1.0}, {"add": 0.0}, {"add": -1.0}):
        with pytest.raises(VarSpacesError, match="recolour"):
            EditSampler(atlas, COMPOSED, weights)
    with pytest.raises(VarSpacesError, match="background"):
        EditSampler(atlas, COMPOSED, {"enlarge": 1.0}).batch(0, 0, 50)


def test_frozen_pairs(atlas):
    """The file holds what it says, and its records still draw exact pairs."""
    pairs = read_pairs()
    counts = Counter((pair.operation, pair.split) for pair in pairs)
    assert {operation for operation, _ in counts} == set(WEIGHTS)
    assert set(counts.values()) == {PER_SPLIT}
    assert Pair.from_json(json.loads(json.dumps(pairs[0].to_json()))) == pairs[0]
    source, target, mask = pictures_of(atlas, pairs[::12])
    assert np.array_equal(source[~mask], target[~mask])
    assert PAIRS.stat().st_size < 10_000_000
    for pair in pairs:
        assert Scene.from_dict(pair.source) != Scene.from_dict(pair.target)


def test_frozen_pairs_can_be_made_again(atlas, monkeypatch):
    monkeypatch.setattr("var_spaces.training.data.frozen_edits.PER_SPLIT", 1)
    monkeypatch.setattr("var_spaces.training.data.frozen_edits.WEIGHTS", {"background": 1.0})
    monkeypatch.setattr("var_spaces.training.data.frozen_edits.DRAWN", 60)
    made = make_pairs(atlas)
    assert {pair.split for pair in made} == {"train", "unseen_pairs"}


def _pair(operation: str, before: list[Seen], after: list[Seen], *grounds: str) -> Pair:
    one, two = grounds or ("white", "white")
    old, new = Facts(tuple(before), (one, one)), Facts(tuple(after), (two, two))
    return Pair(operation, "train", "", "", old, new, {}, {})


CAT = Seen("cat", "flat", "top left")
DOG = Seen("dog", "flat", "middle")


def test_done():
    white = ("white", "white")
    remove = _pair("remove", [CAT, DOG], [CAT])
    assert done(remove, Facts((CAT,), white))
    assert done(remove, Facts((), white))  # the cat is not what was to change
    assert not done(remove, Facts((CAT, DOG), white))
    recolour = _pair("recolour", [CAT], [replace(CAT, colour="blue")])
    assert done(recolour, Facts((replace(CAT, colour="blue", style="soft"),), white))
    assert not done(recolour, Facts((CAT,), white))
    assert not done(recolour, Facts((replace(DOG, place="top left", colour="blue"),), white))
    restyle = _pair("restyle", [CAT], [replace(CAT, style="soft")])
    assert not done(restyle, Facts((CAT,), white))
    swap = _pair("replace", [CAT], [replace(DOG, place="top left")])
    for colour in (None, "blue"):  # its own was asked for, which the parser may call by a name
        assert done(swap, Facts((replace(DOG, place="top left", colour=colour),), white))
    move = _pair("move", [CAT], [replace(CAT, place="middle")])
    assert not done(move, Facts((CAT, replace(CAT, place="middle")), white))
    ground = _pair("background", [CAT], [CAT], "white", "pink")
    assert done(ground, Facts((), ("pink", "pink")))
    assert not done(ground, Facts((CAT,), ("pink", "white")))
    shrink = _pair("shrink", [DOG], [DOG])
    assert done(shrink, Facts((DOG,), white)) and not done(shrink, Facts((), white))


def test_kept_and_nearer():
    rng = np.random.default_rng(0)
    source = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    target, mask = source.copy(), np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    target[mask] = 255 - target[mask]
    assert kept_psnr(target, source, mask) == 50
    assert kept_ssim(target, source, mask) == pytest.approx(1)
    assert nearer(target, source, target, mask) and not nearer(source, source, target, mask)
    worse = np.clip(target.astype(int) + 25, 0, 255).astype(np.uint8)
    error = np.square(worse[~mask].astype(float) - source[~mask]).mean()
    assert kept_psnr(worse, source, mask) == pytest.approx(10 * np.log10(255**2 / error))
    assert 0.5 < kept_ssim(worse, source, mask) < 1
    assert np.isnan(kept_psnr(source, source, np.ones((32, 32), bool)))
