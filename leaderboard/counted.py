"""Numbers of papers that follow from shapes: they are counted, on any machine, without weights.

``parameters``        of the generator; ``-M`` and ``-B`` in millions and billions
``tokens``            of all scales of an image
``kv-MiB``            that the cache holds after the last scale
``kv-history-MiB``    that it hands to the last scale: what ScaleKV's tables count

Caches are counted as the authors' code stores them, keys in four bytes and values in two.
"""

from __future__ import annotations

from collections.abc import Mapping

from leaderboard.papers import PaperRow
from var_spaces import methods
from var_spaces.errors import VarSpacesError

UNITS = {"": 1, "M": 1e6, "B": 1e9}
STORED = 6 / 4  # bytes of a key and a value there, over those of two half-precision numbers


def counted(row: PaperRow) -> dict[str, float]:
    """Our numbers of a row, by the names of its own.

    Raises:
        VarSpacesError: for a quantity that nobody counts.
    """
    return {name: _count(name, row) for name in row.counted}


def agrees(published: float, ours: float) -> bool:
    """Whether a number, rounded as the published one is, is the same."""
    digits = len(repr(published).partition(".")[2]) if isinstance(published, float) else 0
    return round(ours, digits) == published


def _count(name: str, row: PaperRow) -> float:
    quantity, _, unit = name.partition("-")
    if quantity == "parameters" and unit in UNITS:
        from var_spaces.zoo.cards import get_card
        from var_spaces.zoo.manifest import build

        module = build(get_card(row.model, "generator"))
        return sum(parameter.numel() for parameter in module.parameters()) / UNITS[unit]
    if name == "tokens":
        from var_spaces.zoo.cards import get_card

        return sum(get_card(row.model, "generator").schedule.lengths)
    if name in ("kv-MiB", "kv-history-MiB"):
        held = _cache(row)
        return held[-2 if "history" in name else -1] * STORED / 2**20
    raise VarSpacesError(f"Row {row.id}: nobody counts '{name}'.")


def _cache(row: PaperRow) -> tuple[int, ...]:
    """Bytes of half-precision keys and values after each scale, of conditional and unconditional
    rows of all images."""
    import torch

    from var_spaces.zoo.cards import get_card
    from var_spaces.zoo.estimate import kv_bytes
    from var_spaces.zoo.manifest import build

    card = get_card(row.model, "generator")
    parts: Mapping[str, object] = row.entry().model_dump(mode="json")
    policy = methods.parse("cache", parts["cache"])
    backbones, rows = {"": build(card)}, {"": 2 * row.count}
    return kv_bytes(backbones, policy, card.schedule, rows, torch.float16)[0]
