"""Where evaluators live, and how one is read; torch is imported only to read weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from var_spaces.errors import VarSpacesError

if TYPE_CHECKING:
    from torch import Tensor, nn

EVALUATORS = Path(__file__).resolve().parents[2] / "assets" / "evaluators"


def read_card(folder: Path) -> dict[str, Any]:
    """The card of an evaluator's folder.

    Raises:
        VarSpacesError: if there is none.
    """
    try:
        return json.loads((folder / "card.json").read_text("utf-8"))
    except (OSError, ValueError):
        name = folder.name
        raise VarSpacesError(
            f"No evaluator in {folder}: train one with "
            f"'python -m var_spaces.training {name} --config {name}'."
        ) from None


def fill(network: nn.Module, folder: Path) -> nn.Module:
    """Weights of a folder as float32; the network is ready for use and not trained further."""
    from safetensors.torch import load_file

    from var_spaces.int8_rows import unpacked

    weights: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    state = {k: v.float() if v.is_floating_point() else v for k, v in unpacked(weights).items()}
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
