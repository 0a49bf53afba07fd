"""Does a picture show that very thing, as its prompt says, and is the rest of the model as it was?

Ruiz et al. 2023 (DreamBooth, arXiv 2208.12242, section 4.2 and the supplement): fidelity to the
subject (DINO, CLIP-I) and to the prompt (CLIP-T), preservation of the class (PRES: similarity of
plain pictures of the class to the subject, which should be low) and diversity (DIV).

An item's fact "group" says what it is drawn for: "prompts", "prior" (the class alone, without the
subject) or "diversity" (one prompt, several seeds); every metric looks at one group.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from leaderboard.extractors.judge import JudgeFeatures
from leaderboard.extractors.scene_parser import SceneFacts
from leaderboard.metrics.base import Batch, Context, Metric, Value
from leaderboard.metrics.bootstrap import clustered_interval
from leaderboard.metrics.clip_score import cosines
from leaderboard.metrics.diversity import Diversity
from leaderboard.metrics.looking import Looking
from leaderboard.subjects import subject
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.extractors.base import Extractor
    from leaderboard.item import Item
    from leaderboard.references.base import RealFeatures


class OfGroups(Metric):
    """Base class: the mean of one number per image over the images of some groups. Intervals are
    over the pictures that are learned, where a suite has several.

    Attributes:
        groups: values of the fact "group" of items that count.
    """

    version = 2

    paper = "https://arxiv.org/abs/2208.12242"
    groups: ClassVar[tuple[str, ...]] = ("prompts",)
    facts = ("group",)

    @abstractmethod
    def numbers(self, batch: Batch, context: Context) -> np.ndarray:
        """One number per image of a batch of these groups, ``(B,)``."""

    def measure(self, batch: Batch, context: Context) -> np.ndarray:
        """``(B, 2)``: the number, and that of its :meth:`cluster`; both are 0 for images of other
        groups."""
        counting = [item.facts["group"] in self.groups for item in batch.items]
        found, own = np.zeros((len(counting), 2)), np.array(counting)
        found[own, 1] = [_number(self.cluster(item)) for item in compress(batch.items, counting)]
        if own.any():
            found[own, 0] = self.numbers(batch if own.all() else some(batch, own), context)
        return found

    def cluster(self, item: Item) -> str:
        """What images share that are alike: the subject or picture that they are drawn from."""
        return item.facts.get("subject") or item.facts.get("picture", "")

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        own, clusters = counted(values)
        return Value(float(own.mean()), *clustered_interval(own, clusters))


def counted(values: np.ndarray) -> np.ndarray:
    """Numbers and clusters of the images that count, ``(2, N)``, of values as measured."""
    return values[values[:, 1] > 0].T


def _number(name: str) -> int:
    """A positive number for a name, the same everywhere, that float64 holds."""
    return 1 + int(hashlib.sha256(name.encode()).hexdigest()[:12], 16)


def some(batch: Batch, chosen: np.ndarray) -> Batch:
    """The items of a batch that are ``chosen (B,)``."""
    items = tuple(compress(batch.items, chosen))
    return replace(batch, items=items, images=batch.images[chosen], tokens=batch.tokens[chosen])


# --- is it that very thing? -----------------------------------------------------------------------


class Likeness(OfGroups, Looking):
    """Mean cosine of the features of an image with those of all pictures of the subject, -1..1."""

    better = "higher"
    facts = ("group", "subject")

    def numbers(self, batch: Batch, context: Context) -> np.ndarray:
        network = context.network(self.uses)
        drawn = context.features(self.uses, batch.images)
        return np.array(
            [
                np.mean([cosines(row[None], one)[0] for one in _features(network, item)])
                for row, item in zip(drawn, batch.items, strict=True)
            ]
        )


def _features(network, item: Item) -> list[np.ndarray]:
    """Features ``(1, d)`` of every picture of the item's subject; sizes may differ."""
    return [network(picture[None]) for picture in subject(item.facts["subject"]).pictures]


@register
class SubjectClipI(Likeness):
    """CLIP-I."""

    name = "subject-clip-i"
    title = "CLIP-I to the subject"

    extractor: str = Field("embedded-clip", description="a CLIP")


@register
class SubjectDino(Likeness):
    """DINO; published numbers use ViT-S/16."""

    name = "subject-dino"
    title = "DINO to the subject"

    extractor: str = Field("dino-vit-s-16", description="a DINO")


