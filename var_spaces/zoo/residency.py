"""Models in memory: loaded once per process and device, shared, the least recently used leaves.

Loading is single-flight: threads that want the same model wait for one of them to read it. A run
holds its modules itself, so a model that leaves here lives on until its last run ends.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any, NamedTuple

import torch
from torch import nn

from var_spaces.errors import VarSpacesError
from var_spaces.zoo.cards import Card, get_card
from var_spaces.zoo.checkpoints import load_module
from var_spaces.zoo.locate import digest_of, files_of

BUDGET_VARIABLE = "VAR_SPACES_MODEL_BYTES"
DEVICE_VARIABLE = "VAR_SPACES_DEVICE"


class Key(NamedTuple):
    """What makes loaded weights the same; new weights on disk are another model."""

    model: str
    weights: str
    device: str


@dataclass(eq=False)
class _Slot:
    lock: Lock = field(default_factory=Lock)
    module: nn.Module | None = None
    nbytes: int = 0
    used: int = 0


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A generator with its tokenizer, or a tokenizer alone (``backbone`` is None)."""

    card: Card
    tokenizer: Any
    backbone: Any
    weights_sha256: str

    @property
    def device(self) -> torch.device:
        return next(self.tokenizer.parameters()).device


class Residency:
    """Loaded modules under a byte budget.

    Args:
        budget: bytes of weights to keep; None is no limit. The module asked for last always stays.
        loader: reads a module; replaced in tests.
    """

    def __init__(
        self,
        budget: int | None = None,
        loader: Callable[[Card, torch.device], nn.Module] = load_module,
    ) -> None:
        self.budget, self.loader = budget, loader
        self._slots: dict[Key, _Slot] = {}
        self._lock = Lock()
        self._clock = count(1)

    def model(self, name: str, device: str | torch.device | None = None) -> LoadedModel:
        """A model ready to run, loaded if it is not in memory.

        Raises:
            VarSpacesError: for an unknown model, bad weights, or a device this machine lacks.
        """
        place = resolve_device(device)
        card = get_card(name)
        own = self.module(card, place)
        digest = card.weights_sha256 or digest_of(files_of(card))
        if card.role == "tokenizer":
            return LoadedModel(card, own, None, digest)
        tokenizer = self.module(get_card(card.tokenizer, "tokenizer"), place)
        _check_pair(card, own, tokenizer)
        return LoadedModel(card, tokenizer, own, digest)

    def module(self, card: Card, device: torch.device) -> nn.Module:
        """The module of a card on a device, shared by all who ask."""
        key = Key(card.id, card.weights_sha256, str(device))
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
        with slot.lock:
            if slot.module is None:
                slot.module = self.loader(card, device)
                slot.nbytes = module_bytes(slot.module)
            module = slot.module
        with self._lock:
            slot.used = next(self._clock)
            self._slots[key] = slot
            self._evict(key)
        return module

    def loaded(self) -> dict[Key, int]:
        """Bytes of every module in memory, least recently used first."""
        with self._lock:
            ready = [(k, s) for k, s in self._slots.items() if s.module is not None]
            return {key: slot.nbytes for key, slot in sorted(ready, key=lambda item: item[1].used)}

    def clear(self) -> None:
        """Forget all modules."""
        with self._lock:
            self._slots.clear()

    def _evict(self, newest: Key) -> None:
        """Forget the least recently used modules until the rest fits. Call it under the lock."""
        if self.budget is None:
            return
        ready = sorted((s.used, k) for k, s in self._slots.items() if s.module is not None)
        total = sum(slot.nbytes for slot in self._slots.values())
        for _, key in ready:
            if total <= self.budget:
                break
            if key != newest:
                total -= self._slots.pop(key).nbytes


def _check_pair(card: Card, backbone: Any, tokenizer: Any) -> None:
    """Refuse a tokenizer that the generator was not made for."""
    pairs = {
        "codes": (backbone.config.vocab_size, tokenizer.vocab_size),
        "latent channels": (backbone.config.latent_dim, tokenizer.latent_dim),
    }
    if "any-schedule" not in card.kind.offers:
        # Token maps of another size are no matter, another number of scales is.
        pairs["scales"] = (backbone.schedule.num_scales, tokenizer.schedule.num_scales)
    for what, (ours, theirs) in pairs.items():
        if ours != theirs:
            raise VarSpacesError(
                f"Model '{card.id}' and its tokenizer '{card.tokenizer}' differ in {what}: "
                f"{ours} and {theirs}."
            )


def module_bytes(module: nn.Module) -> int:
    """Bytes of parameters and buffers; tensors that share memory count once."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in (*module.parameters(), *module.buffers())
    }
    return sum(storages.values())


def resolve_device(device: str | torch.device | None = None) -> torch.device:
    """The device to run on: the one given, else ``VAR_SPACES_DEVICE``, else CUDA if there is one.

    Raises:
        VarSpacesError: if there is no such device.
    """
    name = str(device or os.environ.get(DEVICE_VARIABLE) or "")
    if not name:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(name)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise VarSpacesError(f"Device '{name[:40]}' is not available here; use 'cpu'.") from None
    if place.type == "meta":
        raise VarSpacesError("Device 'meta' holds no numbers; use 'cpu'.")
    return place


def budget_from_environment() -> int | None:
    """Bytes of weights that ``VAR_SPACES_MODEL_BYTES`` allows, e.g. ``2e9``; None without it.

    Raises:
        VarSpacesError: if it is no positive number.
    """
    text = os.environ.get(BUDGET_VARIABLE, "")
    try:
        budget = float(text or "inf")
    except ValueError:
        budget = 0.0
    if not budget > 0:
        raise VarSpacesError(
            f"{BUDGET_VARIABLE} is '{text[:40]}': give the bytes of weights to keep, like 2e9."
        )
    return None if math.isinf(budget) else int(budget)


ZOO = Residency(budget_from_environment())
