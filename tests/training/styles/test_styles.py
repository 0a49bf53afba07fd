"""Content and style of one picture: what is trained, what is not, and the command."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.infinity import write_models
from var_spaces import cli
from var_spaces.adapters.content_style_run import ContentStyleRun
from var_spaces.training.__main__ import main, parser
from var_spaces.training.styles.command import settings_of
from var_spaces.training.styles.settings import StyleSettings
from var_spaces.training.styles.tuning import StyleTuning
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.residency import Residency

FEW = {"rank": 4, "steps": 2, "drop_text": 0.0}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A picture, and an empty folder for models beside the tiny ones."""
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{tmp_path / 'own'}:{write_models(tmp_path / 'm')}")
    (tmp_path / "own").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "owl.png")
    return tmp_path


@pytest.fixture
def tuned(folder):
    """``tuned(**settings)`` begins a training on the tiny text model."""
    zoo = Residency()
    with zoo.lease(["tiny-t2i"], "cpu", text=True) as (base,):

        def begin(**settings) -> StyleTuning:
            side = get_card("tiny-t2i").resolution
            picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
            given = StyleSettings(**{**FEW, **settings})
            return StyleTuning(base, picture * 2 - 1, "owl", "glossy", given)

        yield begin


def changed(tuning: StyleTuning, before: dict) -> set[str]:
    return {n for n, p in tuning.own.named_parameters() if not torch.equal(p, before[n])}


def test_each_turn_changes_its_own_rows_and_memory_only(tuned):
    tuning = tuned()
    base = {k: v.clone() for k, v in tuning.base.backbone.state_dict().items()}
    words = {k: v.clone() for k, v in tuning.encoder.model.state_dict().items()}
    steps = tuning.run()
    for turn, other in (("style", "content"), ("content", "style")):
        before = {n: p.detach().clone() for n, p in tuning.own.named_parameters()}
        tuning.optimizer.state.clear()  # momentum of the turn before would move its rows
        done = next(steps)
        assert done.turn == turn
        assert turn in changed(tuning, before)
        moved = (turn, other)
        at = ("style", "content").index(turn)
        assert not torch.equal(tuning.own.values[at], before["values"][at])
        gradient = getattr(tuning.own, moved[1]).grad
        assert gradient is None or not gradient.any()
    for kept, now in ((base, tuning.base.backbone), (words, tuning.encoder.model)):
        assert all(torch.equal(kept[k], v) for k, v in now.state_dict().items())


def test_rows_begin_with_the_words_and_style_is_free_of_content(tuned):
    tuning = tuned()
    rows = tuning.own.content.detach()
    assert torch.equal(
        rows, tuning._word("owl")[torch.arange(len(rows)) % len(tuning._word("owl"))]
    )
    directions = tuning.own.directions
    torch.testing.assert_close(directions @ directions.mT, torch.eye(4), rtol=0, atol=1e-4)
    run = ContentStyleRun(tuning.adapter, tuning.own, tuning.encoder, ())
    plain = tuned(rank=0)
    free = ContentStyleRun(plain.adapter, plain.own, plain.encoder, ())
    with torch.no_grad():
        with_rank, without = run.read("a car in <style>"), free.read("a car in <style>")
    moved = (with_rank != without).any(-1).nonzero().flatten().tolist()
    assert len(moved) == tuning.settings.text_rows  # only rows of style
    assert (with_rank[moved] @ directions.mT).abs().max() < 1e-4


@pytest.mark.parametrize("others", [4, 64])
def test_prompts_are_as_long_as_the_model_reads(tuned, others):
    """Whatever is read of a prompt for the models that share the encoder."""
    tuning = tuned()
    tuning.encoder.max_length = others
    run = ContentStyleRun(tuning.adapter, tuning.own, tuning.encoder, ())
    with torch.no_grad():
        states = run.read("<content> in <style> " + "and a very long story " * 9)
    assert len(states) == tuning.base.backbone.config.text_len


