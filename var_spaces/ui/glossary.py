"""Every special word on the page, in plain words: the help panel, and "?" beside the place.

``glossary.json`` holds them and ``js/help.js`` shows them. Keys are what places refer to: the last
part of a field's key, or a name that HTML of the page gives in ``data-term``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path

# by key: what it is called, and what it means
TERMS: Mapping[str, tuple[str, str]] = {
    key: tuple(told)
    for key, told in json.loads(Path(__file__).with_suffix(".json").read_text("utf-8")).items()
}


def term(key: str, words: str) -> str:
    """Words that open their explanation, as HTML; they are escaped.

    Raises:
        KeyError: if there is no explanation.
    """
    TERMS[key]
    return f'<button type="button" class="vs-term" data-term="{key}">{escape(words)}</button>'
