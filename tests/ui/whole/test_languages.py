"""Every language says all that the page says, and nothing that the page no longer says."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.ui import states, words
from tests.ui.run.test_html import EMPTY, VIEWS, running
from var_spaces import RunSpec, methods
from var_spaces.errors import InputError
from var_spaces.ui import languages
from var_spaces.ui.form.examples import examples
from var_spaces.ui.own.draw import IDEAS
from var_spaces.ui.own.lessons import LESSONS
from var_spaces.ui.run import cost, onward, stage
from var_spaces.zoo.cards import cards

# that gradio's own tables lack; tests/ui/whole/test_edit_browser.py sees them
EDITOR = {"Upload an image", "select the draw tool to start"}
KINDS = ("task", "guidance", "sampling", "cache", "decoding", "suite", "reward", "features")


def names() -> set[str]:
    """What has a name of its own, which is the same in all languages."""
    found = {name for kind in KINDS for name in methods.names(kind)}
    found |= {methods.get("task", name).title for name in methods.names("task")}
    for card in cards().values():
        found |= {card.id, card.title, *card.classes, *card.styles}
    for card in cards("generator").values():  # prompts to click on are English everywhere
        for name in methods.names("task"):
            found |= {example.label for example in examples(name, card)}
    for lesson in LESSONS.values():  # and so are words for what is learned
        found |= {word.placeholder for word in lesson.words} | {*lesson.trials, *IDEAS[lesson.tab]}
    return found | {"VAR Spaces", "English", "cat · soft", "too <big>", "tiny", "Ada"}


def of_runs() -> set[str]:
    """What is said of runs in every state."""
    done = replace(running(3), phase="done")
    found: set[str] = set()
    pinned = replace(done, scales=(replace(done.scales[0], kv_pinned_bytes=600),))
    for view in (*VIEWS, EMPTY, done, pinned):
        found |= set(words.spoken(stage.status(view)))
        found |= set(words.spoken([p for n, p in stage.parts(view).items() if n != "frames"]))
        found |= set(words.spoken(cost.parts(view)))
    edit = RunSpec(model="tiny", task="refine", inputs={"source": "0" * 64})
    for spec in (edit, RunSpec(model="tiny")):
        for said in (f"Settings of run {spec.id} are back.", "The comparison is back."):
            found |= set(words.spoken(stage.restored(said, "Compare", spec)))
    for drawn in (0.0, 1.0):
        found |= set(words.spoken(stage.stopped(stage.line("running", "", drawn))))
    return found | set(words.spoken(onward.onward(done)))


def of_requests() -> set[str]:
    """What tasks of the page say when something is missing, or given twice."""
    found, key = set(), "0" * 64
    region = {"source": key, "rectangle": [0, 0, 1, 0.5]}
    given = {
        "instruct": [{}, {"source": key}, {"source": key, "instruction": " "}],
        "edit": [{"source": key}, {"source": key, "mode": "expansion"}, {**region, "mask": key}],
        "control": [{}, {"source": key, "map": key}],
        "refine": [{}],
    }
    for task, inputs in given.items():
        for some in inputs:
            with pytest.raises(InputError) as refused:
                RunSpec(model="tiny", task=task, inputs=some)
            found.add(str(refused.value))
    picture = "There is no picture yet: hand one in."  # alone: a form asks for pictures first
    return {said.removeprefix(picture).strip() or picture for said in found}


@pytest.mark.parametrize("code", languages.codes())
def test_nothing_is_left_in_english(models, code):
    table = words.Table(languages.table(code))
    said = words.of_page() | words.of_methods() | words.of_glossary() | words.of_scripts()
    said |= words.of_sources() | words.of_metrics() | words.of_limits()
    said |= of_requests() | of_runs() | states.of_states() | EDITOR
    said = {text for text in said if re.search("[A-Za-z]{3}", text)}
    missing = sorted(text for text in said if not table.knows(text) and not is_name(text))
    assert not missing, "\n".join(missing)


def is_name(text: str) -> bool:
    """A name, several of them, or data: sizes, identities, entries, attributes of style."""
    if re.search(
        r"^(?:smoke: )?tiny-|--shape|^[0-9a-f]{16}$|@\d|\$\{|px$|KiB|^[a-z]+ v\d|about [\d.]+ min",
        text,
    ):
        return True
    parts = re.split(r" · | → |: (?:right|left) half anew|, seed .*", text)
    return all(part in names() or not part for part in parts)


@pytest.mark.parametrize("code", languages.codes())
def test_places_of_a_sentence_are_kept(code):
    for english, other in languages.table(code).items():
        assert other
        for place in words.PLACES:
            assert english.count(place) == other.count(place), english
