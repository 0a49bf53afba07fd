"""What the CPU path takes, against torch's own order of sums and one image per batch.

    python benchmarks/cpu.py [--threads 1] [--runs 5] [--images 1 8]

CPU seconds of this process, medians of several runs, all ways in one process and in turn.
Published sizes have random weights, since the time does not depend on them; "plain" turns off
Winograd's rule for wide convolutions and oneDNN for wide linear layers, which is what torch does by
itself. Ids of both sides are compared; pixels may differ in the rounding of sums. The other number
formats change ids, so they are asked for by name (`VAR_SPACES_DTYPE`, `VAR_SPACES_QUANT`).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from report import table, write

from var_spaces import api, cpu
from var_spaces.backbones import products
from var_spaces.backbones.config import VARConfig
from var_spaces.backbones.var import VAR
from var_spaces.cache.full import Full
from var_spaces.decoding.conditioning import ClassConditioning
from var_spaces.decoding.guidance.linear import LinearGuidance
from var_spaces.decoding.loop.noise import SeededNoise
from var_spaces.decoding.loop.pixels import to_uint8
from var_spaces.decoding.loop.run import run
from var_spaces.decoding.sampling.top_k_top_p import TopKTopP
from var_spaces.decoding.setup import RunSetup
from var_spaces.decoding.strategies.plain import PlainDecoding
from var_spaces.tokenizers import winograd
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig
from var_spaces.zoo.quantise import quantisable, quantise_layer

NEVER = 10**9
IMAGES = 16  # of the embedded model
HEAD = ("case", "seconds an image", "plain, or 1 in a batch", "ratio", "ids equal", "grey levels")
FORMATS = ("case", "weights", "seconds an image", "of plain float32")


@contextmanager
def plain():
    """Products as torch computes them by itself."""
    names = ((winograd, "MIN_CHANNELS"), (products, "MIN_WIDTH"), (products, "MIN_WIDTH_SHARED"))
    before = [getattr(*name) for name in names]
    for module, name in names:
        setattr(module, name, NEVER)
    try:
        yield
    finally:
        for (module, name), value in zip(names, before, strict=True):
            setattr(module, name, value)


class Way(NamedTuple):
    """Median CPU seconds of a call, and what it gave."""

    seconds: float
    given: Any


def in_turn(calls: Mapping[str, Callable[[], Any]], runs: int) -> dict[str, Way]:
    """Measure several calls, one after the other; the first round is a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    given = {}
    for number in range(runs + 1):
        for name, call in calls.items():
            start = time.process_time()
            given[name] = call()
            if number:
                times[name].append(time.process_time() - start)
    return {name: Way(median(times[name]), given[name]) for name in calls}


def both_ways(call: Callable[[], Any]) -> dict[str, Callable[[], Any]]:
    """A call as it is, and plain."""

    def slow() -> Any:
        with plain():
            return call()

    return {"ours": call, "plain": slow}


def var_d16(
    images: int, dtype: torch.dtype = torch.float32, quant: str = "none"
) -> Callable[[], tuple[list[torch.Tensor], np.ndarray]]:
    """Draws ``images`` of VAR-d16 at 256 px in one batch, with random weights."""
    torch.manual_seed(0)
    backbone = VAR(VARConfig.published(16)).eval().requires_grad_(False).to(dtype)
    for name, layer in quantisable(backbone).items() if quant != "none" else ():
        given = (layer.weight.data, None if layer.bias is None else layer.bias.data)
        quantise_layer(backbone, name, *given, quant, dtype, "cpu")
    tokenizer = ResidualVQ(ResidualVQConfig()).eval().requires_grad_(False)
    setup = RunSetup(
        tokenizer=tokenizer,
        backbone=backbone,
        schedule=backbone.schedule,
        conditioning=ClassConditioning(tuple(range(images))),
        images=tuple(range(images)),
        noise=SeededNoise(0),
        sampling=TopKTopP(),
        guidance=LinearGuidance(),
        cache=Full(),
        decoding=PlainDecoding(),
    )

    def draw() -> tuple[list[torch.Tensor], np.ndarray]:
        steps, pixels = run(setup), []
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                return end.value, np.stack(pixels)
            if hasattr(event, "image"):
                pixels.append(event.image)

    return draw


def decoder(side: int) -> Callable[[], np.ndarray]:
    """Decodes one latent of VAR's tokenizer to ``side`` pixels."""
    torch.manual_seed(0)
    tokenizer = ResidualVQ(ResidualVQConfig()).eval().requires_grad_(False)
    latent = torch.randn(1, tokenizer.latent_dim, side // 16, side // 16)

    def decode() -> np.ndarray:
        with torch.inference_mode():
            return to_uint8(tokenizer.decode(latent))

    return decode


def embedded(lane: int) -> Callable[[], Any]:
    """Draws images of ``var-base``, ``lane`` of them in a batch."""

    def draw() -> Any:
        os.environ["VAR_SPACES_LANE"] = str(lane)
        return api.generate(model="var-base", class_="red apple", count=IMAGES, seed=1)

    return draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--images", type=int, nargs="+", default=[1, 8], help="of VAR-d16 at once")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cpu.keep_memory()  # as every process with models on a CPU does
    rows, formats = [], []
    for images in args.images:
        calls = both_ways(var_d16(images))
        if not cpu.is_slow("bfloat16"):
            calls["bfloat16"] = var_d16(images, dtype=torch.bfloat16)
        calls["int8-dynamic"] = var_d16(images, quant="int8-dynamic")
        ways = in_turn(calls, args.runs)
        name = f"VAR-d16, 256 px, {images} at once"
        rows.append(_row(name, ways, images))
        for kind in set(ways) - {"ours", "plain"}:
            seconds = ways[kind].seconds / images
            formats.append((name, kind, seconds, seconds * images / ways["plain"].seconds))
    for side in (256, 512):
        ways = in_turn(both_ways(decoder(side)), args.runs)
        rows.append(_row(f"decoder, {side} px", ways))
    lanes = in_turn({str(lane): embedded(lane) for lane in (1, 8)}, args.runs)
    alone, together = (lanes[lane].seconds / IMAGES for lane in ("1", "8"))
    rows.append((f"var-base, {IMAGES} images, 8 in a batch", together, alone, together / alone))
    data = [dict(zip(HEAD, row, strict=False)) for row in rows]
    data += [dict(zip(FORMATS, row, strict=True)) for row in formats]
    padded = [(*row, *[""] * (len(HEAD) - len(row))) for row in rows]
    tables = table(HEAD, padded), table(FORMATS, sorted(formats))
    text = "\n\n".join((*tables, (__doc__ or "").split("\n\n", 2)[2].strip()))
    print(write("cpu", "The CPU path", data, text))


def _row(name: str, ways: dict[str, Way], images: int = 1) -> tuple[Any, ...]:
    """What both sides took for an image, and how equal their results are."""
    ours, slow = ways["ours"], ways["plain"]
    times = ours.seconds / images, slow.seconds / images, ours.seconds / slow.seconds
    if isinstance(ours.given, np.ndarray):  # pixels alone
        return name, *times, "", _apart(ours.given, slow.given)
    same = all(map(torch.equal, ours.given[0], slow.given[0]))
    return name, *times, same, _apart(ours.given[1], slow.given[1])


def _apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


if __name__ == "__main__":
    main()
