"""Turns weight files of a known layout into a model folder: sharded safetensors and a card."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from var_spaces.backbones.hmar_config import merge
from var_spaces.errors import VarSpacesError
from var_spaces.int8_rows import packed
from var_spaces.paths import expanded
from var_spaces.zoo import hub
from var_spaces.zoo.cards import Card, as_json
from var_spaces.zoo.checkpoints import fit, noted, read, told
from var_spaces.zoo.environment import TYPES, known_dtype
from var_spaces.zoo.locate import files_of, weight_files
from var_spaces.zoo.manifest import build
from var_spaces.zoo.new_folder import check_new
from var_spaces.zoo.source import REPOSITORY, Source
from var_spaces.zoo.weight_files import State
from var_spaces.zoo.writer import save_model

SHARD_BYTES = 2_000_000_000
OWN = {"source", "terms", "entry", "weights_sha256", "featured", "added"}  # not taken over


def convert(
    card: Card,
    out: Path,
    origin: str | None = None,
    dtype: str = "float32",
    max_shard: int = SHARD_BYTES,
    notes: list[str] | None = None,
    replace: bool = False,
    masked: str | None = None,
) -> str:
    """Write a model folder of the layout of ``card``; its name becomes the id of the new model.

    Args:
        card: says what the weights must look like; title, classes and defaults are taken over.
        out: the folder.
        origin: a weight file, a folder of them, or ``owner/name:file`` on the Hub; None takes the
            weights of the card itself.
        dtype: of floating-point weights on disk: float32, bfloat16, float16, or int8 (matrices in
            eight bits with a factor per row, the rest in float16).
        max_shard: largest file in bytes.
        notes: gets a line for every wrapper of a trainer that was taken off.
        replace: let it take the place of a model that is there, with all its files.
        masked: HMAR only: the checkpoint of the second stage of its training, found as ``origin``,
            which is that of the first stage then; see :func:`stages`.

    Returns:
        The digest of the new weights.

    Raises:
        VarSpacesError: if the weights are not there or do not have the layout of the card, or the
            folder cannot be a new model.
    """
    small = dtype == "int8"
    kind = torch.float16 if small else TYPES[known_dtype(dtype)]
    check_new(out, replace)
    if masked is not None:
        state = stages(card, origin, masked, notes)
    else:
        files = files_of(card) if origin is None else find(origin)
        card, state = told(card, files, notes)
    described = {name: value for name, value in as_json(card).items() if name not in OWN}
    state = packed(state) if small else state
    return save_model(out, {**described, "id": out.name}, state, max_shard, kind, others=False)


def stages(card: Card, next_scale: str | None, masked: str, notes: list[str] | None) -> State:
    """The weights of an HMAR from the two checkpoints that its training leaves.

    Both are laid out as a VAR; :func:`~var_spaces.backbones.hmar_config.merge` says what is taken
    from which.

    Args:
        card: of an HMAR.
        next_scale, masked: weight files of the two stages, found as ``origin`` of :func:`convert`.
        notes: as there.

    Raises:
        VarSpacesError: if the card is of another family, one of the files is not given, or they
            do not have the layout.
    """
    if card.family != "hmar" or next_scale is None:
        raise VarSpacesError(
            "--masked is the second stage of an HMAR: give the model of that family and its first "
            "stage with --from."
        )
    module = build(card)
    with noted(card, notes) as said:
        states = [read(card, module, find(origin), said) for origin in (next_scale, masked)]
    merged = merge(*states, module.config.branch)
    return fit(merged, module, f"The two stages of '{card.id}'")


def find(origin: str) -> list[Path]:
    """Weight files by a path, or by ``owner/name:file`` on the Hub.

    Raises:
        VarSpacesError: if there is no such file.
    """
    path = expanded(origin)
    if path.is_dir():
        return weight_files(path)
    if path.is_file():
        return [path]
    repository, colon, name = origin.partition(":")
    if colon and re.fullmatch(REPOSITORY, repository):
        return hub.fetch(Source(repository=repository, files=[name]))
    raise VarSpacesError(
        f"No weights at '{origin[:200]}': give a file, a folder, or owner/name:file on the Hub."
    )
