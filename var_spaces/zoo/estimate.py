"""What a run will need in memory, before it runs and before any weight is read.

Weights and KV cache are exact: the KV bytes come from the cache policy's own class, which runs on
tensors that have shapes but no memory. Activations and decoder are estimates: the largest tensors
that are alive at once in a block, in the logits and in the decoder's last levels, without what an
allocator or a library adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from var_spaces import methods
from var_spaces.cache.base import CachePolicy
from var_spaces.decoding.base import Guidance
from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo.cards import Card, base_of, get_card
from var_spaces.zoo.environment import NO_QUANT, TYPES, known_dtype, known_quant
from var_spaces.zoo.manifest import build
from var_spaces.zoo.placement import block_names
from var_spaces.zoo.quantise import quantised_bytes
from var_spaces.zoo.skeleton import skeleton

FLOAT = 4  # bytes of a float32
MAPS = 3  # feature maps of one size that a residual block holds at once


@dataclass(frozen=True)
class Estimate:
    """Bytes of a run.

    Attributes:
        weights: of every model by id, and of the text encoder.
        kv: held after each scale, by all images.
        kv_peak: largest allocation of the cache, reserved room included.
        activations, decoder: estimates; they are not needed at the same time.
    """

    weights: Mapping[str, int]
    kv: tuple[int, ...]
    kv_peak: int
    activations: int
    decoder: int

    @property
    def total(self) -> int:
        """Most that is needed at once."""
        working = max(self.kv_peak + self.activations, self.kv[-1] + self.decoder)
        return sum(self.weights.values()) + working


def estimate(
    card: Card,
    *,
    cache: CachePolicy,
    guidance: Guidance,
    schedule: ScaleSchedule | None = None,
    count: int = 1,
    dtype: str = "float32",
    quant: str = NO_QUANT,
    together: bool = True,
    device: torch.device | str = "cpu",
) -> Estimate:
    """Bytes of a run with plain decoding.

    Args:
        card: of a generator.
        schedule: token maps of the run; None is the model's own.
        count: images.
        dtype, quant: of the generator's weights; a tokenizer stays float32.
        together: all images share a batch, as on a GPU; else one after another, as on a CPU.
        device: where it runs; a text encoder may have another type there.

    Raises:
        VarSpacesError: for an unknown type, or a policy that cannot work here.
    """
    kind = TYPES[known_dtype(dtype)]
    schedule = schedule or card.schedule
    tokenizer_card = get_card(card.tokenizer, "tokenizer")
    drawing = base_of(card)
    backbone, tokenizer = _skeleton(drawing), _skeleton(tokenizer_card)
    rows = len(guidance.rows(schedule))
    kv, peak = kv_bytes(backbone, cache, schedule, rows * count, kind)
    pinned = _pinned(card, backbone, schedule, rows * count, kind)
    kv, peak = tuple(held + pinned for held in kv), peak + pinned
    batch = count if together else 1
    text = card.text_encoder
    return Estimate(
        weights={
            drawing.id: weight_bytes(backbone, kind, known_quant(quant)),
            **({card.id: weight_bytes(_skeleton(card), kind)} if card.adapter else {}),
            tokenizer_card.id: weight_bytes(tokenizer, torch.float32),
            **({encoder_name(text): encoder_bytes(text, device)} if text else {}),
        },
        kv=kv,
        kv_peak=peak,
        activations=_activations(backbone.config, schedule, rows * batch),
        decoder=_decoder(tokenizer.config, tokenizer.downsample, schedule, batch),
    )


@lru_cache(maxsize=8)
def _skeleton(card: Card) -> torch.nn.Module:
    """Shapes only, so it may be shared; a large model takes a second to build."""
    return build(card)


def encoder_name(text_encoder: Mapping[str, Any]) -> str:
    """What the weights of a card's text encoder are called; no model has such an id."""
    return f"{methods.parse('text_encoder', text_encoder).weights} (text encoder)"


