"""Models in memory: loaded once per process and device, shared, the least recently used leaves.

A generator, its tokenizer, its text encoder and its adapter are parts of their own: models share
them, so a base is there once for all its adapters.

A run leases the models it needs, all at once, and what is leased never leaves. If the budget has no
room a lease waits until others end; since it holds nothing while it waits, leases cannot block each
other for good. Loading is single-flight: of several leases that need a model, one reads it.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import Condition, Lock
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import nn

from var_spaces import codecs, cpu
from var_spaces.decoding.loop.graphs import GRAPHS
from var_spaces.errors import VarSpacesError
from var_spaces.zoo.cards import Card, base_of, get_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.environment import (
    BUDGET_VARIABLE,
    NO_QUANT,
    TYPES,
    budget_from_environment,
    dtype_from_environment,
    dtype_on,
    quant_from_environment,
)
from var_spaces.zoo.estimate import weight_bytes
from var_spaces.zoo.locate import digest_of, files_of
from var_spaces.zoo.manifest import build
from var_spaces.zoo.parts import Key, Part, encoder_name, encoder_part
from var_spaces.zoo.placement import Placement, resolve

log = logging.getLogger(__name__)

PATIENCE = 600.0  # seconds that a lease waits for room


@dataclass(eq=False)
class _Slot:
    """A module in memory or on its way; ``nbytes`` counts from the moment it is reserved."""

    nbytes: int
    lock: Lock = field(default_factory=Lock)
    module: Any = None
    leases: int = 0
    used: int = 0


@dataclass
class Counters:
    """What happened so far.

    Attributes:
        loads, evictions: modules that came and that left.
        waits: leases that had to wait for room.
        peak_bytes: most that modules took at once, those on their way included.
    """

    loads: int = 0
    evictions: int = 0
    waits: int = 0
    peak_bytes: int = 0


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A generator with its tokenizer, or a tokenizer alone (``backbone`` is None).

    Attributes:
        backbone: shared; of an adapter's card it is the base.
        weights_sha256: of the weights of the card, and of its base if it is an adapter's.
        precision: of the generator's weights in memory, in words.
        text_encoder: what reads prompts, if it was asked for and the model has one.
        adapter: the module of an adapter, what it adds to the backbone alone.
    """

    card: Card
    tokenizer: Any
    backbone: Any
    weights_sha256: str
    precision: str = "float32"
    text_encoder: Any = None
    adapter: Any = None

    @property
    def device(self) -> torch.device:
        return next(self.tokenizer.parameters()).device


def size_of(card: Card, dtype: torch.dtype = torch.float32, quant: str = NO_QUANT) -> int:
    """Bytes that the module of a card takes in memory, known before it is loaded."""
    return weight_bytes(build(card), dtype, quant)


