"""What the CPU path takes, against torch's own order of sums and one image per batch.

    python benchmarks/cpu.py [--threads 1] [--runs 5] [--images 1 8]
    python benchmarks/cpu.py --int8 --runs 1    # weights in int8-dynamic alone; writes no page

CPU seconds of this process, medians of several runs, both sides in one process and in turn.
Published sizes have random weights, since the time does not depend on them; "plain" turns off
Winograd's rule for wide convolutions and oneDNN for wide linear layers, which is what torch does by
itself. Ids of both sides are compared; pixels may differ in the rounding of sums.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from contextlib import contextmanager
from statistics import median
from typing import Any

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


@contextmanager
def plain():
    """Products as torch computes them by itself."""
    before = winograd.MIN_CHANNELS, products.MIN_WIDTH
    winograd.MIN_CHANNELS = products.MIN_WIDTH = NEVER
    try:
        yield
    finally:
        winograd.MIN_CHANNELS, products.MIN_WIDTH = before


def in_turn(call: Callable[[], Any], runs: int) -> tuple[float, float, Any, Any]:
    """Median CPU seconds of ``call`` as it is and plain, and what each gave."""
    times: dict[bool, list[float]] = {True: [], False: []}
    given = {}
    for number in range(runs + 1):  # the first is a warm-up
        for fast in (True, False):
            start = time.process_time()
            if fast:
                given[fast] = call()
            else:
                with plain():
                    given[fast] = call()
            if number:
                times[fast].append(time.process_time() - start)
    return median(times[True]), median(times[False]), given[True], given[False]


def var_d16(
    images: int, quant: str = "none"
) -> Callable[[], tuple[list[torch.Tensor], np.ndarray]]:
    """Draws ``images`` of VAR-d16 at 256 px in one batch, with random weights."""
    torch.manual_seed(0)
    backbone = VAR(VARConfig.published(16)).eval().requires_grad_(False)
    for name, layer in quantisable(backbone).items() if quant != "none" else ():
        given = (layer.weight.data, None if layer.bias is None else layer.bias.data)
        quantise_layer(backbone, name, *given, quant, torch.float32, "cpu")
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


def int8(runs: int) -> str:
    """What weights in int8-dynamic bring, in a line."""
    draws = {quant: var_d16(1, quant) for quant in ("none", "int8-dynamic")}
    times: dict[str, list[float]] = {quant: [] for quant in draws}
    for number in range(runs + 1):
        for quant, draw in draws.items():
            start = time.process_time()
            draw()
            if number:
                times[quant].append(time.process_time() - start)
    full, few = (median(found) for found in times.values())
    return f"VAR-d16, 256 px: {full:.3g} s in float32, {few:.3g} s in int8-dynamic"


def decoder(side: int) -> Callable[[], np.ndarray]:
    """Decodes one latent of VAR's tokenizer to ``side`` pixels."""
    torch.manual_seed(0)
    tokenizer = ResidualVQ(ResidualVQConfig()).eval().requires_grad_(False)
    latent = torch.randn(1, tokenizer.latent_dim, side // 16, side // 16)

    def decode() -> np.ndarray:
        with torch.inference_mode():
            return to_uint8(tokenizer.decode(latent))

    return decode


def embedded(lane: int, count: int = 16) -> Callable[[], Any]:
    """Draws images of ``var-base``, ``lane`` of them in a batch."""

    def draw() -> Any:
        os.environ["VAR_SPACES_LANE"] = str(lane)
        return api.generate(model="var-base", class_="red apple", count=count, seed=1)

    return draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--images", type=int, nargs="+", default=[1, 8], help="of VAR-d16 at once")
    parser.add_argument("--int8", action="store_true", help="measure weights in int8-dynamic")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cpu.keep_memory()  # as every process with models on a CPU does
    if args.int8:
        print(int8(args.runs))
        return
    rows = []
    for images in args.images:
        name = f"VAR-d16, 256 px, {images} at once"
        fast, slow, given, wanted = in_turn(var_d16(images), args.runs)
        same = all(map(torch.equal, given[0], wanted[0]))
        apart = int(np.abs(given[1].astype(int) - wanted[1]).max())
        rows.append((name, fast / images, slow / images, fast / slow, same, apart))
    for side in (256, 512):
        fast, slow, given, wanted = in_turn(decoder(side), args.runs)
        apart = int(np.abs(given.astype(int) - wanted).max())
        rows.append((f"decoder, {side} px", fast, slow, fast / slow, "", apart))
    lanes: dict[int, list[float]] = {1: [], 8: []}
    for number in range(args.runs + 1):
        for lane, times in lanes.items():
            start = time.process_time()
            embedded(lane)()
            if number:
                times.append((time.process_time() - start) / 16)
    alone, together = median(lanes[1]), median(lanes[8])
    rows.append(("var-base, 16 images, 8 in a batch", together, alone, together / alone, "", ""))
    head = (
        "case",
        "seconds an image",
        "plain, or 1 in a batch",
        "ratio",
        "ids equal",
        "grey levels",
    )
    data = [dict(zip(head, row, strict=True)) for row in rows]
    command = f"python benchmarks/cpu.py --threads {args.threads} --runs {args.runs} --images "
    command += " ".join(map(str, args.images))
    text = table(head, rows) + "\n\n" + (__doc__ or "").split("\n\n", 2)[2].strip()
    print(write("cpu", "The CPU path", command, data, text))


if __name__ == "__main__":
    main()
