"""Weights from the Hugging Face Hub: what is in the cache, and downloads that end well or clearly.

Downloads resume, show their progress and go through ``huggingface_hub``, so its cache is shared
with other programs and its environment variables hold: ``HF_TOKEN``, ``HF_HOME``, ``HF_HUB_CACHE``,
``HF_HUB_OFFLINE``, ``HF_ENDPOINT``. Nothing here imports it before it is needed.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from var_spaces.errors import VarSpacesError
from var_spaces.zoo.source import Source

TIMEOUT = 10.0  # seconds that the Hub may take to answer


def cache_folder() -> Path:
    """Where downloads lie."""
    home = os.environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def offline() -> bool:
    """Whether the network is off limits."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


def cached(source: Source) -> list[Path] | None:
    """The files of a source if all are on this machine."""
    if (
        not source.files
        or not (cache_folder() / f"models--{source.repository.replace('/', '--')}").is_dir()
    ):
        return None
    from huggingface_hub import try_to_load_from_cache

    found = [
        try_to_load_from_cache(
            source.repository, name, cache_dir=cache_folder(), revision=source.revision
        )
        for name in source.files
    ]
    return [Path(path) for path in found] if all(isinstance(p, str) for p in found) else None


class Found(NamedTuple):
    """A file of a repository: its bytes, and the commit that it belongs to."""

    size: int
    revision: str


def look(source: Source, name: str) -> Found | None:
    """What the Hub says about a file, without its contents; None if there is no such file.

    Raises:
        VarSpacesError: if the repository cannot be read.
    """
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

    endpoint = os.environ.get("HF_ENDPOINT")
    url = hf_hub_url(source.repository, name, revision=source.revision, endpoint=endpoint)
    try:
        found = get_hf_file_metadata(url, timeout=TIMEOUT)
    except errors.EntryNotFoundError:
        return None
    except Exception as error:  # as in _fetch
        raise VarSpacesError(_explain(error, source, name)) from None
    return Found(found.size or 0, found.commit_hash or source.revision)


def fetch(source: Source) -> list[Path]:
    """Download what is missing and check it; returns the paths of all files.

    Raises:
        VarSpacesError: one line that says what to do; the cache is as good as before.
    """
    return [_fetch(source, name) for name in source.files]


def _fetch(source: Source, name: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(
            source.repository,
            name,
            revision=source.revision,
            cache_dir=cache_folder(),
            endpoint=os.environ.get("HF_ENDPOINT"),
            etag_timeout=TIMEOUT,
            local_files_only=offline(),
        )
    except Exception as error:  # of huggingface_hub, of its HTTP client, of the disk
        raise VarSpacesError(_explain(error, source, name)) from None
    _check(Path(path), source, name)
    return Path(path)


def _explain(error: Exception, source: Source, name: str) -> str:
    from huggingface_hub import errors

    repository, where = source.repository, f"'{name}' of '{source.repository}'"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return (
            f"Repository '{repository}' is gated: accept its terms on its page on the Hub, then "
            "set HF_TOKEN to a token of that account."
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        return (
            f"Repository '{repository}' does not exist or is private: check its name, or set "
            "HF_TOKEN to a token that may read it."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"Repository '{repository}' has no revision '{source.revision}'."
    if isinstance(error, errors.LocalEntryNotFoundError) and offline():
        return f"{where} is not in the cache and HF_HUB_OFFLINE is set: unset it to download."
    cause = error.__cause__ or error
    status = status or getattr(getattr(cause, "response", None), "status_code", None)
    if status == 429:
        return f"The Hub asks to wait before {where} (rate limit): try later, or set HF_TOKEN."
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(
        error, errors.LocalEntryNotFoundError
    ):
        return f"Repository '{repository}' has no file '{name}' at revision '{source.revision}'."
    if isinstance(error, OSError) and error.errno == 28:
        return f"No room on the disk for {where}: free some in {cache_folder()} or set HF_HOME."
    reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0][:160]
    return f"Downloading {where} failed ({reason}): try again, it goes on where it stopped."


def _check(path: Path, source: Source, name: str) -> None:
    """Compare a file with its digest; large files of the cache are named by theirs."""
    blob = path.resolve()
    digests = {source.sha256.get(name), blob.name if _is_sha256(blob.name) else None} - {None}
    if digests and {_digest(path)} != digests:
        blob.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise VarSpacesError(
            f"'{name}' of '{source.repository}' arrived damaged or was changed (SHA-256 differs) "
            "and was removed: download it again."
        )


def _is_sha256(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
