"""Reads weights strictly: nothing executed, nothing missing, nothing unexpected or reshaped.

A tensor of a mapped file goes straight to its type and device, and its part of the file leaves
memory again. Weights that are not finite, or become so in their type, are refused.
"""

from __future__ import annotations

import ctypes
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from var_spaces import methods
from var_spaces.errors import VarSpacesError
from var_spaces.validation import freeze
from var_spaces.zoo.cards import Card
from var_spaces.zoo.dispatch import fill_and_dispatch
from var_spaces.zoo.environment import NO_QUANT
from var_spaces.zoo.estimate import block_bytes, weight_bytes
from var_spaces.zoo.locate import digest_of, files_of
from var_spaces.zoo.manifest import build
from var_spaces.zoo.placement import Placement, resolve, spread
from var_spaces.zoo.quantise import quantisable, quantise_layer
from var_spaces.zoo.weight_files import State, first, read_state, without_prefixes

log = logging.getLogger(__name__)

PAGE = 4096
DONT_NEED = 4  # MADV_DONTNEED of Linux


def load_module(
    card: Card,
    device: torch.device | str | Placement = "cpu",
    dtype: torch.dtype = torch.float32,
    quant: str = NO_QUANT,
) -> nn.Module:
    """Build the module of a card and give it its weights, ready for inference.

    The module is built without memory and the file is mapped, so memory holds the weights once, in
    their target type.

    Args:
        device: or a list of places for its blocks, see ``placement.py``.
        dtype: of floating-point weights.
        quant: "int8" or "nf4" stores the linear layers of the blocks in so few bits.

    Raises:
        VarSpacesError: if a file is missing, damaged or not the one the card names, or if keys or
            shapes differ from the architecture.
    """
    module = build(card)
    files = files_of(card)
    if card.weights_sha256 and digest_of(files) != card.weights_sha256:
        raise VarSpacesError(
            f"The weights of '{card.id}' are not those of its card (SHA-256 differs): "
            f"restore {card.folder} or train the model again."
        )
    state = fitting_state(card, module, files)
    placement = resolve(device)
    if not placement.is_spread:
        fill(module, state, placement.main, dtype, quant)
        return module.to(placement.main).eval().requires_grad_(False)
    sizes = block_bytes(module, dtype, quant)
    rest = weight_bytes(module, dtype, quant) - sum(sizes.values())
    where = spread(sizes, rest, placement)
    return fill_and_dispatch(
        module,
        where,
        placement,
        lambda under, place: fill(module, state, place, dtype, quant, under),
    )


def fill(
    module: nn.Module,
    state: State,
    device: torch.device | str,
    dtype: torch.dtype,
    quant: str = NO_QUANT,
    under: str = "",
) -> None:
    """Move the tensors whose keys start with ``under`` out of ``state`` into a module."""
    if quant != NO_QUANT:
        for name in quantisable(module):
            if name.startswith(under):
                weight, bias = state.pop(f"{name}.weight"), state.pop(f"{name}.bias", None)
                _check_finite(f"{name}.weight", weight, weight)
                quantise_layer(module, name, weight, bias, quant, dtype, device)
                give_back(weight)
    loaded: State = {}
    for key in [key for key in state if key.startswith(under)]:
        tensor = state.pop(key)
        loaded[key] = tensor.to(device, _dtype(tensor, dtype), copy=True)
        _check_finite(key, loaded[key], tensor)
        give_back(tensor)
    module.load_state_dict(loaded, strict=False, assign=True)  # fit() has been strict


def _check_finite(key: str, held: Tensor, read: Tensor) -> None:
    """Refuse weights that are not numbers, or too large for the type they are held in."""
    if not held.is_floating_point() or not held.numel():
        return
    low, high = held.aminmax()  # NaN spreads, and nothing is copied
    if torch.isfinite(low) and torch.isfinite(high):
        return
    if held is not read and torch.isfinite(read).all():
        kind = str(held.dtype).removeprefix("torch.")
        raise VarSpacesError(f"Weights of '{key}' are too large for {kind}: try float32.")
    raise VarSpacesError(
        f"Weights of '{key}' are not finite (NaN or infinity): the file is of a training that "
        "failed; take an earlier checkpoint."
    )


def fitting_state(
    card: Card, module: nn.Module, files: Iterable[Path], notes: list[str] | None = None
) -> State:
    """The tensors of weight files under the keys of the card's module, mapped from the files.

    Args:
        notes: gets a line for every wrapper that was taken off and for what was left out; None
            logs them.

    Raises:
        VarSpacesError: if a file is damaged, or keys, shapes or kinds of numbers differ.
    """
    with noted(card, notes) as said:
        return _fitted(card, module, read(card, module, files, said), said)


