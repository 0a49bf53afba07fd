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
    """The embedded encoder, a pruned all-MiniLM-L6-v2 (see ``prune_minilm.py``).

    Raises:
        VarSpacesError: if its files or transformers are missing.
    """
    from_files = dict(local_files_only=True)
    return _load("BertModel", str(folder or MINILM), device, max_length, from_files, float32=True)


def load_t5(model: str, device: torch.device | str, max_length: int, fetch: bool) -> PackedEncoder:
    """The encoder half of a T5 model, in half precision on a GPU.

    Args:
        model: folder, or id on the Hugging Face Hub.
        fetch: ask the Hub for files that are not on this machine.

    Raises:
        VarSpacesError: if files or transformers are missing.
    """
    options = dict(local_files_only=not fetch)
    half = torch.device(device).type == "cuda"
    return _load("T5EncoderModel", model, device, max_length, options, float32=not half)


def _load(
    kind: str,
    source: str,
    device: torch.device | str,
    max_length: int,
    options: dict[str, Any],
    float32: bool,
) -> PackedEncoder:
    try:
        import transformers
    except ImportError:
        raise VarSpacesError(
            "Prompts need the package transformers: pip install transformers."
        ) from None
    if kind == "BertModel":
        options = {**options, "add_pooling_layer": False}
    dtype = torch.float32 if float32 else torch.float16
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            source, local_files_only=options["local_files_only"]
        )
        model = getattr(transformers, kind).from_pretrained(source, dtype=dtype, **options)
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:160] if str(error) else type(error).__name__
        raise VarSpacesError(f"Cannot load the text encoder {source}: {reason}") from None
    return PackedEncoder(model.to(device), tokenizer, max_length)
