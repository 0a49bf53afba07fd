"""How a subject is learned; the defaults suit the embedded models on a CPU."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, get_args

from var_spaces.adapters.subject_layers import SubjectLayers
from var_spaces.errors import VarSpacesError
from var_spaces.ranges import Bounds
from var_spaces.training.engine.amounts import DropPath, Seed, Share
from var_spaces.training.engine.config import check_types

Prior = Literal["joint", "per-bit", "hard", "none"]
Precision = Literal["float32", "bfloat16"]
PRIORS, PRECISIONS = get_args(Prior), get_args(Precision)


@dataclass(frozen=True)
class SubjectSettings:
    """Settings of the fine-tuning of ARBooth (https://arxiv.org/abs/2504.02612).

    Args:
        layers: what has weights of its own.
        steps: iterations; each has an update for the subject and one for its class.
        batch: pictures per update, at most those that there are.
        lr: learning rate, constant; published 2.34e-5.
        rows_lr: of the learned rows of text, which start from zero.
        weight_decay: of everything that is trained.
        coarse: first scales whose tokens count full, the others ``fine``; 0: 8 as published, or all
            but the last two where the schedule has no more than 8.
        fine: weight of the tokens of the other scales, 0..1.
        prior: how the student follows the teacher on the class prompt: "joint" (published),
            "per-bit", "hard", or "none".
        prior_weight, temperature: of that loss; published 0.5 and 1.
        pool: pictures of the class that the teacher draws before training; 0 draws anew for every
            update, as published.
        published_teacher: the teacher of the public code, whose scales do not see each other.
        teacher_temperature, teacher_top_p: how it draws.
        drop_text: share of pictures trained with the learned empty text; published 0.1. It pulls
            what guidance subtracts towards the subject, and plain pictures of the class suffer.
        drop_path: share of pictures that skip a branch of the last block, less in those before;
            published 0.1.
        flips: highest rate of flipped bits (self-correction).
        precision: "float32", or "bfloat16" weights without float32 copies, as published.
        frame: prompt, with {} for the subject or its class.
        seed: of everything that is drawn.
    """

    layers: SubjectLayers = field(default_factory=SubjectLayers)
    steps: Annotated[int, Bounds(1, 100_000)] = 120
    batch: Annotated[int, Bounds(1, 64)] = 2
    lr: Annotated[float, Bounds(1e-9, 1)] = 2e-4
    rows_lr: Annotated[float, Bounds(1e-9, 1)] = 1e-2
    weight_decay: Share = 0.005
    coarse: Annotated[int, Bounds(0, 64)] = 0
    fine: Share = 0.5
    prior: Prior = "joint"
    prior_weight: Annotated[float, Bounds(0, 100)] = 2.0
    temperature: Annotated[float, Bounds(0.01, 100)] = 1.0
    pool: Annotated[int, Bounds(0, 4096)] = 16
    published_teacher: bool = False
    teacher_temperature: Annotated[float, Bounds(0.01, 10)] = 0.5
    teacher_top_p: Share = 0.97
    drop_text: Share = 0.0
    drop_path: DropPath = 0.0
    flips: Share = 0.3
    precision: Precision = "float32"
    frame: str = "a photo of {}"
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_types(type(self), vars(self))
        if self.frame.count("{}") != 1:
            raise VarSpacesError("The frame of the prompts needs one {} for the subject.")

    def full_scales(self, scales: int) -> int:
        """Scales whose tokens count full, of a schedule of so many."""
        return self.coarse or (8 if scales > 8 else max(1, scales - 2))


PUBLISHED = SubjectSettings(
    steps=501,
    lr=6e-3 / 256,
    rows_lr=6e-3 / 256,
    coarse=8,
    prior_weight=0.5,
    pool=0,
    drop_text=0.1,
    drop_path=0.1,
    precision="bfloat16",
)
"""As the public code trains Infinity 2B, but for the teacher, which sees all scales."""

LORA = replace(SubjectSettings(), layers=SubjectLayers(rank=8, alpha=16.0), lr=1e-3)
"""Thin matrices instead of whole layers: a hundredth of the parameters."""
