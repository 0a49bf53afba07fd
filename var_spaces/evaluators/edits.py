"""Was an edit done, and was the rest kept? Checks on frozen pairs whose truth is known.

*Done*: where the two scenes of a pair differ, the scene parser sees what the target shows. *Kept*:
PSNR and SSIM with the source outside the mask of what may change. The parser errs and a tokenizer
loses detail, so both are also measured on reconstructions of the true targets.

    pairs = read_pairs()
    right = done(pair, embedded_parser()([picture])[0])
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.claims import Facts, Seen
from var_spaces.evaluators.similarity import psnr, ssim_map

PAIRS = Path(__file__).resolve().parents[2] / "assets" / "atlas" / "edit_pairs.json"
FORMAT = 1
RESIZING = ("enlarge", "shrink")
LIMIT = 50.0  # dB: beyond it nobody sees a difference


@dataclass(frozen=True)
class Pair:
    """A frozen pair.

    Attributes:
        operation: what is done, see ``training/data/operations.py``, or ``"two"``.
        split: which kind of unseen it is, see ``training/data/edits.py``.
        instruction: what the model is told.
        caption: the target in words, for a model that does not see the source.
        before, after: facts of both scenes.
        source, target: records of both scenes.
    """

    operation: str
    split: str
    instruction: str
    caption: str
    before: Facts
    after: Facts
    source: dict[str, Any]
    target: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return asdict(self, dict_factory=lambda items: {k: v for k, v in items if v is not None})

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Pair:
        return cls(**{**data, "before": _facts(data["before"]), "after": _facts(data["after"])})


def _facts(data: dict[str, Any]) -> Facts:
    return Facts(tuple(Seen(**thing) for thing in data["things"]), tuple(data["background"]))


def read_pairs(path: Path | None = None) -> list[Pair]:
    """The frozen pairs, operation by operation.

    Raises:
        VarSpacesError: if the file is missing or of another format.
    """
    path = path or PAIRS
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise VarSpacesError(
            f"No pairs in {path}: write them with "
            "python -m var_spaces.training.data.frozen_edits --out PATH"
        ) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise VarSpacesError(f"{path.name} is not a file of pairs of format {FORMAT}.")
    return [Pair.from_json(item) for item in data["pairs"]]


def dump(pairs: Sequence[Pair]) -> str:
    """The text of a file of pairs: one a line."""
    lines = (
        json.dumps(pair.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for pair in pairs
    )
    return f'{{"format":{FORMAT},"pairs":[\n ' + ",\n ".join(lines) + "\n]}\n"


def done(pair: Pair, seen: Facts) -> bool:
    """Whether a picture shows, wherever the scenes differ, what the target shows.

    A thing has to be the right one; in the right colour if it has one that is not its own; in the
    right style if its style was to change. Where the target shows nothing, nothing may be seen. A
    change of size is no fact: of that it is asked that the thing is still there, see also
    :func:`nearer`.
    """
    old, new, now = (
        {thing.place: thing for thing in facts.things} for facts in (pair.before, pair.after, seen)
    )
    places = old.keys() | new.keys()
    if pair.operation not in RESIZING:
        places = {place for place in places if old.get(place) != new.get(place)}
    fits = all(_fits(old.get(at), new.get(at), now.get(at)) for at in places)
    same = pair.before.background == pair.after.background
    return fits and (same or seen.background == pair.after.background)


def _fits(old: Seen | None, new: Seen | None, now: Seen | None) -> bool:
    if new is None or now is None:
        return new is now
    restyled = old is not None and old.concept == new.concept and old.style != new.style
    return (
        now.concept == new.concept
        and new.colour in (None, now.colour)
        and (not restyled or now.style == new.style)
    )


def nearer(image: np.ndarray, source: np.ndarray, target: np.ndarray, mask: np.ndarray) -> bool:
    """Whether an image is nearer to the target than to the source where they may differ.

    Args:
        image, source, target: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` bool.
    """
    image, source, target = (x[mask].astype(np.float64) for x in (image, source, target))
    return bool(np.square(image - target).sum() < np.square(image - source).sum())


def kept_psnr(image: np.ndarray, source: np.ndarray, mask: np.ndarray) -> float:
    """PSNR in dB with the source outside the mask, at most 50; NaN where the mask is everything."""
    if mask.all():
        return float("nan")
    return psnr(image[~mask], source[~mask], LIMIT)


def kept_ssim(image: np.ndarray, source: np.ndarray, mask: np.ndarray) -> float:
    """SSIM with the source, mean over the places outside the mask; NaN where there are none.

    Local statistics see the source inside the mask in both pictures, so that what was to change
    does not count against what was to be kept.
    """
    if mask.all():
        return float("nan")
    other = np.where(mask[..., None], source, image)
    return float(ssim_map(other[None], source[None], whole=True)[0][~mask].mean())
