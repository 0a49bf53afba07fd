"""All words that the page says by itself: labels of controls, text of its HTML, its schema, and the
sentences of its source, which runs, trainings and refusals say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import gradio as gr

from leaderboard.suites.base import get_suite
from var_spaces import methods
from var_spaces.ui import tabs
from var_spaces.ui.app import HEADER
from var_spaces.ui.board.tab import build_board
from var_spaces.ui.compare.tab import build_compare
from var_spaces.ui.form.schema import schema
from var_spaces.ui.glossary import TERMS
from var_spaces.ui.own.lessons import LESSONS
from var_spaces.ui.own.tab import build_lesson
from var_spaces.ui.run.missing import WISHES, also_missing
from var_spaces.ui.run.tab import build_tab
from var_spaces.ui.script import FOLDER
from var_spaces.ui.words import LIMITS

PROPS = ("label", "info", "placeholder", "title")
SPOKEN = ("alt", "title", "aria-label", "placeholder")
LINK = re.compile(r"\[([^]]+)\]\([^)]*\)")  # in Markdown
PLACE = re.compile(r"(\{n?\})")
PLACES = {"{}": "(.+?)", "{n}": "([\\d.,%]+)"}
ROWS = ("board-table", "board-plot")
SILENT = ("code", "pre", "script", "style", "svg")
MONO = "vs-mono"  # class of elements that hold data
# of the source: what programs and owners read, and prompts, which are English everywhere
OTHERS = ("api", "server", "gallery", "languages.py", "limits.py", "form/examples.py", "app.py")
# prompts, and what of_page looks at
IDEAS = ("IDEAS", "PROMPTS", "WISHES", "trials")
# of the source, too: parts of sentences that are looked at as a whole, and what nobody is shown
PARTS = {
    "A next-scale model draws the whole picture {} times: first as {}×{} token, at last as {}×{}. "
    "Each time {}.",
    "it looks at the picture so far and remembers nothing else",
    "it looks back at everything it drew before",
    "Grey: another row is better or equal in both",
    "{} could not be read and {} left out:",
    "Settings of run {} are back.",
    "If its picture is not here, hand it in again: it is no part of them.",
    "{} {}Press {} to draw it again.",
    "The comparison is back.",
    "{}: hand it in",
    "{}, then paint over what is to change",
    "What you train appears here and in the tabs Generate, Edit and Compare, as long as you visit.",
    "Download it to keep it.",
    "What looks as before",
    "Outside the region, which was to stay",
    "Draw the first picture of this row with {}.",
    "a whole number",
    "A worker draws the images of the suite with this entry, draws some of them again to check "
    "itself, and adds a row: it is {} if tokens and numbers are the same. Only registered methods "
    "and known models can be submitted; for a model of your own, add its card first. On the "
    "command line:",
}
INNER = {
    "session of a visitor",
    "tab that is being built",
    "The key",
    "Models of your own",
    "Models of your own, {}",
    "The run link",
    "What the tab begins with",
    "Submissions cannot be resumed: %s",
    "Submissions cannot be worked off: %s",
}
SENTENCE = re.compile(r"[A-Z][a-z]+\b.* .*[a-z]{2}|.*[a-z]+ [a-z]+ [a-z]+")


class Texts(HTMLParser):
    """Text nodes and spoken attributes of HTML, without code, data and what is in drawings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent = 0
        self.mono: list[str] = []  # open elements, from one that holds data
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if not self.silent:
            self.found += [value for name, value in attrs if name in SPOKEN and value]
        self.silent += tag in SILENT
        if self.mono or MONO in (dict(attrs).get("class") or "").split():
            self.mono.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in SILENT
        if tag in self.mono:  # elements without an end stand after it
            del self.mono[len(self.mono) - 1 - self.mono[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if not self.silent and not self.mono and data.strip():
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
        for name in LESSONS:
            build_lesson(name)
        for name in WISHES:
            gr.HTML(also_missing(name))
        build_compare()
        build_board()
    found: set[str] = set()
    for component in page.get_config_file()["components"]:
        props = component["props"]
        if str(props.get("elem_id", "")) in ROWS:
            continue
        for said in (props[key] for key in PROPS if isinstance(props.get(key), str)):
            found |= set(spoken(LINK.sub(r"<a>\1</a>", said)))
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


def of_limits() -> set[str]:
    """What models are known not to do."""
    return {said for one in LIMITS.values() for said in one.by_model.values()} | {"Its numbers"}


def of_metrics() -> set[str]:
    """Columns of the leaderboard, and how their heads are put together."""
    suites = map(get_suite, methods.names("suite"))
    titles = {metric.title for suite in suites for metric in suite.metrics()}
    return titles | {"Precision ↑", "Throughput, image/s ↑", "MIND ↓", "Peak memory, MiB ↓"}


def of_glossary() -> set[str]:
    return {text for told in TERMS.values() for text in told}


def of_scripts() -> set[str]:
    """What the scripts say: sentences in double quotes, and text of elements that they make."""
    found: set[str] = set()
    for path in sorted(FOLDER.glob("*.js")):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text("utf-8"), flags=re.DOTALL)
        found |= set(re.findall(r'"([A-Z][^"<>]* [^"<>]*)"', text))
    return found | {"now", "place 2", "seed 5", "time not known yet", "done in about 9 s"}


def of_sources() -> set[str]:
    """Sentences in the page's own modules: its HTML and refusals; ``{}`` is what is put in."""
    folder, found = FOLDER.parent, set()
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if not name.startswith(OTHERS) and path.name not in OTHERS:
            for text in _literals(ast.parse(path.read_text("utf-8"))):
                found |= {said for said in Texts(text).found if SENTENCE.match(said)}
    return found - PARTS - INNER


def _literals(node: ast.AST) -> Iterator[str]:
    """Strings that somebody may be shown: no documentation, no scripts, no prompts to click on."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    named = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
    if (getattr(named, "id", "") or getattr(node, "arg", "")) in IDEAS:
        return
    text = _text(node)
    if text is None:
        for child in ast.iter_child_nodes(node):
            yield from _literals(child)
    elif not re.search(r"=>|--[a-z]+:|[;{]\s*$|var\(", text):
        yield text


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join("{}" if (text := _text(part)) is None else text for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            one, other = _text(left), _text(right)
            return None if one is None or other is None else one + other
    return None


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
        """Whether it is translated; ``{}`` may be a number, a name, or nothing."""
        kinds = {" ".join(text.replace("{}", put).split()) for put in ("{}", "7", "cat", "")}
        return any(
            kind in self.exact or any(one.fullmatch(kind) for one in self.patterns)
            for kind in kinds
        )
