"""What a model can be taught on the page: a subject, or content and style of one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from var_spaces.errors import VarSpacesError
from var_spaces.zoo.cards import Card, cards

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.zoo.residency import LoadedModel

FEWEST_STEPS, MOST_STEPS = 2, 400
TRIED = 6  # times that pictures are drawn while it learns


@dataclass(frozen=True)
class Word:
    """A word that the visitor gives for what the pictures show.

    Attributes:
        seen: what the scene parser may suggest: "concept" or "style".
    """

    key: str
    label: str
    placeholder: str
    seen: str


@dataclass(frozen=True)
class Lesson:
    """Something to teach.

    Attributes:
        tab: of the page.
        adapter: what comes of it.
        most: pictures, at most.
        words: that belong to them.
        starts: names of settings to begin with, the usual one first, with what they are.
        trials: prompts drawn while it learns.
        tune: from base model, pictures ``(N, 3, H, W)``, words, name of a start and steps to what
            learns: it has ``run()``, ``own``, ``adapter``, ``step`` and ``save(folder)``.
        losses: of a step, by what they are of.
    """

    tab: str
    adapter: str
    most: int
    words: tuple[Word, ...]
    starts: Mapping[str, str]
    trials: tuple[str, ...]
    tune: Callable[[LoadedModel, Tensor, Mapping[str, str], str, int | None], Any]
    losses: Callable[[Any], Mapping[str, float]]

    def title(self, words: Mapping[str, str]) -> str:
        """What the result is called."""
        return " in ".join(words[word.key] for word in self.words)

    def check(self, pictures: Sequence[Any], words: Mapping[str, str], start: str) -> None:
        """Refuse what cannot be taught, before any work.

        Raises:
            VarSpacesError: one line.
        """
        if not pictures:
            several = f"one to {self.most} pictures" if self.most > 1 else "a picture"
            raise VarSpacesError(f"There is nothing to learn from yet: hand in {several}.")
        if len(pictures) > self.most:
            raise VarSpacesError(
                f"{len(pictures)} pictures are too many: hand in {self.most} at most."
            )
        for word in self.words:
            if not words[word.key].strip():
                raise VarSpacesError(f"{word.label} is missing, for example: {word.placeholder}.")
            if len(words[word.key]) > 40 or not words[word.key].isprintable():
                raise VarSpacesError(f"{word.label} must be a word or two, 40 letters at most.")
        if start not in self.starts:
            raise VarSpacesError(f"Settings to begin with are {', '.join(self.starts)}.")


def bases() -> dict[str, Card]:
    """Models that can be taught: those that draw prompts and are no adapters."""
    return {
        name: card
        for name, card in cards("generator").items()
        if "text" in card.offers and not card.adapter
    }


def _subject(
    base: LoadedModel, pictures: Tensor, words: Mapping[str, str], start: str, steps: int | None
) -> Any:
    from var_spaces.training.subjects.command import STARTS
    from var_spaces.training.subjects.tuning import SubjectTuning

    settings = replace(STARTS[start], steps=steps or STARTS[start].steps)
    return SubjectTuning(base, pictures, words["word"], settings)


def _style(
    base: LoadedModel, pictures: Tensor, words: Mapping[str, str], start: str, steps: int | None
) -> Any:
    from var_spaces.training.styles.command import STARTS
    from var_spaces.training.styles.tuning import StyleTuning

    settings = replace(STARTS[start], steps=steps or STARTS[start].steps)
    return StyleTuning(base, pictures, words["content"], words["style"], settings)


SUBJECT = Lesson(
    tab="subject",
    adapter="subject",
    most=5,
    words=(Word("word", "What it is, in a word", "dog", "concept"),),
    starts={
        "embedded": "whole layers: the closest likeness",
        "lora": "thin matrices (LoRA): a small file",
    },
    trials=("a photo of <it>", "<it> on a blue background"),
    tune=_subject,
    losses=lambda at: {"your pictures": at.instance, "others of its kind": at.prior},
)
STYLE = Lesson(
    tab="style",
    adapter="content-style",
    most=1,
    words=(
        Word("content", "What it shows", "owl", "concept"),
        Word("style", "How it is drawn", "glossy", "style"),
    ),
    starts={
        "embedded": "as suits the models that come with the page",
        "paper": "as in the paper",
        "released": "as in the authors' script",
    },
    trials=("<content> in flat style", "a car in <style>"),
    tune=_style,
    losses=lambda at: {at.turn: at.loss},
)
LESSONS = {lesson.tab: lesson for lesson in (SUBJECT, STYLE)}
