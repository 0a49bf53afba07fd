"""Where models run and how much memory they may take, from the environment of the process."""

from __future__ import annotations

import math
import os

import torch

from var_spaces.errors import VarSpacesError

BUDGET_VARIABLE = "VAR_SPACES_MODEL_BYTES"
DEVICE_VARIABLE = "VAR_SPACES_DEVICE"
DTYPE_VARIABLE = "VAR_SPACES_DTYPE"
LANE_VARIABLE = "VAR_SPACES_LANE"
MAX_LANE = 64
QUANT_VARIABLE = "VAR_SPACES_QUANT"
GRAPHS_VARIABLE = "VAR_SPACES_GRAPHS"
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
AUTO = "auto"
NO_QUANT = "none"
QUANTS = (NO_QUANT, "int8", "nf4", "int8-dynamic")


def budget_from_environment() -> int | None:
    """Bytes of weights that ``VAR_SPACES_MODEL_BYTES`` allows, e.g. ``2e9``; None without it.

    Raises:
        VarSpacesError: if it is no positive number.
    """
    text = os.environ.get(BUDGET_VARIABLE, "")
    try:
        budget = float(text or "inf")
    except ValueError:
        budget = 0.0
    if not budget > 0:
        raise VarSpacesError(
            f"{BUDGET_VARIABLE} is '{text[:40]}': give the bytes of weights to keep, like 2e9."
        )
    return None if math.isinf(budget) else int(budget)


def lane_from_environment() -> int:
    """Images that share a batch on a CPU, from ``VAR_SPACES_LANE``; else 1.

    One image is then the same to the last bit in any run. Several are cheaper each, and may differ
    in the rounding of their sums.

    Raises:
        VarSpacesError: if it is no whole number from 1 to 64.
    """
    text = os.environ.get(LANE_VARIABLE) or "1"
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_LANE:
        raise VarSpacesError(
            f"{LANE_VARIABLE} is '{text[:40]}': give how many images share a batch, 1 to 64."
        )
    return int(text)


def graphs_from_environment() -> bool:
    """Whether scales are recorded as CUDA graphs, from ``VAR_SPACES_GRAPHS``; else they are.

    Raises:
        VarSpacesError: if it is neither "on" nor "off".
    """
    text = os.environ.get(GRAPHS_VARIABLE) or "on"
    if text not in ("on", "off"):
        raise VarSpacesError(f"{GRAPHS_VARIABLE} is '{text[:40]}': say on or off.")
    return text == "on"


def shared_batches(device: torch.device) -> str:
    """What to say of images that share a batch on a CPU, behind its name; mostly nothing."""
    lane = lane_from_environment() if device.type == "cpu" else 1
    return f", batches of {lane}" if lane > 1 else ""


def dtype_from_environment() -> str:
    """Type of the weights of generators in memory, from ``VAR_SPACES_DTYPE``; else "auto".

    Raises:
        VarSpacesError: for an unknown type.
    """
    chosen = os.environ.get(DTYPE_VARIABLE) or AUTO
    return chosen if chosen == AUTO else known_dtype(chosen)


def dtype_on(device: torch.device, half: str, chosen: str = AUTO) -> str:
    """Name of the type of weights on a device.

    Args:
        half: in which the authors of a model compute on GPUs.
        chosen: by a person; "auto" is ``half`` on a GPU and float32 elsewhere.
    """
    if chosen != AUTO:
        return chosen
    return half if device.type == "cuda" else "float32"


def known_dtype(name: str) -> str:
    """The name of a type of weights.

    Raises:
        VarSpacesError: for an unknown one.
    """
    if name not in TYPES:
        raise VarSpacesError(f"Unknown type '{name[:40]}' of weights: choose {', '.join(TYPES)}.")
    return name


def quant_from_environment() -> str:
    """How few bits the weights of generators take, from ``VAR_SPACES_QUANT``; else "none".

    Raises:
        VarSpacesError: for an unknown kind.
    """
    return known_quant(os.environ.get(QUANT_VARIABLE) or NO_QUANT)


def known_quant(name: str) -> str:
    """The name of a kind of quantised weights, or "none".

    Raises:
        VarSpacesError: for an unknown one.
    """
    if name not in QUANTS:
        raise VarSpacesError(
            f"Unknown quantisation '{name[:40]}' of weights: choose {', '.join(QUANTS)}."
        )
    return name
