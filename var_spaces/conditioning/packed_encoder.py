"""Runs a transformers text encoder and returns the states of the tokens that are text.

Needs torch and transformers only: training uses it on machines that have no more. Models are read
from local files; nothing here opens a connection unless a hub id is given and may be fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from var_spaces.errors import VarSpacesError

MINILM = Path(__file__).resolve().parents[2] / "assets" / "models" / "minilm"
BATCH = 64


class PackedEncoder:
    """A frozen encoder with its tokenizer.

    Args:
        model: a transformers module whose output has ``last_hidden_state``.
        tokenizer: its tokenizer.
        max_length: tokens that are read of a prompt, special tokens included.
    """

    def __init__(self, model: Any, tokenizer: Any, max_length: int) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer, self.max_length = tokenizer, max_length

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> list[Tensor]:
        """States ``(tokens, E)`` of every prompt, float32 on the encoder's device.

        Special tokens count as text, so even the empty prompt has some.
        """
        found: list[Tensor] = []
        for start in range(0, len(prompts), BATCH):
            batch = self.tokenizer(
                list(prompts[start : start + BATCH]),
                padding=True,
                truncation=True,
                max_length=self.max_length,
                return_tensors="pt",
            ).to(self.device)
            ids, mask = batch["input_ids"], batch["attention_mask"]
            states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            found += [row[keep] for row, keep in zip(states, mask.bool(), strict=True)]
        return found


def load_minilm(
    folder: Path | None = None, device: torch.device | str = "cpu", max_length: int = 64
) -> PackedEncoder:
    """The embedded encoder, a pruned all-MiniLM-L6-v2 (see ``training/prune_minilm.py``).

    Raises:
        VarSpacesError: if its files or transformers are missing.
    """
    source = str(folder or MINILM)
    return _load("BertModel", source, device, max_length, add_pooling_layer=False)


def load_t5(model: str, device: torch.device | str, max_length: int, fetch: bool) -> PackedEncoder:
    """The encoder half of a T5 model, in half precision on a GPU as published.

    Args:
        model: folder, or id on the Hugging Face Hub.
        fetch: ask the Hub for files that are not on this machine.

    Raises:
        VarSpacesError: if files or transformers are missing.
    """
    half = torch.float16 if torch.device(device).type == "cuda" else torch.float32
    return _load("T5EncoderModel", model, device, max_length, fetch=fetch, dtype=half)


def _load(
    kind: str,
    source: str,
    device: torch.device | str,
    max_length: int,
    *,
    fetch: bool = False,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> PackedEncoder:
    """Read a model and its tokenizer with transformers; files only, unless they may be fetched."""
    try:
        import transformers
    except ImportError:
        raise VarSpacesError(
            "Prompts need the package transformers: pip install transformers."
        ) from None
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, local_files_only=not fetch)
        model = getattr(transformers, kind).from_pretrained(
            source, local_files_only=not fetch, dtype=dtype, use_safetensors=True, **options
        )
    except Exception as error:  # transformers raises what its many parts raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise VarSpacesError(f"Cannot load the text encoder {source}: {lines[0][:160]}") from None
    finally:
        if shown:
            bars.enable_progress_bar()
    return PackedEncoder(model.to(device), tokenizer, max_length)
