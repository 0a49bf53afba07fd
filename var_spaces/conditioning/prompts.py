"""Prompts as the rest of the project sees them: clean text on one line. Imports no torch."""

from __future__ import annotations

import unicodedata

MAX_PROMPT = 4000  # characters; encoders cut much earlier
PLACEHOLDER = "<placeholder>"  # a token for what no word says, in encoders that have none

# Infinity's optional suffix, for prompts in which one of its words occurs, inside others as well.
PERSONS = (
    "man", "woman", "men", "women", "boy", "girl", "child", "person", "human", "adult", "teenager",
    "employee", "employer", "worker", "mother", "father", "sister", "brother", "grandmother",
    "grandfather", "son", "daughter",
)  # fmt: skip
FACES = ". very smooth faces, good looking faces, face to the camera, perfect facial features"

# Control characters and halves of surrogate pairs, which no tokenizer and no JSON can hold.
_DROPPED = ("Cc", "Cs")


def clean_prompt(text: str) -> str:
    """One line of NFC text without control characters; equal for prompts that look the same.

    Joiners stay, because emoji and several scripts are spelled with them.
    """
    kept = (" " if unicodedata.category(c) in _DROPPED else c for c in text)
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())


def with_faces(prompt: str) -> str:
    """The prompt with Infinity's words for good faces behind it, if it is about persons."""
    return prompt + FACES if any(word in prompt for word in PERSONS) else prompt
