"""Reads files of tensors by what they hold, whatever their names say; nothing is executed.

Safetensors, and PyTorch files (``.pth``, ``.pt``, ``.ckpt``, ``.bin``, ``.pth.tar``), the latter
only through ``torch.load(weights_only=True)``. Files are mapped, not read. Header, archive and
number of tensors are bounded before a parser sees them, and only dense tensors with numbers count.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.int8_rows import unpacked

State = dict[str, Tensor]
MAX_HEADER = 16 << 20  # bytes; the largest published models have some 200 kB
MAX_TENSORS = 100_000  # of a model, in all of its files
MAX_PICKLED = 64 << 20  # bytes of what an archive holds beside the numbers
ZIP, PICKLE = b"PK\x03\x04", b"\x80"
# Where trainers put the weights of a checkpoint, the usual ones first.
WRAPPERS = ("state_dict", "model", "module", "ema", "model_ema", "ema_state_dict", "params_ema")
# What compilers and distributed wrappers write in front of every key.
PREFIXES = ("module.", "_orig_mod.", *(f"{name}." for name in WRAPPERS))


def read_state(
    files: Iterable[Path],
    nested: Iterable[tuple[str, ...]] = (),
    needed: bool = False,
    notes: list[str] | None = None,
) -> State:
    """All tensors of weight files by key; codes of eight bits become numbers.

    Args:
        files: safetensors shards, or one PyTorch file.
        nested: where a trainer's checkpoint keeps the weights, e.g. ``("trainer", "var_wo_ddp")``.
        needed: refuse a PyTorch file that has none of these places.
        notes: gets a line for what was taken out of wrappers.

    Raises:
        VarSpacesError: if a file is damaged, holds anything but tensors or repeats a key.
    """
    state: State = {}
    notes = [] if notes is None else notes
    for path in files:
        if is_safetensors(path):
            found = _read_safetensors(path)
        else:
            found = _read_pickle(path, nested, needed, notes)
        twice = sorted(state.keys() & found.keys())
        if twice:
            raise VarSpacesError(f"Tensor '{twice[0]}' is in two weight files of {path.parent}.")
        state |= found
        if len(state) > MAX_TENSORS:
            raise VarSpacesError(f"The weights at {path} are more than {MAX_TENSORS} tensors.")
    return unpacked(state)


def without_prefixes(state: State, own: Iterable[str], notes: list[str]) -> State:
    """The tensors without what wrappers wrote in front of their keys, and the module did not.

    Args:
        own: keys of the module.
        notes: gets a line for what was removed.
    """
    own = list(own)
    for prefix in _prefixes(state, own):
        chosen = {k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)}
        if len(chosen) < len(state):
            others = sorted({key.partition(".")[0] for key in state} - {prefix[:-1]})
            notes.append(f"took '{prefix}*' and left {', '.join(f'{o}.*' for o in others)}")
        else:
            notes.append(f"removed '{prefix}' in front of all keys")
        return without_prefixes(chosen, own, notes)
    if any("._orig_mod." in key for key in state):
        notes.append("removed '_orig_mod.' inside keys")
        return {key.replace("._orig_mod.", "."): tensor for key, tensor in state.items()}
    return state


def _prefixes(state: State, own: list[str]) -> list[str]:
    """The prefix to remove next, if there is one: all keys begin with some known prefix."""
    known = [prefix for prefix in PREFIXES if not any(key.startswith(prefix) for key in own)]
    if not state or not all(key.startswith(tuple(known)) for key in state):
        return []
    return [prefix for prefix in known if any(key.startswith(prefix) for key in state)][:1]


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a header, then the header.

    Raises:
        VarSpacesError: if it cannot be read, or its header is larger than any model's.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise VarSpacesError(f"Cannot read the weight file {path}: {error.strerror}.") from None
    if path.suffix == ".safetensors" or (len(start) == 9 and start[8:] == b"{"):
        length = struct.unpack("<Q", start[:8])[0] if len(start) == 9 else 0
        if length > MAX_HEADER and length < path.stat().st_size:
            raise VarSpacesError(
                f"The header of the weight file {path} is larger than {MAX_HEADER >> 20} MiB."
            )
        return True
    return False


def _read_safetensors(path: Path) -> State:
    try:
        with safe_open(path, framework="pt") as file:
            keys = file.keys()
            if len(keys) > MAX_TENSORS:
                raise VarSpacesError(f"The weights at {path} are more than {MAX_TENSORS} tensors.")
            return {key: _mapped(file.get_tensor(key)) for key in keys}
    except VarSpacesError:
        raise
    except (SafetensorError, OSError, ValueError, RuntimeError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise VarSpacesError(
            f"The weight file {path} is damaged or cut ({reason}): restore or train it again."
        ) from None


def _read_pickle(
    path: Path, nested: Iterable[tuple[str, ...]], needed: bool, notes: list[str]
) -> State:
    data, mark = _unpickled(path)
    nested = tuple(nested)
    found = [(keys, inner) for keys in nested if (inner := _inside(data, keys)) is not None]
    if needed and not found:
        raise VarSpacesError(
            f"The weight file {path} has no entry {' / '.join(nested[0])}; at its top are "
            f"{_top(data)}."
        )
    if not found and not _is_state(data):
        found = [((key,), data[key]) for key in WRAPPERS if _is_state(_inside(data, (key,)))]
        left = [key[0] for key, _ in found[1:]]
        if found:
            also = f" and left {', '.join(left)} (the card's 'entry' chooses)" if left else ""
            notes.append(f"took the entry '{found[0][0][0]}'{also}")
    data = _tensors(found[0][1], notes) if found else data
    if not _is_state(data):
        raise VarSpacesError(
            f"The weight file {path} is not a state dict of tensors; at its top are {_top(data)}."
        )
    if len(data) > MAX_TENSORS:
        raise VarSpacesError(f"The weights at {path} are more than {MAX_TENSORS} tensors.")
    for key, tensor in data.items():
        _check_dense(path, key, tensor)
    return {key: mark(tensor) for key, tensor in data.items()}


def _unpickled(path: Path) -> tuple[Any, Any]:
    """Contents of a PyTorch file, and what marks its tensors."""
    options: dict[str, Any] = {"map_location": "cpu", "weights_only": True}
    try:
        with open(path, "rb") as file:
            start = file.read(4)
        if start == ZIP:
            _check_archive(path)
            return torch.load(path, mmap=True, **options), _mapped
        if start and start[:1] != PICKLE:
            raise VarSpacesError(
                f"The weight file {path} is neither safetensors nor a PyTorch file."
            )
        with _Capped(open(path, "rb", buffering=0)) as file:  # the old format cannot be mapped
            return torch.load(file, **options), Tensor.detach
    except VarSpacesError:
        raise
    except pickle.UnpicklingError:
        raise VarSpacesError(
            f"The weight file {path} is damaged or holds more than tensors; it is not read, since "
            "unpickling could run code. Convert it to safetensors."
        ) from None
    except Exception:  # damage shows in any of the many parts of a reader of pickles
        raise VarSpacesError(f"The weight file {path} is damaged or cut.") from None


class _Capped(io.BufferedReader):
    """A file that makes no room for more than it holds, whatever length a text in it claims."""

    def read(self, size: int | None = -1) -> bytes:
        left = os.fstat(self.fileno()).st_size - self.tell()
        return super().read(left if size is None or size < 0 else min(size, left))


def _check_archive(path: Path) -> None:
    """Refuse an archive whose parts take more memory than the file."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    pickled = sum(part.file_size for part in parts if "/data/" not in part.filename)
    if (
        any(part.compress_type != zipfile.ZIP_STORED for part in parts)
        or sum(part.file_size for part in parts) > path.stat().st_size
        or pickled > MAX_PICKLED
        or len(parts) > 2 * MAX_TENSORS
    ):
        raise VarSpacesError(
            f"The weight file {path} is no archive as torch writes them: its parts are packed, "
            "overlap or are too large."
        )


