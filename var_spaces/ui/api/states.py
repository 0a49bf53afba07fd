"""The state of a run and of a comparison for programs: numbers, and pictures as data URIs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from var_spaces.ui.compare.comparing import Board
from var_spaces.ui.run.view import RunView


def run_state(view: RunView) -> dict[str, Any]:
    """Numbers per scale, all pictures as they are now, in the end the run record."""
    scales = [asdict(scale) for scale in view.scales]
    for scale in scales:
        del scale["frame"]
    return {
        "phase": view.phase,
        "id": view.spec.id if view.spec else None,
        "spec": view.spec.model_dump(mode="json") if view.spec else None,
        "notes": list(view.notes),
        "scales": scales,
        "pictures": list(view.pictures),
        "record": view.record.model_dump(mode="json") if view.record else None,
    }


def board_state(board: Board) -> dict[str, Any]:
    """The runs of a comparison by number and, when all are done, how every pair differs."""
    return {
        "phase": board.phase,
        "runs": [run_state(view) for view in board.views],
        "pairs": [
            {"a": pair.a, "b": pair.b, **asdict(pair.difference), "heat": pair.heat}
            for pair in board.pairs
        ],
    }
