"""Finds the weight files of a model: beside its card, in the Hub cache, or by downloading them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from var_spaces import codecs
from var_spaces.errors import VarSpacesError
from var_spaces.zoo import hub
from var_spaces.zoo.card import Card
from var_spaces.zoo.cards import known
from var_spaces.zoo.folders import INDEX, SINGLE, weights_digest
from var_spaces.zoo.offers import OFFER_VARIABLE, may_use, patterns

ACCEPT_VARIABLE = "VAR_SPACES_ACCEPT"
# Names of weight files; what they hold is told by content.
READABLE = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".pth.tar")
MAX_INDEX_BYTES = 8 << 20
MAX_FILES = 1024  # of one model


def files_of(card: Card) -> list[Path]:
    """The weight files of a model, downloaded if they are missing and that is allowed.

    Raises:
        VarSpacesError: if they are not here or not complete; says how to get them.
    """
    if card.source is None:
        return weight_files(card.folder)
    _check_names(card)
    found = hub.cached(card.source)
    if found is None and may_download(card):
        return download(card)
    if found is None:
        raise VarSpacesError(
            f"The weights of '{card.id}' ({size_text(card)}) are not on this machine: get them "
            f"with 'python -m var_spaces download {card.id}', or name the model in "
            f"{OFFER_VARIABLE}."
        )
    return _weights(found)


def may_download(card: Card) -> bool:
    """Whether weights that are missing are fetched when a run needs them.

    Those of models that the owner offers or that a person added, of their bases and tokenizers.
    """
    users = [c for c in known("generator").values() if card.id in (c.base, c.tokenizer)]
    if card.role == "generator":
        offered = may_use(card) and bool(patterns() or card.added)
        return offered or any(may_use(user) and may_download(user) for user in users)
    return bool(patterns() or card.added) or any(user.added for user in users)


def download(card: Card, accept: bool = False) -> list[Path]:
    """Fetch the weights of a published model into the Hub cache.

    Args:
        accept: a person has read and accepted the terms of the card.

    Raises:
        VarSpacesError: if the terms are not accepted or the download fails.
    """
    if card.source is None:
        return weight_files(card.folder)
    _check_names(card)
    listed = [name.strip() for name in os.environ.get(ACCEPT_VARIABLE, "").split(",")]
    if card.terms and not accept and card.id not in listed:
        raise VarSpacesError(
            f"'{card.id}' has terms to accept: {card.terms.summary} ({card.terms.url}). Read them, "
            f"then download with --accept, or name the model in {ACCEPT_VARIABLE}."
        )
    return _weights(hub.fetch(card.source))


def _check_names(card: Card) -> None:
    """Refuse a card of many checkpoints: it says what they look like, not which one is meant."""
    if not card.source.files:
        raise VarSpacesError(
            f"The card of '{card.id}' names no weight file: choose one with 'python -m var_spaces "
            f"convert {card.id} --from {card.source.repository}:FILE --out FOLDER/ID'."
        )


def _weights(files: Sequence[Path]) -> list[Path]:
    return [path for path in files if not path.name.endswith(".index.json")]


def size_text(card: Card) -> str:
    """Size of a download in words."""
    size = card.source.bytes if card.source else None
    return f"{size / 1e9:.2f} GB" if size else "size unknown"


def digest_of(files: Sequence[Path]) -> str:
    """SHA-256 of weight files; read again only when a file has changed."""
    stamps = [(path, path.stat()) for path in files]
    return _digest(tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stamps))


@lru_cache(maxsize=256)
def _digest(stamps: tuple[tuple[Path, int, int], ...]) -> str:
    return weights_digest([path for path, _, _ in stamps])


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a model folder.

    Raises:
        VarSpacesError: if there are none, or the index is damaged or points elsewhere.
    """
    if (folder / INDEX).is_file():
        return _indexed_files(folder)
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    found = sorted(path for path in folder.iterdir() if path.name.endswith(READABLE))
    if len(found) == 1:
        return found
    listed = f" It has {len(found)} weight files." if found else ""
    raise VarSpacesError(
        f"No weights in {folder}: expected {SINGLE}, {INDEX} with its shards, or one file of "
        f"{', '.join(READABLE)}.{listed}"
    )


def indexed_names(where: Path) -> list[str]:
    """Names of the weight files of an index, sorted.

    Raises:
        VarSpacesError: if the index is damaged, empty or points elsewhere.
    """
    try:
        with open(where, "rb") as file:
            text = file.read(MAX_INDEX_BYTES + 1)
        names = set(codecs.parse_json(text, "It", MAX_INDEX_BYTES)["weight_map"].values())
    except VarSpacesError as error:
        raise VarSpacesError(f"The weight index {where} is damaged: {error}") from None
    except (OSError, KeyError, AttributeError, TypeError):
        raise VarSpacesError(f"The weight index {where} is damaged.") from None
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+\.safetensors", name):
            raise VarSpacesError(
                f"The weight index {where} names {str(name)[:80]!r}: only safetensors files of the "
                "same folder are allowed."
            )
    if len(names) > MAX_FILES:
        raise VarSpacesError(f"The weight index {where} names {len(names)} files.")
    if not names:
        raise VarSpacesError(f"The weight index {where} names no file.")
    return sorted(names)


def _indexed_files(folder: Path) -> list[Path]:
    files = [folder / name for name in indexed_names(folder / INDEX)]
    for path in files:
        if not path.is_file():
            raise VarSpacesError(f"The weight file {path} is missing.")
    return files
