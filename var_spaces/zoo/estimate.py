"""What a run will need in memory, before it runs and before any weight is read.

Weights and KV cache are exact: the KV bytes come from the cache policy's own class, which runs on
tensors that have shapes but no memory. Activations and decoder are estimates: the largest tensors
that are alive at once in a block, in the logits and in the decoder's last levels, without what an
allocator or a library adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch

from var_spaces import methods
from var_spaces.cache.base import CachePolicy
from var_spaces.decoding.base import Guidance
from var_spaces.decoding.strategy import DecodingStrategy
from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo.cards import Card, base_of, get_card, known
from var_spaces.zoo.environment import NO_QUANT, TYPES, known_dtype, known_quant
from var_spaces.zoo.kv_bytes import kv_bytes
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
        searches: candidates are decoded on the way, while the cache is as large as it gets.
    """

    weights: Mapping[str, int]
    kv: tuple[int, ...]
    kv_peak: int
    activations: int
    decoder: int
    searches: bool = False

    @property
    def total(self) -> int:
        """Most that is needed at once."""
        beside_decoder = max(self.kv) if self.searches else self.kv[-1]
        working = max(self.kv_peak + self.activations, beside_decoder + self.decoder)
        return sum(self.weights.values()) + working


def estimate(
    card: Card,
    *,
    cache: CachePolicy,
    guidance: Guidance,
    decoding: DecodingStrategy | None = None,
    schedule: ScaleSchedule | None = None,
    count: int = 1,
    dtype: str = "float32",
    quant: str = NO_QUANT,
    together: bool = True,
    device: torch.device | str = "cpu",
) -> Estimate:
    """Bytes of a run.

    Args:
        card: of a generator.
        decoding: the strategy, with the models that it names and its candidates; None is plain.
            Networks of rewards are not in it.
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
    decoding = decoding or methods.parse("decoding", "plain")
    decoding = decoding.resolve(card, schedule, partial(known, "generator"))
    cache = cache.for_models([*card.lineage, *decoding.models])
    tokenizer_card = get_card(card.tokenizer, "tokenizer")
    drawing = base_of(card)
    backbone, tokenizer = _skeleton(drawing), _skeleton(tokenizer_card)
    partners = {name: base_of(get_card(name, "generator")) for name in decoding.models}
    others = {name: _skeleton(partner) for name, partner in partners.items()}
    decoding.check_schedule(schedule)
    decoding.check({"": card, **partners})
    work = decoding.work(schedule, backbone.config.depth)
    pinned: Sequence[int] = ()
    beside = 0
    if card.adapter:
        adapter = methods.parse("adapter", card.adapter)
        pinned = adapter.pinned(schedule, backbone.config)
        beside = adapter.held(schedule, backbone.config) * pair_bytes(backbone, kind)
    models = {"": backbone, **others}
    rows = {name: one.rows(schedule) for name, one in decoding.guidances(guidance).items()}
    carried = {name: count * len(names) for name, names in rows.items()}
    kv, peak = kv_bytes(models, cache, schedule, carried, kind, work, pinned)
    kv, peak = tuple(held + beside for held in kv), peak + beside
    batch = count if together else 1
    most = max(step.rows for step in work)
    text = card.text_encoder
    return Estimate(
        weights={
            drawing.id: weight_bytes(backbone, kind, known_quant(quant)),
            **({card.id: weight_bytes(_skeleton(card), kind)} if card.base else {}),
            **{
                partner.id: weight_bytes(others[name], kind, known_quant(quant))
                for name, partner in partners.items()
            },
            tokenizer_card.id: weight_bytes(tokenizer, torch.float32),
            **({encoder_name(text): encoder_bytes(text, device)} if text else {}),
        },
        kv=kv,
        kv_peak=peak,
        activations=max(
            _activations(
                models[step.model].config, tokens, len(rows[step.model]) * batch * step.rows
            )
            for step, tokens in zip(work, schedule.lengths, strict=True)
        ),
        decoder=_decoder(tokenizer.config, tokenizer.downsample, schedule, batch * most),
        searches=most > 1,
    )


def pair_bytes(backbone: torch.nn.Module, dtype: torch.dtype) -> int:
    """Bytes of a key and a value of all heads of a layer."""
    _, heads, head_dim = backbone.kv_layout()
    return 2 * heads * head_dim * dtype.itemsize


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


def _activations(config: Any, tokens: int, rows: int) -> int:
    """A block's residual stream, its input and the wide feed-forward part; then the logits."""
    block = rows * tokens * (2 + 2 * config.mlp_ratio) * config.width
    values = config.vocab_size if config.vocab_size > 2 else 2 * config.latent_dim
    logits = rows * tokens * values * 4  # raw, guided, sorted, noise
    return int(max(block, logits)) * FLOAT


def _decoder(config: Any, downsample: int, schedule: ScaleSchedule, images: int) -> int:
    """Maps of the last level, in front of which the level before it is already enlarged."""
    height, width = (side * downsample // config.stem_patch for side in schedule.last)
    channels = config.ch * max(config.ch_mult[:2])
    return images * height * width * channels * MAPS * FLOAT
