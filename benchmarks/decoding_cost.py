"""Arithmetic and memory of decoding strategies at full size, counted without numbers.

    python benchmarks/decoding_cost.py

The real sessions run on tensors that have shapes but no memory: floating-point operations are
counted by torch, bytes by the KV cache itself. What no count shows is the time that small matrices,
memory traffic and kernel launches take, so a ratio of operations is an upper bound of a speed-up.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from report import table, write
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from var_spaces.backbones.var import VAR
from var_spaces.cache.full import Full
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.decoding.setup import RunSetup
from var_spaces.decoding.strategies.collaborative import Collaborative
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.decoding.strategies.supernet import Supernet
from var_spaces.decoding.strategy import DecodingStrategy
from var_spaces.zoo.cards import get_card
from var_spaces.zoo.manifest import build

BATCH = 64  # images, of the papers' tables
PAIR = 6  # bytes of a key and a value there: float32 and float16
# what the papers measured on an L20: speed-up, and total MB of memory where it is stated
PAPER = {
    "plain d30": (1.0, 39228),
    "CoDe N=9": (1.2, 28803),
    "CoDe N=8": (1.7, 21019),
    "CoDe N=7": (2.3, 19943),
    "CoDe N=6": (2.9, 19943),
    "VARiant d=16": (1.7, 28644),
    "VARiant d=8": (2.6, round(39265 * 0.35)),
    "VARiant d=2": (3.5, round(39265 * 0.2)),
}


@dataclass(frozen=True)
class Cost:
    """Of one image: operations; key-value pairs held at most; parameters of all models."""

    flops: int
    pairs: int
    parameters: int

    def megabytes(self) -> float:
        """Cache and float32 weights of a batch, by the papers' bytes; activations not counted."""
        return (self.pairs * PAIR * BATCH + self.parameters * 4) / 2**20


class Operations(TorchDispatchMode):
    """Adds up floating-point operations of matrix products by torch's own formulas."""

    total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        out = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def full_size() -> dict[str, Cost]:
    """VAR-d30 alone, with VAR-d16 as its refiner, and as a supernet."""
    large, small = (build(get_card(name)) for name in ("var-d30", "var-d16"))
    cases: dict[str, DecodingStrategy] = {"plain d30": PlainDecoding()}
    cases |= {f"CoDe N={n}": Collaborative(refiner="d16", drafted=n) for n in (9, 8, 7, 6)}
    cases |= {f"VARiant d={d}": Supernet(depth=d, bridge=6) for d in (16, 8, 4, 2)}
    return {name: cost(large, case, {"d16": small}) for name, case in cases.items()}


def cost(model: VAR, decoding: DecodingStrategy, extra: dict[str, VAR]) -> Cost:
    """Drive a session through all scales of one guided image."""
    schedule, latent = model.schedule, model.config.latent_dim
    setup = RunSetup(
        tokenizer=None,
        backbone=model,
        schedule=schedule,
        conditioning=ClassConditioning((0,)),
        images=(0,),
        noise=SeededNoise(0),
        sampling=TopKTopP(),
        guidance=LinearGuidance(),
        cache=Full(),
        decoding=decoding,
        extra=extra,
    )
    peak = 0

    def draw(logits: torch.Tensor, **_: Any) -> None:
        nonlocal peak
        peak = max(peak, session.run.cache.peak_bytes)

    with torch.no_grad(), Operations() as counter:
        session = decoding.session(setup, (0,))
        for scale, tokens in enumerate(schedule.lengths):
            given = torch.empty(1, tokens, latent, device="meta") if scale else None
            session.predict(scale, given, draw)
    models = [model, *(extra[name] for name in decoding.models)]
    parameters = sum(p.numel() for m in models for p in m.parameters())
    return Cost(counter.total, peak // 8, parameters)  # pairs of two float32


def describe(costs: dict[str, Cost]) -> str:
    """All cases beside what the papers measured."""
    plain, rows = costs["plain d30"], []
    for name, c in costs.items():
        speed, memory = PAPER.get(name, ("", None))
        share = memory / PAPER["plain d30"][1] if memory else ""
        held, whole = c.pairs / plain.pairs, c.megabytes() / plain.megabytes()
        rows.append([name, c.flops / 1e12, plain.flops / c.flops, speed, held, whole, share])
    head = ("case", "TFLOP / image", "times fewer", "paper: speed-up", "peak KV")
    head += (f"KV + weights, batch {BATCH}", "paper: memory")
    return (
        "VAR-d30 with VAR-d16 as refiner, or with a bridge of 6 of 10 scales; one guided image of "
        "256 px, the real sessions on tensors without numbers. Shares are of plain d30; weights "
        "are float32 and a key-value pair 6 bytes as in the papers, activations are not counted.\n"
        f"\n{table(head, rows)}"
    )


def main() -> None:
    costs = full_size()
    data = {name: asdict(c) for name, c in costs.items()}
    print(write("decoding_cost", "Decoding strategies at full size", data, describe(costs)))


if __name__ == "__main__":
    main()
