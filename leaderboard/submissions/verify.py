"""Runs a part of a result again and compares: tokens, pixels and the numbers that follow from them.

The part is drawn by lot, so nobody knows before which images will be looked at. A suite that is no
larger than the probe is run as a whole; then also metrics of the whole distribution are compared.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import gmtime, strftime
from typing import TYPE_CHECKING

import numpy as np

from leaderboard.entry import Entry
from leaderboard.metrics.base import Metric
from leaderboard.result import Result, Samples
from leaderboard.runner.finish import short_digest
from leaderboard.runner.job import Job
from leaderboard.runner.processes import processes
from leaderboard.runner.run import Progress, context_of, environment, run, run_batch, zoo_of
from leaderboard.submissions.verdict import Check, Verdict
from leaderboard.suites.base import get_suite
from var_spaces.checkout import is_clean
from var_spaces.errors import VarSpacesError

if TYPE_CHECKING:
    import torch

PROBE = 48  # images; rounded up to whole batches
EXACT = 1e-6  # relative difference of numbers whose tokens are equal
SPREAD = 3.0  # standard errors that numbers may differ by where tokens do


@dataclass(frozen=True)
class _Found:
    """What the probe saw: positions, digests, and values per image or whole scores by metric."""

    images: tuple[int, ...]
    tokens: tuple[str, ...]
    pixels: tuple[str, ...]
    values: dict[str, np.ndarray]
    scores: dict[str, float]


def verify(
    result: Result,
    samples: Samples,
    *,
    images: int = PROBE,
    device: str | None = None,
    progress: Progress = lambda what, done, of: None,
    worker: str = "",
    lot: random.Random | None = None,
) -> Verdict:
    """Run ``images`` of a result again, or all of them if there are no more.

    Args:
        lot: chooses the images; None is the system's own chance.

    Raises:
        VarSpacesError: if it cannot be run here (another version of the suite, a missing model).
    """
    suite = get_suite(result.suite)
    if suite.protocol != result.protocol:
        raise VarSpacesError(
            f"The result is of '{result.protocol}', this program has '{suite.protocol}': "
            "it can only be verified with the version that made it."
        )
    place = processes(device).device
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        job = Job(suite, Entry(**result.entry), result.batch, Path(folder))
        job.check()
        faults = _contradictions(job, result, samples)
        if faults:
            found = _Found((), (), (), {}, {})
        elif job.n <= images:
            found = _whole(job, device, progress)
        else:
            found = _part(job, images, place, progress, lot or random.SystemRandom())
    return _judge(result, samples, found, faults, worker=worker, device=place)


def _contradictions(job: Job, result: Result, samples: Samples) -> list[str]:
    """What cannot be true whatever is drawn."""
    faults = []
    wrong = [name for name in job.weights if result.weights.get(name) != job.weights[name]]
    if wrong or set(result.weights) != set(job.weights):
        names = ", ".join(wrong or sorted(set(result.weights) ^ set(job.weights)))
        faults.append(f"it was made with other weights of {names}")
    if result.n != job.n or not len(samples.tokens) == len(samples.pixels) == job.n:
        faults.append(f"it does not have the {job.n} images of the suite")
    for metric in _scored_per_image(job):
        score = next((s for s in result.scores if s.metric == _name(metric, job)), None)
        values = samples.values.get(_name(metric, job))
        if score is None or values is None:
            continue
        value = metric.score(np.array(values), None)
        if value is not None and not np.isclose(value.value, score.value, rtol=1e-9, atol=1e-12):
            claimed, found = f"{score.value:g}", f"{value.value:g}"
            faults.append(f"'{score.title}' is {claimed}, but its samples give {found}")
    return faults


def _whole(job: Job, device: str | None, progress: Progress) -> _Found:
    result, samples = run(job, device=device, progress=progress)
    return _Found(
        tuple(range(job.n)),
        samples.tokens,
        samples.pixels,
        {name: np.array(values) for name, values in samples.values.items()},
        {score.metric: score.value for score in result.scores},
    )


def _part(
    job: Job, images: int, device: torch.device, progress: Progress, lot: random.Random
) -> _Found:
    zoo = zoo_of(job)
    context = context_of(job, zoo, device)
    metrics = {_name(metric, job): metric for metric in _scored_per_image(job)}
    starts = np.cumsum([0, *map(len, job.batches)])
    chosen: list[int] = []
    for number in lot.sample(range(len(job.batches)), len(job.batches)):
        if sum(len(job.batches[n]) for n in chosen) < images:
            chosen.append(number)
    positions, tokens, pixels = [], [], []
    values: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for done, number in enumerate(sorted(chosen), 1):
        items = job.batches[number]
        batch = run_batch(job, items, zoo, device)
        if job.full:
            batch = replace(batch, full=run_batch(job.full, items, zoo, device))
        positions += range(starts[number], starts[number + 1])
        tokens += [short_digest(ids.astype("<i8")) for ids in batch.tokens]
        pixels += [short_digest(image) for image in batch.images]
        for name, metric in metrics.items():
            values[name].append(metric.measure(batch, context))
        progress("draw again", done, len(chosen))
    joined = {name: np.concatenate(parts) for name, parts in values.items()}
    joined = {name: array for name, array in joined.items() if array.ndim == 1}
    return _Found(tuple(positions), tuple(tokens), tuple(pixels), joined, {})


def _scored_per_image(job: Job) -> list[Metric]:
    return [m for m in job.suite.metrics() if not m.measured and not m.needs_reference]


def _name(metric: Metric, job: Job) -> str:
    return metric.identity(job.n, job.suite.reference())


def _judge(
    result: Result,
    samples: Samples,
    found: _Found,
    faults: Sequence[str],
    *,
    worker: str,
    device: torch.device,
) -> Verdict:
    index = list(found.images)
    tokens = sum(samples.tokens[i] == t for i, t in zip(index, found.tokens, strict=True))
    pixels = sum(samples.pixels[i] == p for i, p in zip(index, found.pixels, strict=True))
    same = tokens == len(index)
    checks = list(_checks(result, samples, found, same))
    broken = [check for check in checks if not check.holds]
    seen = {check.metric for check in checks}
    titles = {score.metric: score.title for score in result.scores}
    reasons = list(faults)
    reasons += [
        f"'{titles[check.metric]}' is {check.found:.4g}, the result says {check.claimed:.4g}"
        for check in broken
    ]
    if not faults and not checks:
        reasons.append("it has no number that could be computed again")
    differ = len(index) - tokens
    notes = []
    if differ:
        notes.append(f"tokens of {differ} of {len(index)} images differ, all numbers hold")
    if not is_clean(result.environment.commit):
        notes.append("it was made with changes that no commit holds")
    verdict = "mismatch" if reasons else "consistent" if notes else "verified"
    why = "; ".join(reasons or notes)
    return Verdict(
        result=result.id,
        verdict=verdict,
        images=found.images,
        equal_tokens=tokens,
        equal_pixels=pixels,
        checks=tuple(checks),
        unchecked=tuple(title for metric, title in titles.items() if metric not in seen),
        reason=why[:500],
        environment=environment(device),
        created=strftime("%Y-%m-%dT%H:%M:%SZ", gmtime()),
        worker=worker,
    )


def _checks(result: Result, samples: Samples, found: _Found, same: bool) -> Iterator[Check]:
    """Claimed and found numbers: of whole scores where there are some, else means of the probe."""
    for score in result.scores:
        values = samples.values.get(score.metric)
        claimed = np.array(values) if values else None
        if score.metric in found.scores:
            told, now, count = score.value, found.scores[score.metric], result.n
        elif score.metric in found.values and claimed is not None:
            told = float(claimed[list(found.images)].mean())
            now, count = float(found.values[score.metric].mean()), len(found.images)
        else:
            continue
        tolerance = EXACT * max(1.0, abs(told))
        if not same and claimed is not None:
            tolerance += SPREAD * float(claimed.std()) / count**0.5
        yield Check(metric=score.metric, claimed=told, found=now, tolerance=tolerance)
