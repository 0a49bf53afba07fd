"""How content and style of a picture are learned; the defaults suit the embedded models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from var_spaces.ranges import Bounds
from var_spaces.training.engine.amounts import Seed, Share
from var_spaces.training.engine.config import check_types

# What a thing may be called: texts that name the content whatever the style. Published lists have
# 50 to 200 of them, written by a language model.
VIEWS = (
    "{}", "a {}", "one {}", "the {}", "a small {}", "a big {}", "an old {}", "a young {}",
    "a new {}",
    "a single {}", "a simple {}", "a round {}", "a long {}", "a bright {}", "a dark {}",
    "a red {}", "a green {}", "a blue {}", "a yellow {}", "a white {}", "a brown {}",
    "a {} from the side", "a {} from the front", "a {} from above", "half of a {}", "part of a {}",
    "a {} on the left", "a {} on the right", "a {} at the top", "a {} in the middle",
    "a {} on a table", "a {} in a garden", "a {} at home", "a {} in the sun", "a {} at night",
    "two {}", "many {}", "a {} and a tree", "a {} next to a house", "a toy {}",
)  # fmt: skip


@dataclass(frozen=True)
class StyleSettings:
    """Settings of CSD-VAR (https://arxiv.org/abs/2507.13984).

    Args:
        text_rows, rank, slots: see :class:`var_spaces.adapters.content_style.ContentStyle`.
        steps: updates; style and content take turns, style first. Published 200.
        lr: learning rate of Adam; 1e-3 in the paper, 1e-2 with AdamW in the released script.
        betas, clip: of the optimiser.
        warm_up: updates until the learning rate is full, then it falls linearly to 0; 0: constant.
        alpha: how much the scales of content count in the loss of style.
        scale_aware: without it both follow a loss that counts all scales alike.
        last_is_style: the last scale belongs to style (paper) or to content (released code).
        mean: "scale" adds up the means of scales (paper), "group" takes one mean over all tokens of
            a group (released code).
        center: take the mean of all names away before their directions are found.
        orthogonality: weight of the loss on the cosine between rows of style and of content;
            published 0.4 where it is on.
        drop_text: share of updates with the learned empty text.
        flips: highest rate of flipped bits (self-correction).
        seed: of everything that is drawn.
    """

    text_rows: Annotated[int, Bounds(1, 64)] = 4
    rank: Annotated[int, Bounds(0, len(VIEWS))] = 10
    slots: Annotated[int, Bounds(0, 16)] = 1
    steps: Annotated[int, Bounds(1, 100_000)] = 200
    lr: Annotated[float, Bounds(1e-9, 1)] = 1e-2
    betas: tuple[float, float] = (0.9, 0.95)
    clip: Annotated[float, Bounds(1e-6, 1e6)] = 1.0
    warm_up: Annotated[int, Bounds(0, 100_000)] = 20
    alpha: Annotated[float, Bounds(0, 10)] = 0.1
    scale_aware: bool = True
    last_is_style: bool = True
    mean: Literal["scale", "group"] = "scale"
    center: bool = False
    orthogonality: Annotated[float, Bounds(0, 100)] = 0.0
    drop_text: Share = 0.1
    flips: Share = 0.1
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_types(type(self), vars(self))


PAPER = StyleSettings(lr=1e-3, betas=(0.9, 0.999), warm_up=0)
"""As the paper says it; what it leaves open is as above."""

RELEASED = StyleSettings(warm_up=50, last_is_style=False, mean="group", flips=0.0)
"""As the released script of the Switti model, but for three things: the rate falls from the end of
the warm-up on (there it stays full for 5 % of the rest), an update without text has none at all
(there its pooled vector alone is missing), and that vector is of the caption of the turn (there of
the whole caption). The script evaluates after 150 of its 200 updates."""