@register
class PriorLikeness(Likeness):
    """PRES: how much plain pictures of the class look like the subject; they need not."""

    name = "subject-pres"
    title = "Class taken over (PRES)"
    better = "lower"
    groups = ("prior",)

    extractor: str = Field("embedded-clip", description="any extractor of features")


@register
class SubjectDistance(OfGroups):
    """Squared distance of unit features per position of the embedded judge, mean over positions,
    layers and the pictures of the subject; see ``judge-distance``."""

    name = "subject-distance"
    title = "Distance to the subject (judge)"
    better = "lower"
    facts = ("group", "subject")

    @property
    def uses(self) -> Extractor:
        return JudgeFeatures()

    def numbers(self, batch: Batch, context: Context) -> np.ndarray:
        network = context.network(self.uses)
        drawn = network.layers(batch.images)
        found = []
        for at, item in enumerate(batch.items):
            real = network.layers(np.stack(subject(item.facts["subject"]).pictures))
            per_layer = [
                (layer[at] - other).square().sum(1).mean().item()
                for layer, other in zip(drawn, real, strict=True)
            ]
            found.append(np.mean(per_layer))
        return np.array(found)


# --- is it what the prompt says? ------------------------------------------------------------------


@register
class SubjectClipT(OfGroups, Looking):
    """CLIP-T: 100 times the cosine of image and caption, at least 0."""

    name = "subject-clip-t"
    title = "CLIP-T (100 cos)"
    better = "higher"
    facts = ("group", "caption", "template")

    extractor: str = Field("embedded-clip", description="a CLIP")
    unfilled: bool = Field(
        False, description="compare with the template of the prompt, its place left as {}"
    )

    @property
    def short(self) -> str:
        return f"{self.title}, {self.uses.title}" + (", as published" if self.unfilled else "")

    def numbers(self, batch: Batch, context: Context) -> np.ndarray:
        fact = "template" if self.unfilled else "caption"
        texts = context.network(self.uses).texts([item.facts[fact] for item in batch.items])
        return 100 * cosines(context.features(self.uses, batch.images), texts).clip(0)


class Parsed(OfGroups):
    """Share of images of which something holds that the embedded scene parser sees, 0..1."""

    better = "higher"
    facts = ("group", "claims")

    @property
    def uses(self) -> Extractor:
        return SceneFacts()

    def numbers(self, batch: Batch, context: Context) -> np.ndarray:
        from var_spaces.evaluators.claims import Caption, Thing, checks

        seen = context.network(self.uses)(batch.images)
        found = []
        for item, facts in zip(batch.items, seen, strict=True):
            claims = dict(item.facts["claims"])
            things = tuple(Thing(**thing) for thing in claims["things"])
            found.append(self.right(checks(Caption(**{**claims, "things": things}), facts)))
        return np.array(found, np.float64)

    def right(self, checks: dict[str, bool]) -> bool:
        return checks["object"]


@register
class SubjectPrompt(Parsed):
    """Every claim of the prompt: the class, the other thing, the background."""

    name = "subject-prompt"
    title = "Prompt followed"

    def right(self, checks: dict[str, bool]) -> bool:
        return all(checks.values())


@register
class SubjectClass(Parsed):
    """The things that are asked for."""

    name = "subject-class"
    title = "Class right"


@register
class PriorClass(Parsed):
    """The class, where it is asked for without the subject."""

    name = "subject-prior-class"
    title = "Class right without the subject"
    groups = ("prior",)


# --- is every picture another one? ----------------------------------------------------------------


@register
class SubjectDiversity(OfGroups, Looking):
    """DIV: mean perceptual distance over all pairs of images of one prompt; see ``diversity``."""

    name = "subject-diversity"
    title = "Diversity (DIV)"
    better = "higher"
    groups = ("diversity",)
    facts = ("group", "subject", "template")

    extractor: str = Field("judge", description="network that compares two images")

    def numbers(self, batch: Batch, context: Context) -> np.ndarray:
        return Diversity(extractor=self.extractor).measure(batch, context)[:, 0]

    def cluster(self, item: Item) -> str:
        """The prompt: distances of its images share their pairs."""
        return f"{item.facts['subject']} {item.facts['template']}"


@register
class PromptDiversity(SubjectDiversity):
    """The same of the seeds of every prompt, mean over prompts: DIV of ARBooth (arXiv 2504.02612).
    The suite must put all seeds of a prompt into one batch."""

    name = "subject-prompt-diversity"
    title = "Diversity of every prompt (DIV)"
    groups = ("prompts",)

    extractor: str = Field("judge", description="network that compares two images")
