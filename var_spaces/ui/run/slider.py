"""Two pictures over each other and a line between them that is dragged or moved with arrows."""

from __future__ import annotations

from html import escape

Side = tuple[str, str]  # (name, data URI)

# For ``js_on_load`` of the component that holds sliders.
MOVE = """element.addEventListener("input", event => {
  const box = event.target.closest(".vs-slider");
  if (box) box.style.setProperty("--at", event.target.value + "%");
});"""


def slider(
    left: Side, right: Side, size: tuple[int, int], shown: int, alt: str = "", laid: str = ""
) -> str:
    """HTML of both pictures, equal in size.

    Args:
        size: ``(H, W)`` in pixels.
        shown: width on the page.
        alt: of the right picture, already escaped; else its name.
        laid: label of a second control that lets the left picture show through the right one.
    """
    height, width = size
    crisp = "" if shown < width else ' class="vs-crisp"'
    names = [escape(name, quote=True) for name, _ in (left, right)]
    images = "".join(
        f'<img{crisp} src="{uri}" alt="{text}" decoding="sync">'
        for uri, text in ((left[1], names[0]), (right[1], alt or names[1]))
    )
    both = (
        f'<div class="vs-slider" style="--shown:{shown}px;--shape:{width}/{height}">{images}'
        f"<span>{names[0]}</span><span>{names[1]}</span>"
        f'<input type="range" min="0" max="100" value="50" step="1" '
        f'aria-label="Line between {names[0]} and {names[1]}"></div>'
    )
    if not laid:
        return both
    return (
        f'<div class="vs-laid" style="--shown:{shown}px">{both}<label>{escape(laid)}'
        '<input type="range" data-sets="--laid" min="0" max="100" value="0" step="5"></label></div>'
    )
