"""Runs a transformers text encoder and returns the states of the tokens that are text.

Needs torch and transformers only: training uses it on machines that have no more. Models are read
from local files; nothing here opens a connection unless a hub id is given and may be fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from var_spaces.conditioning.prompts import PLACEHOLDER
from var_spaces.errors import VarSpacesError

MINILM = Path(__file__).resolve().parents[2] / "assets" / "models" / "minilm"
BATCH = 64
# Width, width of the feed-forward part, blocks and heads of the published encoders.
FLAN_T5 = {
    "google/flan-t5-small": (512, 1024, 8, 6),
    "google/flan-t5-base": (768, 2048, 12, 12),
    "google/flan-t5-large": (1024, 2816, 24, 16),
    "google/flan-t5-xl": (2048, 5120, 24, 32),
    "google/flan-t5-xxl": (4096, 10240, 24, 64),
}


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

    def parameters(self) -> Iterator[Tensor]:
        return self.model.parameters()

    def buffers(self) -> Iterator[Tensor]:
        return self.model.buffers()

    def ids(self, prompts: Sequence[str], max_length: int | None = None) -> list[Tensor]:
        """Token numbers ``(tokens,)`` of every prompt, special tokens included."""
        length = max_length or self.max_length
        found = self.tokenizer(list(prompts), truncation=True, max_length=length)["input_ids"]
        return [torch.tensor(ids, device=self.device) for ids in found]

    def embeddings(self, ids: Tensor) -> Tensor:
        """What the encoder reads at tokens ``ids``, ``(tokens, E)``: rows of its own table."""
        return self.model.get_input_embeddings()(ids)

    def read(self, embedded: Sequence[Tensor]) -> list[Tensor]:
        """States ``(tokens, E)`` of texts that are given as embeddings, float32.

        Some rows may be learned: gradients reach them. Nothing is remembered here or elsewhere, so
        what was learned stays with whoever learned it.

        Args:
            embedded: per text ``(tokens, E)``, like :meth:`embeddings`, special tokens included.
        """
        lengths = torch.tensor([len(rows) for rows in embedded], device=self.device)
        padded = nn.utils.rnn.pad_sequence(list(embedded), batch_first=True).to(self.device)
        mask = (torch.arange(padded.shape[1], device=self.device) < lengths[:, None]).long()
        states = self.model(inputs_embeds=padded, attention_mask=mask).last_hidden_state.float()
        return [row[:length] for row, length in zip(states, lengths.tolist(), strict=True)]

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str], max_length: int | None = None) -> list[Tensor]:
        """States ``(tokens, E)`` of every prompt, float32 on the encoder's device.

        Special tokens count as text, so even the empty prompt has some.

        Args:
            max_length: instead of the encoder's own.
        """
        found: list[Tensor] = []
        for start in range(0, len(prompts), BATCH):
            batch = self.tokenizer(
                list(prompts[start : start + BATCH]),
                padding=True,
                truncation=True,
                max_length=max_length or self.max_length,
                return_tensors="pt",
            ).to(self.device)
            ids, mask = batch["input_ids"], batch["attention_mask"]
            states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            found += [row[keep] for row, keep in zip(states, mask.bool(), strict=True)]
        return found

    def unread(self, prompt: str, max_length: int | None = None) -> tuple[str, tuple[str, ...]]:
        """What it does not read of a prompt: the end that is cut off, and words it does not know.

        Args:
            max_length: instead of the encoder's own.
        """
        if not getattr(self.tokenizer, "is_fast", False):
            return "", ()  # nobody says which letters a token stands for
        read = self.tokenizer(
            prompt, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )  # that the prompt is long is told to who wrote it, not to the log
        room = (max_length or self.max_length) - self.tokenizer.num_special_tokens_to_add()
        places, unknown = read["offset_mapping"], self.tokenizer.unk_token_id
        rest = prompt[places[room][0] :] if len(places) > room else ""
        kept = zip(read["input_ids"][:room], places, strict=False)
        words = (prompt[start:end] for token, (start, end) in kept if token == unknown)
        return rest, tuple(dict.fromkeys(filter(None, words)))


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
    encoder = _load(
        "T5EncoderModel", model, device, max_length, fetch=fetch, dtype=t5_dtype(device)
    )
    # As ARBooth has it (arXiv 2504.02612): the published matrix has rows that no word uses, and the
    # first of them is the placeholder's.
    if len(encoder.tokenizer) < encoder.model.get_input_embeddings().num_embeddings:
        encoder.tokenizer.add_tokens([PLACEHOLDER], special_tokens=True)
    return encoder


def t5_dtype(device: torch.device | str) -> torch.dtype:
    """Type of the weights of a T5 on a device."""
    return torch.float16 if torch.device(device).type == "cuda" else torch.float32


def build_minilm(folder: Path | None = None) -> Any:
    """The network of :func:`load_minilm` with fresh weights on the default device."""
    transformers = _transformers()
    config = transformers.BertConfig.from_pretrained(str(folder or MINILM))
    return transformers.BertModel(config, add_pooling_layer=False)


def build_t5(model: str, fetch: bool) -> Any:
    """The network of :func:`load_t5` with fresh weights on the default device.

    Sizes of the published Flan-T5 are known; those of other models are read.
    """
    transformers = _transformers()
    if model in FLAN_T5:
        names = ("d_model", "d_ff", "num_layers", "num_heads")
        sizes = dict(zip(names, FLAN_T5[model], strict=True))
        config = transformers.T5Config(
            vocab_size=32128, d_kv=64, feed_forward_proj="gated-gelu", **sizes
        )
    else:
        try:
            config = transformers.T5Config.from_pretrained(model, local_files_only=not fetch)
        except Exception as error:
            raise _refusal(model, error) from None
    return transformers.T5EncoderModel(config)


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
    transformers = _transformers()
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, local_files_only=not fetch)
        model = getattr(transformers, kind).from_pretrained(
            source, local_files_only=not fetch, dtype=dtype, use_safetensors=True, **options
        )
    except Exception as error:  # transformers raises what its many parts raise
        raise _refusal(source, error) from None
    finally:
        if shown:
            bars.enable_progress_bar()
    return PackedEncoder(model.to(device), tokenizer, max_length)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise VarSpacesError(
            "Prompts need the package transformers: pip install transformers."
        ) from None
    return transformers


def _refusal(source: str, error: Exception) -> VarSpacesError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return VarSpacesError(f"Cannot load the text encoder {source}: {lines[0][:160]}")
