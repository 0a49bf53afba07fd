"""Reads weights strictly: nothing executed, nothing missing, nothing unexpected or reshaped.

Safetensors (one file or shards with a Hugging Face index) and PyTorch ``.pth`` files are read; the
latter only through ``torch.load(weights_only=True)``.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from var_spaces.errors import VarSpacesError
from var_spaces.zoo.cards import Card
from var_spaces.zoo.skeleton import skeleton
from var_spaces.zoo.writer import INDEX, SINGLE, weights_digest

MAX_INDEX_BYTES = 64 * 1024 * 1024
State = dict[str, Tensor]


def load_module(card: Card, device: torch.device | str = "cpu") -> nn.Module:
    """Build the module of a card and give it its weights, as float32, ready for inference.

    The module is built without memory and takes over the tensors that were read, so a model needs
    its size once.

    Raises:
        VarSpacesError: if a file is missing, damaged or not the one the card names, or if keys or
            shapes differ from the architecture.
    """
    try:
        module = skeleton(lambda: card.kind.build(card.architecture))
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise VarSpacesError(f"Model '{card.id}': bad architecture in its card: {reason}") from None
    files = weight_files(card.folder)
    if card.weights_sha256 and weights_digest(files) != card.weights_sha256:
        raise VarSpacesError(
            f"The weights of '{card.id}' are not those of its card (SHA-256 differs): "
            f"restore {card.folder} or train the model again."
        )
    state = read_state(files, card.kind.nested)
    adapt = getattr(module, "adapt_state", None)  # other spellings of published files
    state = adapt(state) if adapt else state
    state = fit(state, module, f"The weights of '{card.id}'")
    module.load_state_dict(
        {key: tensor.to(device, _dtype(tensor), copy=True) for key, tensor in state.items()},
        strict=True,
        assign=True,
    )
    return module.to(device).eval().requires_grad_(False)


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a model folder.

    Raises:
        VarSpacesError: if there are none, or the index is damaged or points elsewhere.
    """
    if (folder / INDEX).is_file():
        return _indexed_files(folder)
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    pickles = sorted([*folder.glob("*.pth"), *folder.glob("*.pt")])
    if len(pickles) == 1:
        return pickles
    raise VarSpacesError(
        f"No weights in {folder}: expected {SINGLE}, {INDEX} with its shards, or one .pth file."
    )


def _indexed_files(folder: Path) -> list[Path]:
    where = folder / INDEX
    try:
        with open(where, "rb") as file:
            names = set(json.loads(file.read(MAX_INDEX_BYTES))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise VarSpacesError(f"The weight index {where} is damaged.") from None
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+\.safetensors", name):
            raise VarSpacesError(
                f"The weight index {where} names {str(name)[:80]!r}: only safetensors files of the "
                "same folder are allowed."
            )
        if not (folder / name).is_file():
            raise VarSpacesError(f"The weight file {folder / name} is missing.")
    if not names:
        raise VarSpacesError(f"The weight index {where} names no file.")
    return sorted(folder / name for name in names)


def read_state(files: Iterable[Path], nested: Iterable[tuple[str, ...]] = ()) -> State:
    """All tensors of weight files by key.

    Args:
        files: safetensors shards, or one ``.pth``.
        nested: where a trainer's checkpoint keeps the weights, e.g. ``("trainer", "var_wo_ddp")``.

    Raises:
        VarSpacesError: if a file is damaged, holds anything but tensors or repeats a key.
    """
    state: State = {}
    for path in files:
        pickled = path.suffix in (".pth", ".pt")
        found = _read_pickle(path, nested) if pickled else _read_safetensors(path)
        twice = sorted(state.keys() & found.keys())
        if twice:
            raise VarSpacesError(f"Tensor '{twice[0]}' is in two weight files of {path.parent}.")
        state |= found
    return state


def _read_safetensors(path: Path) -> State:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise VarSpacesError(
            f"The weight file {path} is damaged or cut ({reason}): restore or train it again."
        ) from None


def _read_pickle(path: Path, nested: Iterable[tuple[str, ...]]) -> State:
    try:
        try:
            data = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # files of the old format cannot be mapped
            data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise VarSpacesError(
            f"The weight file {path} is damaged or holds more than tensors; it is not read, since "
            "unpickling could run code. Convert it to safetensors."
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, AttributeError):
        raise VarSpacesError(f"The weight file {path} is damaged or cut.") from None
    for keys in nested:
        inner = data
        for key in keys:
            inner = inner.get(key) if isinstance(inner, Mapping) else None
        data = data if inner is None else inner
    if not isinstance(data, Mapping) or not data or not all(map(_is_named_tensor, data.items())):
        raise VarSpacesError(f"The weight file {path} is not a state dict of tensors.")
    return {key.replace("_orig_mod.", ""): tensor for key, tensor in data.items()}


def _is_named_tensor(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def fit(state: State, module: nn.Module, what: str) -> State:
    """The tensors that ``module`` has keys for, when keys, shapes and kinds of numbers all agree.

    Keys that match the module's ``ignored_keys`` (derived buffers, training statistics) may be
    there or not.

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
        f"{len(names)} {label} ({_first(names)})"
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


def _first(names: list[str], limit: int = 4) -> str:
    more = f", and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _sizes(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _dtype(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.is_floating_point() else tensor.dtype