def encoder_bytes(text_encoder: Mapping[str, Any], device: torch.device | str) -> int:
    """Bytes of a card's text encoder in memory, known before it is loaded."""
    encoder = methods.parse("text_encoder", text_encoder)
    return weight_bytes(skeleton(encoder.build), encoder.dtype(device))


def weight_bytes(module: torch.nn.Module, dtype: torch.dtype, quant: str = NO_QUANT) -> int:
    """Bytes of parameters and buffers when floating-point parameters have a type.

    Args:
        quant: layers of the blocks have fewer bits.
    """
    parameters = sum(
        p.numel() * (dtype if p.is_floating_point() else p.dtype).itemsize
        for p in module.parameters()
    )
    buffers = sum(b.numel() * b.element_size() for b in module.buffers())
    return parameters + buffers + quantised_bytes(module, dtype, quant)


def block_bytes(module: torch.nn.Module, dtype: torch.dtype, quant: str) -> dict[str, int]:
    """What :func:`weight_bytes` counts in every block, by name."""
    return {
        name: weight_bytes(module.get_submodule(name), dtype)
        + quantised_bytes(module, dtype, quant, f"{name}.")
        for name in block_names(module)
    }


def kv_bytes(
    backbone: Any, policy: CachePolicy, schedule: ScaleSchedule, rows: int, dtype: torch.dtype
) -> tuple[tuple[int, ...], int]:
    """Bytes held after each scale and the largest allocation, from a run without numbers.

    Raises:
        VarSpacesError: if the policy looks at numbers to decide how many entries it keeps.
    """
    layers, heads, head_dim = backbone.kv_layout()
    device = torch.device("meta")
    cache = policy.new_cache(
        schedule,
        layers=layers,
        rows=rows,
        heads=heads,
        head_dim=head_dim,
        dtype=dtype,
        device=device,
    )
    cache.attention = lambda q, *rest: torch.empty_like(q)  # nothing but its shape is needed
    session = policy.session(cache, schedule)

    def queries(tokens: int) -> torch.Tensor:
        return torch.empty(rows, heads, tokens, head_dim, dtype=dtype, device=device)

    held = []
    try:
        with torch.no_grad():
            for scale, tokens in enumerate(schedule.lengths):
                cache.begin_scale(scale)
                new = queries(tokens)
                for layer in range(layers):
                    cache.attend(layer, new, new, new, 1.0, lambda index: queries(len(index)))
                session.after_scale(scale)
                held.append(cache.nbytes)
    except (NotImplementedError, RuntimeError) as error:
        if isinstance(error, VarSpacesError):
            raise
        raise VarSpacesError(
            f"Cache policy '{policy.name}' decides by what it sees in a run, so its bytes cannot "
            "be known before: estimate another policy, or measure a run."
        ) from None
    return tuple(held), cache.peak_bytes  # before a policy cuts what was appended


def _pinned(
    card: Card, backbone: Any, schedule: ScaleSchedule, rows: int, dtype: torch.dtype
) -> int:
    """Bytes of the keys and values that the adapter of a card pins in front of all others."""
    if not card.adapter:
        return 0
    entries = methods.parse("adapter", card.adapter).pinned(schedule, backbone.config)
    _, heads, head_dim = backbone.kv_layout()
    return 2 * sum(entries) * rows * heads * head_dim * dtype.itemsize


def _activations(config: Any, schedule: ScaleSchedule, rows: int) -> int:
    """A block's residual stream, its input and the wide feed-forward part; then the logits."""
    tokens = max(schedule.lengths)
    block = rows * tokens * (2 + 2 * config.mlp_ratio) * config.width
    values = config.vocab_size if config.vocab_size > 2 else 2 * config.latent_dim
    logits = rows * tokens * values * 4  # raw, guided, sorted, noise
    return int(max(block, logits)) * FLOAT


def _decoder(config: Any, downsample: int, schedule: ScaleSchedule, images: int) -> int:
    """Maps of the last level, in front of which the level before it is already enlarged."""
    height, width = (side * downsample // config.stem_patch for side in schedule.last)
    channels = config.ch * max(config.ch_mult[:2])
    return images * height * width * channels * MAPS * FLOAT