def test_the_same_seed_learns_the_same(tuned):
    results = []
    for _ in range(2):
        tuning = tuned(drop_text=0.5)
        losses = [done.loss for done in tuning.run()]
        results.append((losses, tuning.own.style.detach().clone()))
    assert results[0][0] == results[1][0] and torch.equal(results[0][1], results[1][1])


def command(folder, *more: str) -> list[str]:
    found = ["content-style", "--picture", str(folder / "owl.png"), "--content", "owl"]
    found += ["--style", "glossy", "--base", "tiny-t2i", "--out", str(folder / "own" / "my-style")]
    return [*found, "--device", "cpu", "--steps", "2", "--rank", "4", *more]


def test_scales_that_do_not_count_are_not_computed(tuned, monkeypatch):
    """Content ends before the last scale; the loss and what follows from it are the same."""
    seen, found = [], []
    for whole in (False, True):
        tuning = tuned(flips=0.0)
        backbone = type(tuning.base.backbone)
        forward = backbone.forward

        def spy(self, text, tokens, *args, whole=whole, forward=forward, **more):
            seen.append(tokens.shape[1])
            if not whole:
                return forward(self, text, tokens, *args, **more)
            missing = self.schedule.total - self.schedule.lengths[0] - tokens.shape[1]
            padded = torch.nn.functional.pad(tokens, (0, 0, 0, missing))
            return forward(self, text, padded, *args, **more)[:, : 1 + tokens.shape[1]]

        with monkeypatch.context() as patch:
            patch.setattr(backbone, "forward", spy)
            loss = tuning._loss("content")
        loss.backward()
        found.append((loss.detach(), tuning.own.content.grad))
    total = tuning.schedule.total
    assert seen[0] == seen[1] == total - tuning.schedule.lengths[0] - tuning.schedule.lengths[-1]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_from_a_picture_to_pictures(folder, capsys):
    assert main(command(folder)) == 0
    assert 5e-324 * 1.0 > 0  # the smallest numbers are there again
    assert "2 of 2  content" in capsys.readouterr().out
    drawn = {}
    for name, model, prompt in (
        ("content", "my-style", "<content> in flat style"),
        ("style", "my-style", "a car in <style>"),
        ("both", "my-style", "a <content> in <style>"),
        ("words", "my-style", "a car"),
        ("base", "tiny-t2i", "a car"),
    ):
        out = folder / f"{name}.png"
        given = ["generate", "--model", model, "--prompt", prompt, "--out", str(out)]
        assert cli.main(given) == 0
        drawn[name] = np.asarray(Image.open(out)).tobytes()
    assert drawn["words"] == drawn["base"]  # without learned rows it is the base, bit for bit
    assert len(set(drawn.values())) == 4
    card = json.loads((folder / "own" / "my-style" / "card.json").read_text("utf-8"))
    assert card["adapter"]["content"] == "owl" and card["base"] == "tiny-t2i"


@pytest.mark.parametrize("policy", ["full", "streaming-llm", "scalekv", "hack"])
def test_memory_is_seen_with_every_kind_of_cache(folder, policy):
    assert main(command(folder, "--quiet")) == 0
    out = str(folder / "a.png")
    given = ["generate", "--model", "my-style", "--prompt", "a <content> in <style>"]
    assert cli.main([*given, "--cache", policy, "--out", out]) == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--content", " "], "Give a word for what the picture shows"),
        (["--base", "tiny-bits"], "is a tokenizer, not a generator"),
        (["--rank", "99"], "rank = 99 is out of range: allowed is 0 to"),
        (["--steps", "0"], "steps = 0 is out of range"),
        (["--picture", "none.png"], "none.png"),
    ],
)
def test_refused_before_any_work(folder, capsys, more, message):
    assert main([*command(folder, "--quiet"), *more]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list((folder / "own").iterdir())


def test_the_command_of_the_docs():
    page = Path(__file__).parents[3] / "docs" / "style.md"
    start = "python -m var_spaces.training "
    (line,) = (x for x in page.read_text("utf-8").splitlines() if x.startswith(start))
    args = parser().parse_args(shlex.split(line.removeprefix(start)))
    assert settings_of(args) == StyleSettings()
    assert (args.content, args.style, args.base) == ("owl", "glossy", "t2i-bit")
