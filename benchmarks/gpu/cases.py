"""What is measured, most valuable first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

WAYS = ("ours", "eager half", "eager float32")
SCALEKV = {"name": "scalekv", "budget": 0.1}


@dataclass(frozen=True)
class Case:
    """A model at work.

    Attributes:
        model, pixels, images: what is drawn, and how many at once.
        way: "ours", or the reference's way of computing: torch's own operations, launched one by
            one, with weights in half precision or in float32.
        decoding, cache: methods; empty is plain, with a full cache.
        partner: model that the strategy names.
        quant: few bits for the weights.
    """

    model: str
    pixels: int
    images: int
    way: str = "ours"
    decoding: Mapping[str, Any] = field(default_factory=dict)
    cache: Mapping[str, Any] = field(default_factory=dict)
    partner: str = ""
    quant: str = "none"

    @property
    def name(self) -> str:
        """What the case is called, its way of computing apart."""
        parts = [self.model, f"{self.pixels} px", f"{self.images} at once"]
        if self.decoding:
            parts.append(_said(self.decoding))
        if self.cache:
            parts.append(f"cache {_said(self.cache)}")
        if self.quant != "none":
            parts.append(f"weights {self.quant}")
        return ", ".join(parts)


def _said(method: Mapping[str, Any]) -> str:
    numbers = [str(value) for name, value in method.items() if name not in ("name", "refiner")]
    return " ".join([method["name"], *numbers])


def cases(tiny: bool = False) -> Iterator[Case]:
    """All cases in the order of their value."""
    many = 2 if tiny else 64
    yield from in_all_ways("var-d30", 256, 1)
    yield from in_all_ways("var-d30", 256, many)
    yield from in_all_ways("infinity-2b", 1024, 1, ways=WAYS[:2])
    if not tiny:  # of a calibration for the layout
        yield Case("infinity-2b", 1024, 1, cache=SCALEKV)
    yield Case("infinity-2b", 1024, 1, cache={"name": "streaming-llm", "budget": 0.3})
    yield from in_all_ways("var-d16", 256, 1)
    pair = {"name": "collaborative", "refiner": "var-d16", "drafted": 2 if tiny else 8}
    yield Case("var-d30", 256, many, decoding=pair, partner="var-d16")
    shallow = {"name": "supernet", "depth": 2 if tiny else 16, "bridge": 2 if tiny else 7}
    yield Case("var-d30", 256, many, decoding=shallow)
    yield from in_all_ways("hmar-d30", 256, 1, ways=WAYS[:2], decoding={"name": "masked"})
    if tiny:
        return
    yield from in_all_ways("var-d16", 256, 64)
    yield from in_all_ways("var-d16", 256, 8)
    yield from in_all_ways("var-d30", 256, 8)
    yield Case("hmar-d30", 256, 64, decoding={"name": "masked"})
    yield Case("infinity-8b", 1024, 1)
    yield Case("infinity-8b", 1024, 1, cache=SCALEKV)
    for pixels in (512, 256):
        yield from in_all_ways("infinity-2b", pixels, 1, ways=WAYS[:2])
    yield from in_all_ways("var-d36", 512, 1, ways=WAYS[:2])
    for quant in ("int8", "nf4"):
        yield Case("infinity-2b", 1024, 1, quant=quant)
    for bits in (8, 4):
        yield Case("infinity-2b", 1024, 1, cache={"name": "quantised", "bits": bits})
    for pixels in (512, 256):
        yield Case("infinity-8b", pixels, 1)


def in_all_ways(
    model: str,
    pixels: int,
    images: int,
    ways: tuple[str, ...] = WAYS,
    decoding: Mapping[str, Any] | None = None,
) -> Iterator[Case]:
    """One case in several ways of computing."""
    for way in ways:
        yield Case(model, pixels, images, way, decoding or {})
