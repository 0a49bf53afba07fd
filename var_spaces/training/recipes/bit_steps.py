"""What the recipes of bitwise transformers share: the scales that a step sees, the bits that are
flipped in it, and how much a token counts (Infinity, https://arxiv.org/abs/2412.04431)."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from var_spaces.schedule import ScaleSchedule
from var_spaces.training.engine.amounts import Count, Share, Some
from var_spaces.training.losses.bits import bit_losses, scale_weights
from var_spaces.training.losses.prefixes import PrefixConfig, Prefixes, mean_seen
from var_spaces.training.losses.self_correction import BitFlips


@dataclass(frozen=True)
class BitStepConfig(PrefixConfig):
    """Settings of the steps, beside those of :class:`PrefixConfig`; all may change in the middle of
    a run.

    Args:
        drop_text: share of samples trained with the learned empty text (for guidance), 0..1.
        flip_strength, flip_scales: self-correction of the target, see :class:`BitFlips`.
        reweight: let coarse scales count more, see :func:`scale_weights`.
    """

    drop_text: Share = 0.1
    flip_strength: Share = 0.3
    flip_scales: Some = 64
    reweight: bool = False
    shortest: Count = 3


STEP_SETTINGS = tuple(field.name for field in fields(BitStepConfig))


class BitSteps:
    """The steps of a run.

    Args:
        schedule: of the token maps.
        seed: of the run.
    """

    def __init__(
        self, schedule: ScaleSchedule, config: BitStepConfig, seed: int, device: torch.device
    ) -> None:
        self.config, self.seed = config, seed
        self.prefixes = Prefixes(schedule, config)
        self.weights = scale_weights(schedule, config.reweight).to(device)

    def flips(self, start: int) -> BitFlips:
        """The flips of the images from ``start`` on; whatever else is drawn for these images, such
        as which captions are dropped, is drawn from its generator too."""
        generator = torch.Generator().manual_seed(self.seed * 9_176_263 + start)
        return BitFlips(self.config.flip_strength, self.config.flip_scales, generator)

    def scales(self, step: int) -> int:
        """How many scales a step sees, the same in all processes."""
        return self.prefixes.draw(self.seed, step)

    def first(self, scales: int, tokens: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the first scales, see :meth:`Prefixes.first`."""
        return self.prefixes.first(scales, tokens, bits)

    def loss(self, logits: Tensor, bits: Tensor, weights: Tensor | float = 1.0) -> Tensor:
        """Mean loss of what a step sees.

        Args:
            logits, bits: ``(B, l, n, 2)`` and ``(B, l, n)`` of the first scales.
            weights: how much more a token counts, of all tokens ``(B, L)``.
        """
        return mean_seen(bit_losses(logits, bits), self.weights * weights)
