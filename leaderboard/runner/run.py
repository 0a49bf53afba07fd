"""Runs a job from wherever it stands to its result."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from leaderboard.metrics.base import Context
from leaderboard.result import Result, Samples
from leaderboard.runner.draw import draw, is_drawn, load, run_batch
from leaderboard.runner.finish import finish, real_of
from leaderboard.runner.job import Job
from leaderboard.runner.machine import environment
from leaderboard.runner.processes import Processes, processes
from var_spaces.paths import write_file

if TYPE_CHECKING:
    import torch

    from var_spaces.record import Environment
    from var_spaces.zoo.residency import Residency

WARM_UPS = 3  # batches that are drawn and forgotten before times count

Progress = Callable[[str, int, int], None]  # what, done, of how many


def run(
    job: Job,
    *,
    device: str | None = None,
    progress: Progress = lambda what, done, of: None,
    submitter: str = "",
    note: str = "",
    now: str = "",
) -> tuple[Result, Samples] | None:
    """Draw what is missing, measure it, and score it all.

    Args:
        device: where to; None as for ``var_spaces.load``.
        progress: called after every batch.
        now: time of the result; "" is the present time.

    Returns:
        The result and its samples; None in all processes but the first.

    Raises:
        VarSpacesError: before any work, if the job cannot succeed.
    """
    job.check()
    group = processes(device)
    zoo, where = zoo_of(job), environment(group.device)
    if group.main:
        prepare(job, group.device)
    for part in filter(None, (job.full, job)):
        part.open()
        _draw(part, group, zoo, progress, where)
    group.wait()
    _measure(job, group, zoo, progress)
    group.wait()
    if not group.main:
        return None
    return finish(job, where, group.device, submitter=submitter, note=note, now=now)


def prepare(job: Job, device: torch.device) -> None:
    """Look at the real images first: one that cannot be read is known before hours of drawing."""
    for metric in job.suite.metrics():
        real_of(job, metric, device)


def _draw(
    job: Job, group: Processes, zoo: Residency, progress: Progress, where: Environment
) -> None:
    mine = [n for n in range(len(job.batches)) if group.mine(n)]
    todo = [n for n in mine if not is_drawn(job, n, where)]
    warm_up(job, todo, zoo, group.device)
    for done, number in enumerate(todo, 1):
        draw(job, number, zoo, group.device, where)
        progress(f"draw {job.entry.label}", done, len(todo))


def warm_up(job: Job, todo: Sequence[int], zoo: Residency, device: torch.device) -> None:
    """Draw some batches and forget them, where times count: the first ones are slower."""
    for number in todo[:WARM_UPS] if job.timed else []:
        run_batch(job, job.batches[number], zoo, device)


def _measure(job: Job, group: Processes, zoo: Residency, progress: Progress) -> None:
    context = context_of(job, zoo, group.device)
    numbers = [n for n in range(len(job.batches)) if group.mine(n)]
    for done, number in enumerate(numbers, 1):
        if measure(job, number, context):
            progress("measure", done, len(numbers))


def context_of(job: Job, zoo: Residency, device: torch.device) -> Context:
    """What the metrics of a job have to measure with."""

    def reconstruct(images: np.ndarray) -> np.ndarray:
        import torch

        from var_spaces.decoding.loop.pixels import to_uint8

        with zoo.lease([job.plans[0].card.id], device) as (model,), torch.no_grad():
            tokenizer = model.tokenizer
            weight = next(tokenizer.parameters())
            pixels = torch.tensor(images).to(weight).permute(0, 3, 1, 2) / 127.5 - 1
            return to_uint8(tokenizer.reconstruct(pixels))

    return Context(device, job.suite.pictures(), reconstruct)


def measure(job: Job, number: int, context: Context) -> bool:
    """Measure what is missing of a batch that was drawn; whether anything was."""
    missing = [(f, m) for f, m in job.metrics if not job.values(f, number).exists()]
    batch = load(job, number) if missing else None
    for folder, metric in missing:
        buffer = io.BytesIO()
        np.save(buffer, metric.measure(batch, context))
        write_file(job.values(folder, number), buffer.getvalue())
    return bool(missing)


def zoo_of(job: Job) -> Residency:
    """Models in the type of the entry: the shared zoo if it has that, else one of our own."""
    import torch

    from var_spaces.zoo.environment import TYPES
    from var_spaces.zoo.placement import resolve
    from var_spaces.zoo.residency import ZOO, Residency

    dtype = TYPES[job.entry.dtype]
    usual = torch.float32 if resolve().main.type == "cpu" else None
    return ZOO if (ZOO.dtype or usual) == dtype else Residency(ZOO.budget, dtype=dtype)