class Residency:
    """Loaded modules under a byte budget.

    Args:
        budget: bytes of weights to keep; None is no limit. Models that are larger together than
            the budget run alone.
        loader: reads a module in a type; ``sizer`` tells its bytes before. Replaced in tests.
        patience: seconds that a lease waits for room.
        dtype, quant: of the weights of generators, see :func:`load_module`; None is the type of
            a model's authors on GPUs, float32 elsewhere. Tokenizers are small and stay float32.
    """

    def __init__(
        self,
        budget: int | None = None,
        loader: Callable[[Card, Placement, torch.dtype, str], nn.Module] = load_module,
        sizer: Callable[[Card, torch.dtype, str], int] = size_of,
        patience: float = PATIENCE,
        dtype: torch.dtype | None = torch.float32,
        quant: str = NO_QUANT,
    ) -> None:
        self.budget, self.loader, self.sizer, self.patience = budget, loader, sizer, patience
        self.dtype, self.quant = dtype, quant
        self.counters = Counters()
        self._slots: dict[Key, _Slot] = {}
        self._changed = Condition()
        # What left while somebody still held it is taken back, not read a second time.
        self._left: WeakValueDictionary[Key, nn.Module] = WeakValueDictionary()
        self._queue: deque[object] = deque()  # who waits, first come first served
        self._clock = count(1)
        self._sizes: dict[Key, int] = {}

    @contextmanager
    def lease(
        self,
        names: Sequence[str],
        device: str | torch.device | Placement | None = None,
        text: bool = False,
    ) -> Iterator[list[LoadedModel]]:
        """Models that stay in memory inside the ``with`` block, in the order of their names.

        Args:
            text: their text encoders, too.

        Raises:
            VarSpacesError: for an unknown model, bad weights, a device this machine lacks, or if
                running requests leave no room for too long.
        """
        place = resolve(device)
        chosen = [get_card(name) for name in names]
        tokenizers = [get_card(card.tokenizer, "tokenizer") for card in chosen if card.tokenizer]
        bases = [base_of(card) for card in chosen if card.base]
        parts = [self._part(card, place) for card in (*chosen, *bases, *tokenizers)]
        if text:
            parts += [encoder_part(c.text_encoder, place) for c in chosen if c.text_encoder]
        needed = {part.key: part for part in parts}
        self._reserve({part.key: self._size(part) for part in needed.values()})
        try:
            yield self._models(chosen, needed.values())
        finally:
            self._release(needed)

    def model(self, name: str, device: str | torch.device | None = None) -> LoadedModel:
        """A model ready to run, loaded if it is not in memory; it may leave the zoo at any time.

        Raises:
            VarSpacesError: as :meth:`lease`.
        """
        with self.lease([name], device) as models:
            return models[0]

    def module(self, card: Card, device: str | torch.device) -> nn.Module:
        """The module of a card on a device, shared by all who ask."""
        part = self._part(card, resolve(device))
        self._reserve({part.key: self._size(part)})
        try:
            return self._load(part)
        finally:
            self._release([part.key])

    def loaded(self) -> dict[Key, int]:
        """Bytes of every module in memory, least recently used first."""
        with self._changed:
            ready = [(k, s) for k, s in self._slots.items() if s.module is not None]
            return {key: slot.nbytes for key, slot in sorted(ready, key=lambda item: item[1].used)}

    def clear(self) -> None:
        """Forget all modules that no run uses."""
        with self._changed:
            for key in [key for key, slot in self._slots.items() if not slot.leases]:
                self._drop(key)

    def forget(self, name: str) -> None:
        """Let the modules of a model go that no run uses; its files may be gone."""
        with self._changed:
            for key in [key for key in self._slots if key.model == name]:
                if not self._slots[key].leases:
                    self._drop(key)
                    self._left.pop(key, None)  # other files may take its name
            self._sizes = {key: n for key, n in self._sizes.items() if key.model != name}

    # --- one lease --------------------------------------------------------------------------------

    def _reserve(self, sizes: dict[Key, int]) -> None:
        """Wait until all models fit together, and count them in, at once or not at all."""
        ticket = object()
        deadline = time.monotonic() + self.patience
        with self._changed:
            self._queue.append(ticket)
            try:
                waited = False
                while self._queue[0] is not ticket or not self._make_room(sizes):
                    self.counters.waits += not waited
                    waited = True
                    if not self._changed.wait(deadline - time.monotonic()):
                        raise VarSpacesError(
                            f"Running requests use all memory for models ({BUDGET_VARIABLE} is "
                            f"{self.budget} bytes): try again when one has ended."
                        )
                for key, size in sizes.items():
                    self._slots.setdefault(key, _Slot(size)).leases += 1
                self._count_bytes()
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _count_bytes(self) -> None:
        total = sum(slot.nbytes for slot in self._slots.values())
        self.counters.peak_bytes = max(self.counters.peak_bytes, total)

    def _make_room(self, sizes: dict[Key, int]) -> bool:
        """Let idle modules go, the least recently used first, until ``sizes`` fit beside the rest.

        Nothing leaves unless that is enough. What fits nowhere may run when nothing else does.
        """
        if self.budget is None:
            return True
        new = sum(size for key, size in sizes.items() if key not in self._slots)
        over = sum(slot.nbytes for slot in self._slots.values()) + new - self.budget
        # Keys only: whoever held a slot here would keep its module alive while it is dropped.
        others = [key for key in self._slots if key not in sizes]
        idle = [key for key in others if not self._slots[key].leases]
        alone = len(idle) == len(others)
        if over > sum(self._slots[key].nbytes for key in idle) and not alone:
            return False
        for key in sorted(idle, key=lambda key: self._slots[key].used):
            if over <= 0:
                break
            over -= self._slots[key].nbytes
            self._drop(key)
        return True

    def _drop(self, key: Key) -> None:
        module = self._slots.pop(key).module
        GRAPHS.forget(module)
        self._left[key] = module
        del module
        self.counters.evictions += 1
        if "," in key.device:
            gc.collect()  # hooks of a spread model refer to it
        if key.device.startswith("cuda"):
            torch.cuda.empty_cache()
        elif key.device == "cpu":
            cpu.return_memory()

    def _models(self, cards: Iterable[Card], parts: Iterable[Part]) -> list[LoadedModel]:
        """Loaded models of cards whose parts are reserved.

        Nothing here outlives the call, so that modules are free as soon as their lease ends.
        """
        modules = {part.key.model: self._load(part) for part in parts}
        return [self._paired(card, modules) for card in cards]

    def _load(self, part: Part) -> Any:
        """The module of a reserved slot; of several leases one reads it."""
        slot = self._slots[part.key]
        with slot.lock:
            if slot.module is None:
                module = self._left.pop(part.key, None)
                known = module is not None
                if not known:
                    if part.key.device == "cpu":
                        cpu.keep_memory()
                    module = part.load()
                with self._changed:
                    slot.module, slot.nbytes = module, module_bytes(module)
                    self.counters.loads += not known
                    self._count_bytes()
            return slot.module

    def _release(self, keys: Iterable[Key]) -> None:
        with self._changed:
            for key in reversed(list(keys)):  # what was named first counts as used last
                slot = self._slots[key]
                slot.leases -= 1
                slot.used = next(self._clock)
                if slot.module is None and not slot.leases:  # it could not be loaded
                    del self._slots[key]
            self._changed.notify_all()

    def _part(self, card: Card, place: Placement) -> Part:
        own = place if card.role == "generator" and not card.base else resolve(place.main)
        settings = self._precision(card, place)
        return Part(
            Key(card.id, _contents(card), str(own)),
            partial(self.sizer, card, *settings),
            partial(self.loader, card, own, *settings),
        )

    def _precision(self, card: Card, place: Placement) -> tuple[torch.dtype, str]:
        if card.role != "generator":
            return torch.float32, NO_QUANT
        return self.type_of(card, place.main), NO_QUANT if card.base else self.quant

    def type_of(self, card: Card, device: torch.device) -> torch.dtype:
        """Type of the weights of a generator on a device."""
        if self.dtype is None:
            return TYPES[dtype_on(device, base_of(card).kind.half)]
        name = str(self.dtype).removeprefix("torch.")
        if device.type == "cpu" and cpu.is_slow(name):
            log.warning("%s weights are slow here: this processor computes in float32.", name)
        return self.dtype

    def _paired(self, card: Card, modules: dict[str, Any]) -> LoadedModel:
        digest = weights_of(card)
        if card.tokenizer is None:
            return LoadedModel(card, modules[card.id], None, digest)
        backbone, tokenizer = modules[base_of(card).id], modules[card.tokenizer]
        _check_pair(card, backbone, tokenizer)
        reader = modules.get(encoder_name(card.text_encoder)) if card.text_encoder else None
        adapter = modules[card.id] if card.base else None
        precision = self.precision(backbone)
        return LoadedModel(card, tokenizer, backbone, digest, precision, reader, adapter)

    def precision(self, backbone: nn.Module) -> str:
        """Of the weights of a generator, in words: "float32", "bfloat16, blocks in nf4"."""
        dtype = str(next(backbone.parameters()).dtype).removeprefix("torch.")
        return dtype if self.quant == NO_QUANT else f"{dtype}, blocks in {self.quant}"

    def _size(self, part: Part) -> int:
        if self.budget is None:
            return 0  # nothing depends on it, and a module knows its own size
        if part.key not in self._sizes:
            self._sizes[part.key] = part.size()
        return self._sizes[part.key]


