"""Whether a run fits into the memory of this device, and what would if it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from var_spaces import cpu
from var_spaces.schedule import ScaleSchedule
from var_spaces.zoo.cards import Card, base_of
from var_spaces.zoo.environment import (
    TYPES,
    dtype_from_environment,
    dtype_on,
    quant_from_environment,
)
from var_spaces.zoo.estimate import Estimate, block_bytes, estimate
from var_spaces.zoo.manifest import build
from var_spaces.zoo.placement import free_memory, resolve


@dataclass(frozen=True)
class Report:
    """An estimate beside what is free.

    Attributes:
        schedule: token maps of the run.
        device: name of the place where it would run.
        memory: bytes that are free there or hold weights of this run already; None if that is not
            known.
        remedy: what would fit, in words, if the run does not.
    """

    estimate: Estimate
    schedule: ScaleSchedule
    device: str
    memory: int | None
    remedy: str | None

    @property
    def fits(self) -> bool | None:
        return None if self.memory is None else self.estimate.total <= self.memory

    @property
    def rows(self) -> list[tuple[str, int, str]]:
        """Part, bytes, and whether they are exact."""
        found = self.estimate
        sizes = zip(self.schedule.sizes, found.kv, strict=True)
        return [
            *((f"weights of {name}", size, "exact") for name, size in found.weights.items()),
            *((f"KV cache after {h}x{w}", size, "exact") for (h, w), size in sizes),
            ("activations", found.activations, "estimate"),
            ("decoder", found.decoder, "estimate"),
            ("needed at once", found.total, "estimate"),
        ]

    @property
    def verdict(self) -> str:
        """One sentence."""
        return self.said(text)

    def said(self, text: Callable[[int], str]) -> str:
        """The verdict, with bytes in the words of ``text``."""
        if self.memory is None:
            return f"How much is free on {self.device} is not known."
        ending = "fits" if self.fits else f"does not fit; what would: {self.remedy}"
        return f"{text(self.memory)} are free on {self.device}: {ending}."


def report(card: Card, *, memory: int | None = None, **settings: Any) -> Report:
    """What a run needs here.

    Args:
        memory: bytes to compare with; None is what is free.
        settings: of :func:`estimate`; types of weights come from the environment if left out.
    """
    device = resolve().main
    dtype = dtype_on(device, base_of(card).kind.half, dtype_from_environment())
    usual = {"dtype": dtype, "quant": quant_from_environment()}
    settings = {**usual, "together": device.type != "cpu", "device": device, **settings}
    found = estimate(card, **settings)
    memory = _room(found, device) if memory is None else memory
    fits = memory is None or found.total <= memory
    return Report(
        found,
        settings.get("schedule") or card.schedule,
        str(device),
        memory,
        None if fits else what_fits(card, memory, **settings) or "a smaller model",
    )


def _room(found: Estimate, device: torch.device) -> int | None:
    """Bytes for a run: what is free, and what the zoo holds of its weights already."""
    from var_spaces.zoo.residency import ZOO

    free = free_memory(device)
    loaded = {key.model: size for key, size in ZOO.loaded().items()}
    here = sum(min(size, loaded.get(name, 0)) for name, size in found.weights.items())
    return None if free is None else free + here


def what_fits(card: Card, memory: int, **settings: Any) -> str | None:
    """The smallest change that makes a run fit into ``memory`` bytes, in words; None if none does.

    Args:
        settings: of :func:`estimate`, too large as they are.
    """
    for words, changed in _changes(settings):
        if estimate(card, **changed).total <= memory:
            return words
    changed = {**settings, "count": 1}
    found = estimate(card, **changed)
    kind = TYPES[settings.get("dtype", "float32")]
    blocks = block_bytes(build(base_of(card)), kind, settings.get("quant", "none")).values()
    if found.total - sum(blocks) + max(blocks) <= memory:
        return "one image at a time, blocks in other places (VAR_SPACES_DEVICE=cuda,cpu,disk)"
    return None


def _changes(settings: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ways to need less, the least loss first, each with its words."""
    lighter = [("", {})]
    on_cpu = torch.device(settings.get("device", "cpu")).type == "cpu"
    if settings.get("dtype", "float32") == "float32" and not (on_cpu and cpu.is_slow("bfloat16")):
        lighter.append(("weights in bfloat16", {"dtype": "bfloat16"}))
    if settings.get("quant", "none") == "none":
        lighter += [(f"weights in {few}", {"quant": few}) for few in ("int8", "nf4")]
    counts = [("", {})]
    if settings.get("count", 1) > 1:
        counts.append(("one image at a time", {"count": 1}))
    for count, fewer in counts:
        for precision, change in lighter:
            words = ", ".join(filter(None, (count, precision)))
            if words:
                yield words, {**settings, **fewer, **change}


def text(size: int) -> str:
    """Bytes in words."""
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_:
            return f"{size / bytes_:.2f} {unit}"
    return f"{size} B"