def _check_dense(path: Path, key: str, tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized or tensor.is_nested:
        raise VarSpacesError(
            f"'{key[:80]}' of the weight file {path} is sparse, quantised or without numbers: only "
            "dense tensors are read."
        )


def _inside(data: Any, keys: Iterable[str]) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _is_state(data: Any) -> bool:
    return (
        isinstance(data, Mapping)
        and bool(data)
        and all(isinstance(k, str) and isinstance(t, Tensor) for k, t in data.items())
    )


def _tensors(data: Any, notes: list[str]) -> Any:
    """An entry of a checkpoint without what is no tensor, e.g. counters; as it is if all is."""
    items = data.items() if isinstance(data, Mapping) else ()
    kept = {k: t for k, t in items if isinstance(k, str) and isinstance(t, Tensor)}
    left = [str(key)[:40] for key, _ in items if key not in kept]
    if not kept or not left:
        return data
    notes.append(f"left what is no tensor: {first(left)}")
    return kept


def _top(data: Any) -> str:
    names = [str(key)[:40] for key in data] if isinstance(data, Mapping) else []
    return first(names) or type(data).__name__


def _mapped(tensor: Tensor) -> Tensor:
    tensor.is_mapped = True
    return tensor


def first(names: list[str], limit: int = 4) -> str:
    """Some of the names."""
    more = f", and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
