"""Were content and style of one picture learned apart?

After CSD-VAR (arXiv 2507.13984, section 4): what was learned of the content is drawn in named
styles ("content"), what was learned of the style on named things ("style"), and both together
("both"). An item's fact "group" says which; "concept" and "style" what it should show, "picture"
where it was learned. The published numbers compare features (CSD, DINO, CLIP-I); the atlas holds
every thing in every style, so here a judge names both, and the drawing that is wanted is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from leaderboard.extractors.judge import JudgeFeatures
from leaderboard.extractors.style_read_out import StyleReadOut
from leaderboard.metrics.base import Batch, Context, Value
from leaderboard.metrics.bootstrap import clustered_interval
from leaderboard.metrics.clip_score import cosines
from leaderboard.metrics.looking import Looking
from leaderboard.metrics.subject import OfGroups, counted
from leaderboard.styles import picture
from var_spaces.methods import register

if TYPE_CHECKING:
    from leaderboard.extractors.base import Extractor
    from leaderboard.references.base import RealFeatures

CELLS = ("neither", "content only", "style only", "both")


# --- right or wrong -------------------------------------------------------------------------------


class TwoByTwo(OfGroups):
    """Base class: content right or wrong, style right or wrong; the score is the share of some of
    the four cells, whose shares are its details.

    Attributes:
        right: positions of the cells (in ``CELLS``) that count.
    """

    paper = "https://arxiv.org/abs/2507.13984"
    better = "higher"
    facts = ("group", "concept", "style")
    right: ClassVar[tuple[int, ...]] = (3,)

    @property
    def uses(self) -> Extractor:
        return StyleReadOut()

    def numbers(self, batch: Batch, context: Context) -> np.ndarray:
        """Position of the cell of every image."""
        things, styles = context.network(self.uses).names(batch.images)
        content = [s == i.facts["concept"] for s, i in zip(things, batch.items, strict=True)]
        style = [s == i.facts["style"] for s, i in zip(styles, batch.items, strict=True)]
        return np.array(content, np.float64) + 2 * np.array(style, np.float64)

    def score(self, values: np.ndarray, real: RealFeatures | None) -> Value:
        cells, clusters = counted(values)
        right = np.isin(cells, self.right).astype(np.float64)
        shares = {name: float((cells == cell).mean()) for cell, name in enumerate(CELLS)}
        return Value(float(right.mean()), *clustered_interval(right, clusters), shares)


@register
class ContentKept(TwoByTwo):
    """In whatever style."""

    name = "style-content-kept"
    title = "Learned content right (judge)"
    groups = ("content",)
    right = (1, 3)


@register
class StyleKept(TwoByTwo):
    """On whatever thing."""

    name = "style-style-kept"
    title = "Learned style right (judge)"
    groups = ("style",)
    right = (2, 3)


@register
class ContentInStyle(TwoByTwo):
    """The learned content, and the style that the prompt names."""

    name = "style-content-both"
    title = "Learned content in a named style (judge)"
    groups = ("content",)


@register
class StyleOnThing(TwoByTwo):
    """The learned style, and the thing that the prompt names."""

    name = "style-style-both"
    title = "A named thing in the learned style (judge)"
    groups = ("style",)


@register
class Together(TwoByTwo):
    """Learned content in learned style: the picture itself."""

    name = "style-together"
    title = "Both learned, together (judge)"
    groups = ("both",)


# --- likeness -------------------------------------------------------------------------------------


class StyleDistance(OfGroups):
    """Base class: squared distance of unit features per position of the embedded judge from the
    drawing that is wanted, mean over positions and layers; see ``judge-distance``."""

    paper = "https://arxiv.org/abs/2507.13984"
    better = "lower"
    facts = ("group", "concept", "style")

    @property
    def uses(self) -> Extractor:
        return JudgeFeatures()

    def numbers(self, batch: Batch, context: Context) -> np.ndarray:
        from leaderboard.styles.sheet import truth

        wanted = [truth(item.facts["concept"], item.facts["style"]) for item in batch.items]
        return context.network(self.uses).distance(batch.images, np.stack(wanted))


@register
class ContentDistance(StyleDistance):
    """From the learned thing, drawn in the named style."""

    name = "style-content-distance"
    title = "Learned content, distance to the truth (judge)"
    groups = ("content",)


@register
class StyleDistanceOnThing(StyleDistance):
    """From the named thing, drawn in the learned style."""

    name = "style-style-distance"
    title = "Learned style, distance to the truth (judge)"
    groups = ("style",)


class PictureLikeness(OfGroups, Looking):
    """Base class: cosine of the features of an image with those of the picture, -1..1."""

    paper = "https://arxiv.org/abs/2507.13984"
    better = "higher"
    facts = ("group", "picture")

    def numbers(self, batch: Batch, context: Context) -> np.ndarray:
        network = context.network(self.uses)
        names = [item.facts["picture"] for item in batch.items]
        real = {name: network(picture(name).pixels[None])[0] for name in dict.fromkeys(names)}
        drawn = context.features(self.uses, batch.images)
        return cosines(drawn, np.stack([real[name] for name in names]))


@register
class ContentClipI(PictureLikeness):
    """CLIP-I: identity of the learned content in other styles."""

    name = "style-clip-i"
    title = "CLIP-I of content"
    groups = ("content",)

    extractor: str = Field("embedded-clip", description="a CLIP")


@register
class ContentCsd(PictureLikeness):
    """CSD-C."""

    name = "style-csd-c"
    title = "CSD-C"
    groups = ("content",)

    extractor: str = Field("csd-content", description="features of content")


@register
class StyleCsd(PictureLikeness):
    """CSD-S."""

    name = "style-csd-s"
    title = "CSD-S"
    groups = ("style",)

    extractor: str = Field("csd-style", description="features of style")


@register
class StyleDino(PictureLikeness):
    """DINO of the style on other things, as published."""

    name = "style-dino"
    title = "DINO of style"
    groups = ("style",)

    extractor: str = Field("dino-vit-s-16", description="a DINO")


# --- is it what the prompt says? ------------------------------------------------------------------


@register
class StyleClipT(OfGroups, Looking):
    """CLIP-T: 100 times the cosine of image and caption, at least 0; named content and named style
    alike."""

    name = "style-clip-t"
    title = "CLIP-T (100 cos)"
    paper = "https://arxiv.org/abs/2507.13984"
    better = "higher"
    groups = ("content", "style")
    facts = ("group", "caption")

    extractor: str = Field("embedded-clip", description="a CLIP")

    def numbers(self, batch: Batch, context: Context) -> np.ndarray:
        texts = context.network(self.uses).texts([item.facts["caption"] for item in batch.items])
        return 100 * cosines(context.features(self.uses, batch.images), texts).clip(0)
