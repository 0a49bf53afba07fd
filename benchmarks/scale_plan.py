"""How many computers many visitors need, and what gives way first: a small simulation.

Runs arrive at random, pass a page, then wait for a replica; a replica takes the one that waits
longest and all of its kind that fit a batch, as ``var_spaces/serve/batcher.py`` does, and loads a
model that it does not hold. Nothing else of a cluster is in it.

python benchmarks/scale_plan.py
python benchmarks/scale_plan.py --visitors 1e6 --runs 10 --peak 3
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean

DAY = 86_400


@dataclass(frozen=True)
class Site:
    """What draws for the visitors.

    Attributes:
        replicas: devices.
        images: that one draws together.
        first, more: seconds for a batch of one image, and for every further one.
        load: seconds to load a model.
        held: models that a replica keeps in memory.
        pages: processes that serve the page.
        page: processor seconds that a run costs its page.
    """

    replicas: int
    images: int
    first: float
    more: float
    load: float = 0.0
    held: int = 1
    pages: int = 1
    page: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of the runs.

    Attributes:
        waits: seconds from the click to the picture, sorted.
        busy: share of the time that replicas draw or load, 0..1.
        paging: share of the time that pages work, 0..1.
        batch: images of a batch in the mean.
        loads: models that were loaded.
        left: runs without a picture when the time is over.
    """

    waits: Sequence[float]
    busy: float
    paging: float
    batch: float
    loads: int
    left: int

    def within(self, share: float) -> float:
        """Seconds within which a share of all pictures is there."""
        return self.waits[int(share * (len(self.waits) - 1))] if self.waits else float("inf")


def simulate(
    site: Site, rate: float, seconds: float, kinds: Sequence[float] = (1.0,), seed: int = 0
) -> Outcome:
    """Let runs of one image arrive.

    Args:
        rate: runs per second.
        seconds: how long they arrive.
        kinds: share of every kind (model, schedule and methods) of the runs.
    """
    dice, now, arrivals = random.Random(seed), 0.0, []
    pages = [0.0] * site.pages  # when each is free
    while (now := now + dice.expovariate(rate)) < seconds:
        ready = max(now, heapq.heappop(pages)) + site.page
        heapq.heappush(pages, ready)
        arrivals.append((ready, now, dice.choices(range(len(kinds)), kinds)[0]))
    arrivals.sort()
    lines: list[deque[tuple[float, float, int]]] = [deque() for _ in kinds]
    free = list(range(site.replicas))
    models = [_warm(site.held, kinds, dice) for _ in free]
    running: list[tuple[float, int]] = []
    waits, batches, busy, loads, position, now = [], [], 0.0, 0, 0, 0.0
    while position < len(arrivals) or running:
        at_next = arrivals[position][0] if position < len(arrivals) else float("inf")
        if running and running[0][0] <= at_next:
            now, replica = heapq.heappop(running)
            free.append(replica)
        else:
            now = at_next
            lines[arrivals[position][2]].append(arrivals[position])
            position += 1
        if now > seconds:
            break
        while free and any(lines):
            kind = min(line[0] for line in lines if line)[2]
            replica = next((one for one in free if kind in models[one]), free[0])
            free.remove(replica)
            fits = min(site.images, len(lines[kind]))
            batch = [lines[kind].popleft() for _ in range(fits)]
            took = site.first + site.more * (len(batch) - 1)
            if kind not in models[replica]:
                took, loads = took + site.load, loads + 1
            models[replica][kind] = None
            models[replica].move_to_end(kind)
            while len(models[replica]) > site.held:
                models[replica].popitem(last=False)
            busy += min(took, seconds - now)
            batches.append(len(batch))
            waits += [now + took - clicked for _, clicked, _ in batch if now + took <= seconds]
            heapq.heappush(running, (now + took, replica))
    return Outcome(
        waits=sorted(waits),
        busy=busy / (site.replicas * seconds),
        paging=min(1.0, len(arrivals) * site.page / (site.pages * seconds)),
        batch=mean(batches) if batches else 0.0,
        loads=loads,
        left=len(arrivals) - len(waits),
    )


def _warm(held: int, kinds: Sequence[float], dice: random.Random) -> OrderedDict[int, None]:
    """Models that a replica has from before, the more often asked for the more likely."""
    drawn = sorted(range(len(kinds)), key=lambda kind: dice.random() ** (1 / kinds[kind]))
    return OrderedDict.fromkeys(drawn[-held:])


