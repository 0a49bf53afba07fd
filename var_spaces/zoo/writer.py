"""Writes a model folder: sharded safetensors, the Hugging Face index and ``card.json``.

Needs torch, safetensors and the standard library only, because training machines have no more.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from var_spaces.errors import VarSpacesError
from var_spaces.zoo.folders import (
    CARD,
    INDEX,
    SINGLE,
    keep_other_files,
    replace_folder,
    weights_digest,
)

MAX_SHARD = 9_000_000


def save_model(
    folder: str | Path,
    card: Mapping[str, Any],
    state_dict: Mapping[str, Tensor],
    max_shard: int = MAX_SHARD,
    dtype: torch.dtype | None = torch.float16,
    others: bool = True,
) -> str:
    """Write weights and card; the same input gives the same bytes.

    All is written to a new folder that then takes the place of the old one, so a killed process
    leaves either the old model or the new one.

    Args:
        folder: where the model lives, e.g. ``assets/models/var-small``.
        card: contents of ``card.json``; ``weights_sha256`` is filled in here.
        state_dict: tensors by published key.
        max_shard: largest file in bytes.
        dtype: floating-point type on disk; None keeps every tensor's own.
        others: keep files of the old folder that are neither weights nor card (README.md,
            samples.png).

    Returns:
        The digest written into the card (see :func:`weights_digest`).

    Raises:
        VarSpacesError: if there is nothing to save, a tensor does not fit into one shard, or a
            value does not fit the type on disk.
    """
    folder = Path(folder)
    shards = _plan(state_dict, max_shard, dtype)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        names = _write_shards(temporary, state_dict, shards, dtype)
        digest = weights_digest(temporary / name for name in names)
        text = json.dumps({**card, "weights_sha256": digest}, indent=2, ensure_ascii=False)
        (temporary / CARD).write_text(text + "\n", "utf-8")
        if others:
            keep_other_files(folder, temporary)
        temporary.chmod(0o755)
        replace_folder(folder, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return digest


def _on_disk(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor.contiguous().clone()
    if not torch.isfinite(tensor).all():
        raise VarSpacesError(f"Weights of '{name}' are not finite; this model cannot be saved.")
    stored = tensor.to(dtype or tensor.dtype).contiguous().clone()
    if not torch.isfinite(stored).all():
        raise VarSpacesError(
            f"Weights of '{name}' reach {tensor.abs().max():.3g}, too large for {dtype}; "
            "save this model with dtype=None."
        )
    return stored


def _nbytes(tensor: Tensor, dtype: torch.dtype | None) -> int:
    """Size on disk."""
    kind = dtype if dtype and tensor.is_floating_point() else tensor.dtype
    return tensor.numel() * kind.itemsize


def _plan(
    tensors: Mapping[str, Tensor], max_shard: int, dtype: torch.dtype | None
) -> list[list[str]]:
    """Groups of keys, in order, whose files stay below ``max_shard`` bytes."""
    if not tensors:
        raise VarSpacesError("There are no weights to save.")
    shards: list[list[str]] = [[]]
    used = 0
    for name, tensor in tensors.items():
        # Header entry: {"name":{"dtype":"F16","shape":[..],"data_offsets":[..,..]}}, and padding.
        size = _nbytes(tensor, dtype) + len(name) + 150
        if size + 128 > max_shard:
            raise VarSpacesError(
                f"Tensor '{name}' needs {size} bytes, more than one shard of {max_shard} may have; "
                "make the model narrower or max_shard larger."
            )
        if shards[-1] and used + size + 128 > max_shard:
            shards.append([])
            used = 0
        shards[-1].append(name)
        used += size
    return shards


def _write_shards(
    folder: Path,
    tensors: Mapping[str, Tensor],
    shards: list[list[str]],
    dtype: torch.dtype | None,
) -> list[str]:
    """Write every shard and, for more than one, the index; returns the file names.

    Tensors are converted shard by shard, so weights that are mapped from a file stay there.
    """
    count = len(shards)
    names = [f"model-{i + 1:05d}-of-{count:05d}.safetensors" for i in range(count)]
    if count == 1:
        names = [SINGLE]
    for name, keys in zip(names, shards, strict=True):
        stored = {key: _on_disk(key, tensors[key], dtype) for key in keys}
        save_file(stored, folder / name, metadata={"format": "pt"})
        (folder / name).chmod(0o644)
    if count > 1:
        total = sum(_nbytes(tensor, dtype) for tensor in tensors.values())
        places = {key: name for name, keys in zip(names, shards, strict=True) for key in keys}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", "utf-8")
    return names
