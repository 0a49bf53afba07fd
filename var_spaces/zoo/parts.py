"""What memory holds once and models share: modules of cards, and the text encoders they name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from var_spaces import methods
from var_spaces.zoo.estimate import encoder_bytes, encoder_name
from var_spaces.zoo.placement import Placement


class Key(NamedTuple):
    """What makes loaded modules the same; new weights on disk are another one."""

    model: str
    contents: str
    device: str


@dataclass(frozen=True)
class Part:
    """A module that is loaded, or could be.

    Attributes:
        size: bytes in memory, known before it is loaded.
        load: reads it.
    """

    key: Key
    size: Callable[[], int]
    load: Callable[[], Any]


def encoder_part(text_encoder: Mapping[str, Any], place: Placement) -> Part:
    """The text encoder of a card, whole on the first of several places."""
    device: torch.device = place.main
    return Part(
        Key(encoder_name(text_encoder), "", str(device)),
        lambda: encoder_bytes(text_encoder, device),
        lambda: methods.parse("text_encoder", text_encoder).load(device),
    )
