"""The text-to-image model that a recipe builds on, with what it draws and reads with."""

from __future__ import annotations

from typing import NamedTuple

from var_spaces.backbones.infinity import Infinity
from var_spaces.conditioning.packed_encoder import PackedEncoder, load_minilm
from var_spaces.tokenizers.bitwise import Bitwise
from var_spaces.training.engine.models import read_card
from var_spaces.training.engine.plan import Plan


class TextBase(NamedTuple):
    """A bitwise tokenizer, a transformer and the text encoder, all frozen."""

    tokenizer: Bitwise
    backbone: Infinity
    encoder: PackedEncoder


def text_base(plan: Plan, model: str, text_tokens: int, *families: str) -> TextBase:
    """Read them, by the id of the transformer.

    Args:
        text_tokens: word pieces that are read of a caption.
        families: of the transformer; Infinity's if none is named.

    Raises:
        VarSpacesError: if there is none, or none of these families.
    """
    backbone = plan.model(model, *(families or ("infinity",)))
    card = read_card(plan.options.models / model)
    tokenizer = plan.model(card["tokenizer"], "bitwise")
    return TextBase(tokenizer, backbone, load_minilm(device=plan.device, max_length=text_tokens))
