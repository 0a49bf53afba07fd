"""A suite of styles on a tiny model: learned, run, continued; and what is refused."""

from __future__ import annotations

import pytest

from leaderboard.cli import main
from leaderboard.entry import Entry
from leaderboard.learned import learn, words_of
from leaderboard.runner.job import Job
from leaderboard.runner.run import run
from leaderboard.styles import sheet
from leaderboard.suites.base import get_suite
from leaderboard.suites.embedded_style import EmbeddedStyle, prompts
from leaderboard.suites.style_items import items
from tests.infinity import write_models
from var_spaces import api
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register
from var_spaces.training.personal import as_batch
from var_spaces.training.styles.settings import StyleSettings
from var_spaces.training.styles.tuning import StyleTuning
from var_spaces.zoo.residency import Residency

FEW = StyleSettings(rank=4, steps=2)


@register
class TinyStyles(EmbeddedStyle):
    name = "tiny-styles"

    def items(self):
        chosen = [(one, [prompts(one)[i] for i in (0, 5, -1)]) for one in sheet.pictures()[:2]]
        return items("embedded", chosen)


def spec_of(model, inputs):
    return Entry.of(model).spec("style", inputs, seed=3, first=0, count=1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The tiny text model, and a folder for what learned the pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAR_SPACES_MODELS", f"{tmp_path / 'own'}:{write_models(tmp_path / 'm')}")
    (tmp_path / "own").mkdir()
    return tmp_path


@pytest.fixture
def base(folder):
    with Residency().lease(["tiny-t2i"], "cpu", text=True) as (base,):
        yield base


def test_learned_run_and_ranked_beside_the_words(folder, base, monkeypatch):
    suite = TinyStyles()
    out, said = folder / "own" / "learned", []
    digest = learn(suite, base, FEW, out, folder / "work", lambda *at: said.append(at))
    assert said == [("learn", 1, 2), ("learn", 2, 2)]
    drawn = {}
    for model in ("learned", "tiny-t2i"):
        job = Job(suite, Entry.of(model), work=folder / "jobs")
        result, samples = run(job, now="2026-01-01T00:00:00Z")
        assert result.n == 2 * (2 + 1 + 4)
        drawn[model] = samples.tokens
        names = {score.metric.split("@")[0]: score for score in result.scores}
        assert set(names["style-content-both"].details) == {
            "neither", "content only", "style only", "both",
        }  # fmt: skip
    assert all(a != b for a, b in zip(*drawn.values(), strict=True))

    monkeypatch.setattr(StyleTuning, "run", None)  # nothing is learned twice
    assert learn(suite, base, FEW, folder / "own" / "again", folder / "work") == digest


def test_each_picture_draws_with_what_was_learned_from_it(folder, base):
    learn(TinyStyles(), base, FEW, folder / "own" / "learned", folder / "work")
    for one in sheet.pictures()[:2]:
        pixels = as_batch([one.pixels], base.card.resolution)
        tuning = StyleTuning(base, pixels, one.content, one.style, FEW)
        for _ in tuning.run():
            pass
        tuning.save(folder / "own" / "alone")
        inputs = {"prompt": "a <content> in <style>", "source": one.sha256}
        tokens = []
        for model in ("learned", "alone"):
            spec = spec_of(model, inputs)
            *_, last = api.stream(spec, images={one.sha256: one.pixels}, previews=False)
            tokens.append(last.record.token_sha256)
        assert tokens[0] == tokens[1]


def test_another_picture_is_refused(folder, base):
    learn(TinyStyles(), base, FEW, folder / "own" / "learned", folder / "work")
    other = sheet.pictures()[5]
    spec = spec_of("learned", {"prompt": "x", "source": other.sha256})
    with pytest.raises(VarSpacesError, match="learned 2 pictures, and this is none of them"):
        list(api.stream(spec, images={other.sha256: other.pixels}))


def test_the_command(folder, capsys, monkeypatch):
    out = folder / "own" / "mine"
    flags = ["--suite", "tiny-styles", "--base", "tiny-t2i", "--rank", "0", "--steps", "1"]
    assert main(["learn", *flags, "--all-scales", "--out", str(out)]) == 0
    assert "run --suite tiny-styles --model mine" in capsys.readouterr().out
    assert main(["learn", *flags, "--out", str(out)]) == 2
    assert "exists: choose another folder" in capsys.readouterr().err


def test_a_suite_without_pictures_is_refused():
    with pytest.raises(VarSpacesError, match="no pictures whose content and style"):
        words_of(get_suite("smoke"))
    assert len(words_of(get_suite("embedded-style"))) == 24
