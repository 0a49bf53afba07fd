"""All words that the page says by itself: labels of controls, text of its HTML, its schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import gradio as gr

from var_spaces.ui import tabs
from var_spaces.ui.app import HEADER
from var_spaces.ui.board.tab import build_board
from var_spaces.ui.compare.tab import build_compare
from var_spaces.ui.form.schema import schema
from var_spaces.ui.glossary import TERMS
from var_spaces.ui.run.tab import build_tab
from var_spaces.ui.script import FOLDER

PROPS = ("label", "info", "placeholder", "title")
SPOKEN = ("alt", "title", "aria-label", "placeholder")
PLACE = re.compile(r"(\{n?\})")
PLACES = {"{}": "(.+?)", "{n}": "([\\d.,%]+)"}
ROWS = ("board-table", "board-plot")
SILENT = ("code", "pre", "script", "style", "svg")


class Texts(HTMLParser):
    """Text nodes and spoken attributes of HTML, without code and drawings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.silent += tag in SILENT
        if not self.silent:
            self.found += [value for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in SILENT

    def handle_data(self, data: str) -> None:
        if not self.silent and data.strip():
            self.found.append(" ".join(data.split()))


def spoken(value: Any) -> Iterator[str]:
    """Words in a value of the page: HTML, or views in parts."""
    if isinstance(value, str):
        yield from Texts(value).found
    elif isinstance(value, dict):
        for part in value.values():
            if not isinstance(part, dict):  # else attributes of an element
                yield from spoken(part)
    elif isinstance(value, list | tuple):  # frames: their state, which nobody sees, and HTML
        for part in value:
            if not isinstance(part, dict):
                yield from spoken(part[1] if isinstance(part, list | tuple) else part)


def of_page() -> set[str]:
    """Everything that is said before anybody does anything, but for rows of the leaderboard."""
    with gr.Blocks() as page:
        gr.HTML(HEADER)
        for name in tabs.names():
            with gr.Tab(tabs.words(name).title):
                build_tab(name)
        build_compare()
        build_board()
    found: set[str] = set()
    for component in page.get_config_file()["components"]:
        props = component["props"]
        if str(props.get("elem_id", "")) in ROWS:
            continue
        found |= {props[key] for key in PROPS if isinstance(props.get(key), str)}
        if component["type"] in ("button", "downloadbutton"):
            found.add(str(props.get("value") or props.get("label") or ""))
        elif component["type"] == "html":
            found |= set(spoken(props.get("value"))) | set(spoken(props.get("html_template")))
    return found


def of_methods() -> set[str]:
    """What the browser says of methods."""
    found = set()
    for kind in schema().values():
        if isinstance(kind, dict):
            found.add(kind["label"])
            for method in kind["methods"]:
                found |= {method["title"], method["note"]}
                for field in method["fields"]:
                    found |= {field["label"], field["help"]}
    return found


def of_glossary() -> set[str]:
    return {text for told in TERMS.values() for text in told}


def of_scripts() -> set[str]:
    """What the scripts say: sentences in double quotes, and text of elements that they make."""
    found: set[str] = set()
    for path in sorted(FOLDER.glob("*.js")):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text("utf-8"), flags=re.DOTALL)
        found |= set(re.findall(r'"([A-Z][^"<>]* [^"<>]*)"', text))
    return found


class Table:
    """A language as ``js/words.js`` reads it."""

    def __init__(self, table: dict[str, str]) -> None:
        self.exact = table
        self.patterns = [
            re.compile("".join(PLACES.get(p) or re.escape(p) for p in PLACE.split(key)), re.DOTALL)
            for key in table
            if PLACE.search(key)
        ]

    def knows(self, text: str) -> bool:
        return text in self.exact or any(one.fullmatch(text) for one in self.patterns)