def _contents(card: Card) -> str:
    """What a module is made of: weights, and what they are read into."""
    how = codecs.canonical([card.architecture, card.adapter])
    return f"{card.weights_sha256} {how}"


def weights_of(card: Card) -> str:
    """SHA-256 that stands for all weights of a model but those of its tokenizer."""
    own = card.weights_sha256 or digest_of(files_of(card))
    if not card.base:
        return own
    return hashlib.sha256(f"{weights_of(base_of(card))} {own}".encode()).hexdigest()


def _check_pair(card: Card, backbone: Any, tokenizer: Any) -> None:
    """Refuse a tokenizer that the generator was not made for."""
    pairs = {
        "codes": (backbone.config.vocab_size, tokenizer.vocab_size),
        "latent channels": (backbone.config.latent_dim, tokenizer.latent_dim),
    }
    if "any-schedule" not in card.offers:
        # Token maps of another size are no matter, another number of scales is.
        pairs["scales"] = (backbone.schedule.num_scales, tokenizer.schedule.num_scales)
    for what, (ours, theirs) in pairs.items():
        if ours != theirs:
            raise VarSpacesError(
                f"Model '{card.id}' and its tokenizer '{card.tokenizer}' differ in {what}: "
                f"{ours} and {theirs}."
            )


def module_bytes(module: nn.Module) -> int:
    """Bytes of parameters and buffers; tensors that share memory count once.

    Blocks that wait in CPU memory count too, those on a disk do not.
    """
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in (*module.parameters(), *module.buffers())
        if not tensor.is_meta
    }
    return sum(storages.values()) + getattr(module, "stored_bytes", 0)


ZOO = Residency(
    budget_from_environment(),
    dtype=TYPES.get(dtype_from_environment()),
    quant=quant_from_environment(),
)
