"""Draws one batch of a job and keeps it in a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from leaderboard.item import Item
from leaderboard.metrics.base import Batch, Cost
from leaderboard.runner.job import Job
from var_spaces.events import Finished, ScaleDone
from var_spaces.paths import write_file
from var_spaces.tasks.plan import plan

if TYPE_CHECKING:
    import torch

    from var_spaces.record import Environment
    from var_spaces.zoo.residency import Residency


def draw(job: Job, number: int, zoo: Residency, device: torch.device, where: Environment) -> None:
    """Draw a batch and write its files; nothing to do if they are there.

    Args:
        where: this machine and program; what another one drew is drawn and measured again.
    """
    if is_drawn(job, number, where):
        return
    batch = run_batch(job, job.batches[number], zoo, device)
    for folder, _ in job.metrics:
        job.values(folder, number).unlink(missing_ok=True)
    save(job, number, batch, where)


def is_drawn(job: Job, number: int, where: Environment, anywhere: bool = False) -> bool:
    """Whether the files of a batch are there, from this machine and program.

    Args:
        anywhere: any machine will do.
    """
    try:
        told = json.loads(job.seconds(number).read_bytes())
    except FileNotFoundError:
        return False
    here = anywhere or told.get("device") == where.device
    return here and "commit" in told and told["commit"] == where.commit


def run_batch(job: Job, items: tuple[Item, ...], zoo: Residency, device: torch.device) -> Batch:
    """The images of a batch, drawn now."""
    from var_spaces.tasks.run import run

    meter = PeakMeter(device)
    scales: list[ScaleDone] = []
    finished = None
    pictures = job.suite.pictures()
    for event in run(plan(job.spec(items)), zoo, pictures=pictures, device=device):
        match event:
            case ScaleDone():
                scales.append(event)
            case Finished():
                finished = event
    count = len(items)
    cost = Cost(
        seconds=finished.record.seconds,
        kv_bytes=tuple(scale.kv_bytes // count for scale in scales),
        kv_full_bytes=tuple(scale.kv_full_bytes // count for scale in scales),
        peak_bytes=meter.peak(),
    )
    return Batch(items, np.stack(finished.images), join(finished.ids), cost)


def join(ids: Sequence[Any]) -> np.ndarray:
    """Ids per scale as ``(B, L[, d])`` int64, scales in order."""
    return np.concatenate([np.asarray(scale, np.int64) for scale in ids], axis=1)


def save(job: Job, number: int, batch: Batch, where: Environment) -> None:
    """Write a batch. The time comes last: it says that the rest is there."""
    from safetensors.numpy import save as to_bytes

    tensors = {
        "images": batch.images,
        "tokens": np.ascontiguousarray(batch.tokens),
        "kv": np.array(batch.cost.kv_bytes, np.int64),
        "kv_full": np.array(batch.cost.kv_full_bytes, np.int64),
    }
    write_file(job.drawn(number), to_bytes(tensors))
    told = {
        "seconds": batch.cost.seconds,
        "peak_bytes": batch.cost.peak_bytes,
        "device": where.device,
        "commit": where.commit,
    }
    write_file(job.seconds(number), json.dumps(told).encode())


def devices(job: Job) -> str:
    """Where the batches of a job were drawn; devices of several kinds are all named."""
    told = (json.loads(job.seconds(n).read_bytes()) for n in range(len(job.batches)))
    return " + ".join(sorted({batch["device"] for batch in told}))


def load(job: Job, number: int) -> Batch:
    """Read a batch back, with the same items of the full cache if the suite compares with them."""
    batch = _read(job, number)
    return replace(batch, full=_read(job.full, number)) if job.full else batch


def _read(job: Job, number: int) -> Batch:
    from safetensors.numpy import load_file

    tensors = load_file(job.drawn(number))
    times = json.loads(job.seconds(number).read_bytes())
    cost = Cost(
        seconds=times["seconds"],
        kv_bytes=tuple(tensors["kv"].tolist()),
        kv_full_bytes=tuple(tensors["kv_full"].tolist()),
        peak_bytes=times["peak_bytes"],
    )
    return Batch(job.batches[number], tensors["images"], tensors["tokens"], cost)


class PeakMeter:
    """Largest memory that tensors took on an accelerator since it was made; 0 on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats(device)

    def peak(self) -> int:
        if self.device.type != "cuda":
            return 0
        import torch

        return torch.cuda.max_memory_allocated(self.device)
