"""Edits one after another: a tree of pictures, of which any may be the next one's source.

Pure values; who shows them is ``steps_view.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

import numpy as np

from var_spaces.compare.similarity import heat, ssim
from var_spaces.pictures import digest
from var_spaces.ui.run import pixels
from var_spaces.ui.run.heat import coloured
from var_spaces.ui.words import plural

MOST = 24  # steps that are kept
SIDE = 96  # pixels of a step on the strip
VISIBLE = 0.08  # difference that one sees, as a share of the whole range


@dataclass(frozen=True, eq=False)
class Step:
    """A picture of the chain.

    Attributes:
        image: ``(H, W, 3)`` uint8.
        label: what was asked for.
        run: id of the run that drew it; empty for one that was handed in.
        parent: number of the step that it was made from; -1: none, or one that is not kept.
    """

    image: np.ndarray
    label: str
    run: str = ""
    parent: int = -1


@dataclass(frozen=True, eq=False)
class Steps:
    """The chain so far, and where the visitor stands in it."""

    steps: tuple[Step, ...] = ()
    at: int = -1

    def drawn_by(self, source: np.ndarray) -> str:
        """Id of the run that drew a picture; empty if none of these did."""
        number = self._number(source)
        return self.steps[number].run if number >= 0 else ""

    def _number(self, source: np.ndarray) -> int:
        key = digest(source)
        equal = [n for n, step in enumerate(self.steps) if digest(step.image) == key]
        return equal[-1] if equal else -1

    def grown(self, source: np.ndarray, image: np.ndarray, label: str, run: str) -> Steps:
        """One more picture, made from ``source``; the oldest ones go when there are too many."""
        number, steps = self._number(source), self.steps
        if number < 0:
            number, steps = len(steps), (*steps, Step(source, "your picture"))
        steps = (*steps, Step(image, label, run, number))
        # what the new one was made from stays, however old: one can go back to it
        gone = [n for n in range(len(steps)) if n != number][: max(0, len(steps) - MOST)]
        places = {n: place for place, n in enumerate(n for n in range(len(steps)) if n not in gone)}
        kept = (replace(steps[n], parent=places.get(steps[n].parent, -1)) for n in places)
        return Steps(tuple(kept), len(places) - 1)

    def to(self, number: int) -> Steps:
        """Stand at a step; a number that there is not changes nothing."""
        return Steps(self.steps, number if 0 <= number < len(self.steps) else self.at)

    def undone(self) -> Steps:
        """One step back."""
        return self.to(self.steps[self.at].parent) if self.steps else self

    @property
    def can_undo(self) -> bool:
        return bool(self.steps) and self.steps[self.at].parent >= 0


def strip(steps: Steps) -> str:
    """All steps as buttons, as HTML; a branch says where it began."""
    if len(steps.steps) < 2:
        return ""
    items = "".join(_item(steps, number) for number in range(len(steps.steps)))
    return (
        '<h3 class="vs-heading">Steps</h3><p class="vs-note">Click a picture to go on from it; '
        f'another edit of an earlier one begins a branch.</p><ol class="vs-steps">{items}</ol>'
    )


def _item(steps: Steps, number: int) -> str:
    step = steps.steps[number]
    branch = step.parent >= 0 and step.parent != number - 1
    place = f"<i>from {step.parent + 1}</i>" if branch else ""
    now = ' aria-current="step"' if number == steps.at else ""
    label = escape(step.label[:60], quote=True)
    uri = pixels.preview(step.image, SIDE)
    return (
        f'<li><button type="button" data-step="{number}"{now} title="Go on from here">'
        f'<img class="vs-crisp" src="{uri}" alt="Step {number + 1}: {label}" decoding="sync">'
        f"<span><b>{number + 1}</b> {label}{place}</span></button></li>"
    )


def changes(before: np.ndarray, after: np.ndarray, kept: np.ndarray | None = None) -> str:
    """What an edit changed, and what should not have changed, as HTML.

    Args:
        before, after: of one size, ``(H, W, 3)`` uint8.
        kept: ``(H, W)`` bool, what was to stay; None where only the picture itself can tell.
    """
    if before.shape != after.shape:
        return ""
    difference = heat(before, after)
    seen = difference > VISIBLE
    uri = pixels.preview(coloured(difference))
    height, width = after.shape[:2]
    words = f"{seen.mean():.0%} of the picture changed visibly; brighter is more."
    stays = ~seen if kept is None else kept
    if stays.any():
        what = "What looks as before" if kept is None else "Outside the region, which was to stay"
        words += f" {what}: {_close(before, after, stays, kept is not None)}."
    return (
        '<figure class="vs-changes"><figcaption><b>What changed</b>'
        f"<span>{words}</span></figcaption>"
        f'<img class="vs-crisp" src="{uri}" width="{width}" height="{height}" '
        'alt="Difference of every pixel: dark is equal" decoding="sync"></figure>'
    )


def _close(before: np.ndarray, after: np.ndarray, stays: np.ndarray, counted: bool) -> str:
    """How equal a part of two pictures is, in words; with the pixels that are not, if counted."""
    if np.array_equal(before[stays], after[stays]):
        return "equal in every pixel"
    error = np.mean((before[stays].astype(np.float64) - after[stays]) ** 2)
    moved = int((np.abs(before[stays].astype(int) - after[stays]).max(-1) > 255 * VISIBLE).sum())
    found = f"PSNR {10 * np.log10(255**2 / error):.1f} dB"
    whole = ssim(np.where(stays[..., None], after, before), before)
    found += f", SSIM {whole:.3f}" if whole is not None else ""
    return found + (f", {plural(moved, 'pixel')} visibly other" if moved and counted else "")