def told(card: Card, files: Iterable[Path], notes: list[str] | None = None) -> tuple[Card, State]:
    """A card with what its weights say beside it, and :func:`fitting_state` of that card.

    The shapes of an adapter's weights may say what its card does not, e.g. how much is learned.

    Raises:
        VarSpacesError: as there, and if the weights say what the adapter does not take.
    """
    module = build(card)
    with noted(card, notes) as said:
        state = read(card, module, files, said)
        if card.base:
            adapter = methods.parse("adapter", card.adapter)
            more = adapter.told({key: tuple(tensor.shape) for key, tensor in state.items()})
            if more:
                given = {**card.adapter, **more}
                methods.parse("adapter", given)
                card = card.model_copy(update={"adapter": freeze(given)})
                module = build(card)
        return card, _fitted(card, module, state, said)


def _fitted(card: Card, module: nn.Module, state: State, notes: list[str]) -> State:
    adapt = getattr(module, "adapt_state", None)  # other spellings of published files
    state = adapt(state) if adapt else state
    return fit(state, module, f"The weights of '{card.id}'", notes)


@contextmanager
def noted(card: Card, notes: list[str] | None) -> Iterator[list[str]]:
    """Where lines about the weights of a card go: ``notes``, or the log if that is None."""
    said: list[str] = [] if notes is None else notes
    yield said
    if said and notes is None:
        log.info("Weights of '%s': %s.", card.id, "; ".join(said))


def read(card: Card, module: nn.Module, files: Iterable[Path], notes: list[str]) -> State:
    """The tensors of weight files of a card, out of what trainers wrap them in; any keys.

    Args:
        module: of the card; its keys tell wrappers from names.
        notes: gets a line for every wrapper that was taken off.

    Raises:
        VarSpacesError: if a file is damaged.
    """
    nested = (card.entry,) if card.entry else () if card.base else card.kind.nested
    state = read_state(files, nested, needed=bool(card.entry), notes=notes)
    return without_prefixes(state, module.state_dict(), notes)


def give_back(tensor: Tensor) -> None:
    """Let go of the memory in which a tensor's part of a mapped file lies; it can be read again.

    Memory of any other kind would lose its numbers, so only tensors marked as mapped are touched.
    """
    if sys.platform != "linux" or not getattr(tensor, "is_mapped", False):
        return
    start = -(-tensor.data_ptr() // PAGE) * PAGE
    end = (tensor.data_ptr() + tensor.numel() * tensor.element_size()) // PAGE * PAGE
    if end > start:
        madvise = ctypes.CDLL(None).madvise
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), DONT_NEED)


def fit(state: State, module: nn.Module, what: str, notes: list[str] | None = None) -> State:
    """The tensors that ``module`` has keys for, when keys, shapes and kinds of numbers all agree.

    Keys that match the module's ``ignored_keys`` (derived buffers, training statistics) may be
    there or not. A module with ``ignores_unknown`` takes files with any keys beside its own, where
    its authors' loader does.

    Args:
        notes: gets a line if such keys were left out.

    Raises:
        VarSpacesError: one line that names what is missing, unexpected or different.
    """
    wanted = module.state_dict()
    ignored = [re.compile(pattern) for pattern in getattr(module, "ignored_keys", ())]
    unexpected = [
        key
        for key in state
        if key not in wanted and not any(pattern.fullmatch(key) for pattern in ignored)
    ]
    if unexpected and getattr(module, "ignores_unknown", False):
        if notes is not None:
            notes.append(f"left {len(unexpected)} that the model has not ({first(unexpected)})")
        unexpected = []
    missing = [key for key in wanted if key not in state]
    shared = [key for key in wanted if key in state]
    reshaped = [
        f"{key} {_sizes(state[key])}, expected {_sizes(wanted[key])}"
        for key in shared
        if state[key].shape != wanted[key].shape
    ]
    retyped = [
        f"{key} {state[key].dtype}".replace("torch.", "")
        for key in shared
        if state[key].is_floating_point() != wanted[key].is_floating_point()
    ]
    faults = [
        f"{len(names)} {label} ({first(names)})"
        for label, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", reshaped),
            ("of another type", retyped),
        )
        if names
    ]
    if faults:
        raise VarSpacesError(f"{what} do not fit the architecture: {'; '.join(faults)}.")
    return {key: state[key] for key in shared}


def _sizes(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _dtype(tensor: Tensor, wanted: torch.dtype) -> torch.dtype:
    return wanted if tensor.is_floating_point() else tensor.dtype
