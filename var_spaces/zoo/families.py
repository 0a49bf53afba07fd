"""Families of models: which class a card builds, and what models of it can do. No torch here.

Capabilities (see ``decoding/compat.py``): ``class-labels`` it draws a class, ``kv-cache`` it reads
keys and values of earlier scales, ``sub-networks`` it runs any subset of its blocks, ``prefill``
it reads several scales in one pass, ``soft-codes`` it mixes code vectors, ``substitution`` given
tokens may replace drawn ones, ``text`` it draws what a prompt says, ``any-schedule`` it draws maps
of any shape in any number, ``layer-guidance`` it lets guidance act between its blocks, ``bits`` its
tokens are bits, ``instructions`` it changes a picture as a sentence asks, ``masked-prediction`` it
predicts masked tokens of a scale from the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any, Literal

from var_spaces.schedule import MAX_SCALES

Role = Literal["generator", "tokenizer"]
INFINITY_SCALES = 15  # rows of its level embedding


@dataclass(frozen=True)
class Family:
    """A kind of model.

    Attributes:
        role: what models of it are for.
        model, config: ``"module:Class"`` of the torch module and of its configuration dataclass.
        offers: capabilities of every model of the family.
        scales: most scales that its models know, unless their architecture has ``levels``.
        half: type in which its authors compute on GPUs.
        nested: where trainer checkpoints (``.pth``) keep the weights, one path per variant.
    """

    role: Role
    model: str
    config: str
    offers: frozenset[str] = frozenset()
    nested: tuple[tuple[str, ...], ...] = field(default=())
    scales: int = MAX_SCALES
    half: str = "float16"

    @property
    def reads_text(self) -> bool:
        """Whether its models need a text encoder."""
        return bool(self.offers & {"text", "instructions"})

    @property
    def sizes(self) -> tuple[str, ...]:
        """Names that an architecture may have."""
        return tuple(item.name for item in fields(_get(self.config)))

    def configure(self, architecture: Mapping[str, Any]) -> Any:
        """The configuration of a model."""
        return _get(self.config)(**architecture)

    def build(self, architecture: Mapping[str, Any]) -> Any:
        """The module, with fresh weights on the default device."""
        return _get(self.model)(self.configure(architecture))


FAMILIES = {
    "var": Family(
        "generator",
        "var_spaces.backbones.var:VAR",
        "var_spaces.backbones.config:VARConfig",
        frozenset({"class-labels", "kv-cache", "sub-networks", "prefill"}),
        nested=(("trainer", "var_wo_ddp"), ("trainer", "transformer_wo_ddp")),  # HMAR's stages, too
    ),
    "hmar": Family(
        "generator",
        "var_spaces.backbones.hmar:HMAR",
        "var_spaces.backbones.hmar_config:HMARConfig",
        frozenset({"class-labels", "masked-prediction"}),
        nested=(("trainer", "transformer_wo_ddp"),),
    ),
    "infinity": Family(
        "generator",
        "var_spaces.backbones.infinity:Infinity",
        "var_spaces.backbones.infinity_config:InfinityConfig",
        frozenset(
            {"text", "kv-cache", "sub-networks", "prefill", "any-schedule", "layer-guidance"}
        ),
        nested=(("trainer", "gpt_fsdp"),),
        scales=INFINITY_SCALES,
        half="bfloat16",
    ),
    "varedit": Family(  # Infinity, taught to edit; other positions and attention (2508.15772)
        "generator",
        "var_spaces.backbones.infinity:Infinity",
        "var_spaces.backbones.infinity_config:InfinityConfig",
        frozenset({"instructions", "kv-cache", "any-schedule"}),
        nested=(("trainer", "gpt_fsdp"),),
        scales=INFINITY_SCALES,
        half="bfloat16",
    ),
    "bitwise": Family(
        "tokenizer",
        "var_spaces.tokenizers.bitwise:Bitwise",
        "var_spaces.tokenizers.bitwise:BitwiseConfig",
        frozenset({"bits", "substitution"}),
        nested=(("vae",), ("trainer", "vae_local")),
    ),
    "flexvar": Family(
        "generator",
        "var_spaces.backbones.flexvar:FlexVAR",
        "var_spaces.backbones.flexvar_config:FlexVARConfig",
        frozenset({"class-labels", "kv-cache", "sub-networks", "any-schedule"}),
        nested=(("trainer", "var_wo_ddp"),),
    ),
    "flex-vq": Family(
        "tokenizer",
        "var_spaces.tokenizers.flex_vq:FlexVQ",
        "var_spaces.tokenizers.flex_vq:FlexVQConfig",
        frozenset({"substitution"}),
        nested=(("model",), ("trainer", "vae_local")),
    ),
    "residual-vq": Family(
        "tokenizer",
        "var_spaces.tokenizers.residual_vq:ResidualVQ",
        "var_spaces.tokenizers.residual_vq:ResidualVQConfig",
        frozenset({"soft-codes", "substitution"}),
        nested=(("trainer", "vae_local"),),
    ),
}


def _get(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
