"""A benchmark on a Ray cluster of this computer: one worker, two, and one process without Ray.

python benchmarks/scale.py
python benchmarks/scale.py --images 64 --model var-small
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import torch

from leaderboard.entry import Entry
from leaderboard.metrics.clip_score import ClipScore
from leaderboard.metrics.judged import ClassAccuracy
from leaderboard.runner.cluster import run_on_ray
from leaderboard.runner.job import Job
from leaderboard.runner.run import run
from leaderboard.suites.base import Suite, get_suite

BATCH = 8
TEXT = """First images of the suite `embedded-class`, with the class that the judge sees and
the CLIP score; batches of 8. The rate counts from the first finished batch to the last, without the
start of the workers; a worker is an actor with one slot and one thread. Files (tokens, images,
values) are the same if their hash is."""


class Part(Suite):
    """The first images of the suite."""

    name = "embedded-class-part"
    title = "Embedded class models, some images"

    version = 1
    task = "generate"
    images: ClassVar[int] = 64

    def items(self):
        return get_suite("embedded-class").items()[: self.images]

    def metrics(self):
        return ClipScore(), ClassAccuracy()


class Clock:
    """Notes when batches are finished."""

    def __init__(self) -> None:
        self.started, self.times = time.perf_counter(), []

    def __call__(self, what: str, done: int, of: int) -> None:
        self.times.append(time.perf_counter())


def measured(name: str, model: str, slots: int) -> list:
    """A row: what ran, seconds in all, images per second once it runs, and the hash of the job."""
    with tempfile.TemporaryDirectory() as folder:
        job, clock = Job(Part(), Entry.of(model), BATCH, Path(folder)), Clock()
        if slots:
            import ray

            more = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
            ray.init(num_cpus=slots, **more)
            clock = Clock()
            run_on_ray(job, device="cpu", progress=clock)
            ray.shutdown()
        else:
            run(job, device="cpu", progress=clock)
        seconds = time.perf_counter() - clock.started
        digest = hashlib.sha256()
        for path in sorted(job.folder.rglob("*")):
            if path.suffix in (".npz", ".npy"):
                digest.update(path.read_bytes())
    rate = BATCH * (len(job.batches) - 1) / (clock.times[-1] - clock.times[0])
    return [name, seconds, rate, digest.hexdigest()[:12]]


def main() -> None:
    from report import table, write

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--model", default="var-small")
    args = parser.parse_args()
    Part.images = args.images
    torch.set_num_threads(1)
    os.environ |= {"RAY_worker_niceness": "0"}
    rows = [
        measured("one process", args.model, 0),
        measured("Ray, 1 worker", args.model, 2),
        measured("Ray, 2 workers", args.model, 3),
    ]
    heads = ["what", "seconds in all", "images per second", "hash of the files"]
    text = f"{TEXT}\n\n{table(heads, rows)}"
    print(write("scale_jobs", "A benchmark on a cluster", rows, text))


if __name__ == "__main__":
    main()