def fewest(site: Site, rate: float, patience: float, seconds: float, kinds: Sequence[float]) -> int:
    """The fewest replicas, up to 3 %, with which 95 % of the pictures are there in time."""
    # Full batches need that many at the very least.
    low = math.floor(rate * (site.first + site.more * (site.images - 1)) / site.images)
    high = max(1, low)
    while not _in_time(replace(site, replicas=high), rate, patience, seconds, kinds):
        low, high = high, 2 * high
    while high - low > max(1, high // 33):
        middle = (low + high) // 2
        if _in_time(replace(site, replicas=middle), rate, patience, seconds, kinds):
            high = middle
        else:
            low = middle
    return high


def _in_time(
    site: Site, rate: float, patience: float, seconds: float, kinds: Sequence[float]
) -> bool:
    found = simulate(site, rate, seconds, kinds)
    late = sum(wait > patience for wait in found.waits) + found.left
    still = rate * (site.first + site.page)  # in the middle of it when the time is over
    return late - still <= 0.05 * (len(found.waits) + found.left)


# Demand: four models, the first asked for most.
KINDS = (0.55, 0.25, 0.15, 0.05)
OPERATIONS = 1e14  # per second of a large GPU in half precision, a fifth of what its makers promise
LAUNCH = 0.02  # seconds of a scale that do not depend on the batch


TEXT = """{visitors:g} visitors a day with {runs:g} pictures each are {rate:.0f} runs a second in
the busiest hour, {peak:g} times the mean. Simulated, not measured: seconds of a GPU are counted (2
operations per weight, token and row of two; {operations:g} a second; {launch:g} s for each scale);
those of a page are the measured ones ([load_engine.md](load_engine.md)) and may fill 60 % of its
processor. GPUs: the fewest, up to 3 %, with which 95 % of the pictures are there in
{patience:g} s."""


def law(weights: float, tokens: int, scales: int) -> tuple[float, float]:
    """Seconds of the first image and of a further one, by counting.

    Two operations per weight and token, with guidance for two rows; nothing here was timed.
    """
    more = 2 * weights * tokens * 2 / OPERATIONS
    return LAUNCH * scales + more, more


def main() -> None:
    from report import table, write

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=float, default=1e6, help="a day")
    parser.add_argument("--runs", type=float, default=10, help="of a visitor")
    parser.add_argument("--peak", type=float, default=3, help="busiest hour over the mean")
    parser.add_argument("--page-seconds", type=float, default=0.067, help="that a run costs")
    parser.add_argument("--patience", type=float, default=10, help="seconds for 95 %%")
    args = parser.parse_args()
    rate = args.visitors * args.runs / DAY * args.peak
    rows, data = [], {"rate": rate}
    for name, weights, tokens, scales in (
        ("VAR-d30, 256 px", 2.0e9, 680, 10),
        ("Infinity-2B, 512 px", 2.2e9, 2521, 10),
        ("Infinity-2B, 1024 px", 2.2e9, 10521, 13),
        ("Infinity-8B, 1024 px", 8.7e9, 10521, 13),
    ):
        first, more = law(weights, tokens, scales)
        pages = round(rate * args.page_seconds / 0.6) + 1
        site = Site(1, 8, first, more, load=20, held=3, pages=pages, page=args.page_seconds)
        seconds = 6 * args.patience
        replicas = fewest(site, rate, args.patience, seconds, KINDS)
        found = simulate(replace(site, replicas=replicas), rate, seconds, KINDS)
        alone = fewest(replace(site, images=1), rate, args.patience, seconds, KINDS)
        rows.append([name, first, more, replicas, alone, pages, found.busy, found.batch])
        data[name] = {"replicas": replicas, "without batches": alone, "pages": pages}
    heads = ["model", "s, first image", "s, each more", "GPUs", "GPUs, one image at once"]
    heads += ["page processes", "GPUs busy", "images of a batch"]
    text = TEXT.format(**vars(args), rate=rate, operations=OPERATIONS, launch=LAUNCH)
    text = f"{text}\n\n{table(heads, rows)}"
    print(write("scale_plan", "How many computers", data, text))


if __name__ == "__main__":
    main()
