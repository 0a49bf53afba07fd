"""Where the blocks of a generator lie: one device, several GPUs, CPU memory, the disk.

``VAR_SPACES_DEVICE="cuda:0=20e9,cuda:1,cpu,disk"`` fills the places in this order with the blocks
of a model, each up to its bytes, or to what is free there. Everything else of a model, its cache
and its tokenizer live on the first place. Blocks on other GPUs run there; blocks in CPU memory or
on the disk come to the first place while they run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from var_spaces.errors import VarSpacesError
from var_spaces.zoo.environment import DEVICE_VARIABLE

DISK = "disk"
STORES = ("cpu", DISK)  # places that hold blocks of a GPU without running them


@dataclass(frozen=True)
class Placement:
    """Places in the order in which they are filled, each with its bytes (None: what is free)."""

    places: tuple[tuple[str, int | None], ...]

    @property
    def main(self) -> torch.device:
        """Where everything but some blocks is."""
        return torch.device(self.places[0][0])

    @property
    def is_spread(self) -> bool:
        return len(self.places) > 1

    def __str__(self) -> str:
        parts = (name if room is None else f"{name}={room}" for name, room in self.places)
        return ",".join(parts)


def resolve(device: str | torch.device | Placement | None = None) -> Placement:
    """The placement given, else that of ``VAR_SPACES_DEVICE``, else CUDA if there is one.

    Raises:
        VarSpacesError: if there is no such device, or the list makes no sense.
    """
    if isinstance(device, Placement):
        return device
    text = str(device or os.environ.get(DEVICE_VARIABLE) or "")
    text = text or ("cuda" if torch.cuda.is_available() else "cpu")
    places = tuple(_place(part.strip()) for part in text.split(","))
    names = [name for name, _ in places]
    if len(set(names)) < len(names):
        raise VarSpacesError(f"{DEVICE_VARIABLE} names a place twice: {text[:80]}.")
    if names[0] == DISK or DISK in names[:-1]:
        raise VarSpacesError("'disk' is the last of several places: a model runs on the first.")
    kinds = {torch.device(name).type for name in names if name != DISK}
    runs = [name for name in names if name not in STORES]
    if len(kinds - {"cpu"}) > 1 or (runs and runs != names[: len(runs)]):
        raise VarSpacesError(
            f"Places of one kind that compute come first, then 'cpu' and 'disk', not {text[:80]}."
        )
    return Placement(places)


def _place(text: str) -> tuple[str, int | None]:
    name, equals, size = text.partition("=")
    try:
        room = int(float(size)) if equals else None
    except (ValueError, OverflowError):
        room = 0
    if room is not None and room <= 0:
        raise VarSpacesError(f"'{text[:40]}': give the bytes of a place like cuda:0=20e9.")
    if name != DISK:
        _check(name)
    return name, room


def _check(name: str) -> None:
    """Refuse a device that cannot be used here."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise VarSpacesError(f"Device '{name[:40]}' is not available here; use 'cpu'.") from None
    if device.type == "meta":
        raise VarSpacesError("Device 'meta' holds no numbers; use 'cpu'.")


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device; None if that cannot be known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    info = Path("/proc/meminfo")
    if info.is_file():
        lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        if "MemAvailable" in lines:
            return int(lines["MemAvailable"].split()[0]) * 1024
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    if "SC_PHYS_PAGES" in names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def block_names(module: nn.Module) -> list[str]:
    """The repeated parts of a module, innermost and in order: its transformer blocks."""
    lists = [name for name, part in module.named_modules() if isinstance(part, nn.ModuleList)]
    inner = [name for name in lists if not any(other.startswith(f"{name}.") for other in lists)]
    return [
        f"{name}.{child}"
        for name in inner
        for child, _ in module.get_submodule(name).named_children()
    ]


def spread(blocks: Mapping[str, int], rest: int, placement: Placement) -> dict[str, str]:
    """The place of every block, filling one place after the other.

    The first place also holds ``rest`` and, while blocks come from a store, the largest of them.

    Args:
        blocks: bytes by name, in the order in which they run.
        rest: bytes of everything else.

    Raises:
        VarSpacesError: if the places together are too small.
    """
    rooms = [_room(name, room) for name, room in placement.places]
    stores = any(name in STORES for name, _ in placement.places[1:])
    rooms[0] -= rest + (max(blocks.values(), default=0) if stores else 0)
    where, at = {}, 0
    for name, size in blocks.items():
        while at < len(rooms) and rooms[at] < size:
            at += 1
        if at == len(rooms) or rooms[0] < 0:
            need, have = (
                rest + sum(blocks.values()),
                sum(_room(*place) for place in placement.places),
            )
            raise VarSpacesError(
                f"A model of {need} bytes does not fit into {placement} ({have:.0f} bytes): add "
                "places, as in cuda:0,cuda:1,cpu,disk, or take weights of fewer bits."
            )
        rooms[at] -= size
        where[name] = placement.places[at][0]
    return where


def _room(name: str, room: int | None) -> float:
    if room is not None:
        return room
    free = None if name == DISK else free_memory(torch.device(name))
    return float("inf") if free is None else free
