"""Views in parts, put together as the browser does."""

from __future__ import annotations

from typing import Any

from var_spaces.ui.run import cost, stage
from var_spaces.ui.run.view import RunView


def whole(parts: dict[str, Any]) -> str:
    """All HTML of a view; attributes of an element as its opening tag."""
    return "".join(map(_text, parts.values()))


def _text(part: Any) -> str:
    if isinstance(part, dict):
        attributes = "".join(f' {name}="{value}"' for name, value in part.items())
        return f"<div{attributes}></div>"
    if isinstance(part, list):
        return "".join(f'<li data-state="{state}">{html}</li>' for state, html in part)
    return part


def stage_of(view: RunView) -> str:
    return whole(stage.parts(view))


def cost_of(view: RunView) -> str:
    return whole(cost.parts(view))
