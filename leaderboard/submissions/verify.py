"""Runs a part of a result again and compares: tokens, pixels and the numbers that follow from them.

The part is drawn by lot, so nobody knows before which images will be looked at; those whose claimed
numbers move a score most join it in any case. A suite that is no larger than the probe is run as a
whole; then also metrics of the whole distribution are compared. A claim tells numbers: what a score
is called, and which way is better, is what this program says.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from time import gmtime, strftime
from typing import TYPE_CHECKING

import numpy as np

from leaderboard.entry import Entry
from leaderboard.metrics.base import Metric, Value
from leaderboard.result import Result, Samples, Score
from leaderboard.runner.finish import short_digest
from leaderboard.runner.job import Job
from leaderboard.runner.machine import environment
from leaderboard.runner.processes import processes
from leaderboard.runner.run import Progress, context_of, run, run_batch, zoo_of
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
            lot = lot or random.SystemRandom()
            found = _part(job, _chosen(job, samples, images, lot), place, progress)
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
    faults += _misnamed(job, result)
    known = {name for name, metric in job.named.items() if not metric.measured}
    faults += [
        f"'{name}' of its samples is no number of the suite"
        for name in sorted(samples.values.keys() - known)
    ]
    if any(len(values) != job.n for values in samples.values.values()):
        faults.append("its samples have not one number for every image")
    if faults:
        return faults
    claimed = {score.metric: score for score in result.scores}
    for name, metric in _scored_per_image(job).items():
        score, values = claimed.get(name), samples.values.get(name)
        if score is None or values is None:
            continue
        found = metric.score(np.array(values), None)
        if found is None or not _is_close(score.value, found.value):
            given = "none" if found is None else f"{found.value:g}"
            faults.append(f"'{score.title}' is {score.value:g}, but its samples give {given}")
        elif not _is_interval_of(score, found) or not _are_details_of(score, found):
            faults.append(f"the interval or the details of '{score.title}' are not its samples'")
    return faults


def _misnamed(job: Job, result: Result) -> list[str]:
    """Scores that the suite does not have, that come twice or not at all, or that are told of
    wrongly. A cost may be missing: not every machine tells its memory."""
    faults = []
    for measured, scores in ((False, result.scores), (True, result.costs)):
        known = {
            name: (metric.heading(job.n), metric.better, metric.unit)
            for name, metric in job.named.items()
            if metric.measured == measured
        }
        seen = set()
        for score in scores:
            if score.metric not in known or score.metric in seen:
                faults.append(f"'{score.title}' is no number of the suite, or comes twice")
            elif (score.title, score.better, score.unit) != known[score.metric]:
                faults.append(f"'{score.title}' has another title, unit or direction in the suite")
            elif score.n != job.n:
                faults.append(f"'{score.title}' is of {score.n} images, not of {job.n}")
            seen.add(score.metric)
        if not measured:
            faults += [f"'{known[name][0]}' is left out" for name in known if name not in seen]
    return faults


def _is_close(claimed: float | None, found: float | None, rtol: float = 1e-9) -> bool:
    if claimed is None or found is None:
        return claimed is found
    return bool(np.isclose(claimed, found, rtol=rtol, atol=1e-12))


def _is_interval_of(score: Score, found: Value) -> bool:
    ends = zip((score.low, score.high), (found.low, found.high), strict=True)
    return all(_is_close(claimed, here, rtol=EXACT) for claimed, here in ends)


def _are_details_of(score: Score, found: Value) -> bool:
    return set(score.details) == set(found.details) and all(
        _is_close(score.details[name], here, rtol=EXACT) for name, here in found.details.items()
    )


def _whole(job: Job, device: str | None, progress: Progress) -> _Found:
    result, samples = run(job, device=device, progress=progress)
    return _Found(
        tuple(range(job.n)),
        samples.tokens,
        samples.pixels,
        {name: np.array(values) for name, values in samples.values.items()},
        {score.metric: score.value for score in result.scores},
    )


def _chosen(job: Job, samples: Samples, images: int, lot: random.Random) -> list[int]:
    """Numbers of the batches that are drawn again: as many by lot as hold ``images``, whatever a
    claim says, and of every metric the one whose claimed number is farthest from the middle."""
    sizes = [len(items) for items in job.batches]
    drawn = lot.sample(range(len(sizes)), len(sizes))
    before = accumulate((sizes[number] for number in drawn), initial=0)
    chosen = {number for number, held in zip(drawn, before, strict=False) if held < images}
    ends = np.cumsum(sizes)
    for name in _scored_per_image(job).keys() & samples.values.keys():
        values = np.array(samples.values[name])
        farthest = int(np.abs(values - np.median(values)).argmax())
        chosen.add(int(np.searchsorted(ends, farthest, side="right")))
    return sorted(chosen)


def _part(job: Job, chosen: Sequence[int], device: torch.device, progress: Progress) -> _Found:
    zoo = zoo_of(job)
    context = context_of(job, zoo, device)
    metrics = _scored_per_image(job)
    starts = np.cumsum([0, *map(len, job.batches)])
    positions, tokens, pixels = [], [], []
    values: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for done, number in enumerate(chosen, 1):
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


def _scored_per_image(job: Job) -> dict[str, Metric]:
    """Metrics whose score follows from the samples of a claim alone, by name."""
    return {k: m for k, m in job.named.items() if not m.measured and not m.needs_reference}


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
    reasons += [
        f"'{titles[metric]}' comes without its numbers per image"
        for metric in found.values
        if metric in titles and metric not in samples.values
    ]
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
        values, here = samples.values.get(score.metric), found.values.get(score.metric)
        if score.metric in found.scores:
            told, now = score.value, found.scores[score.metric]
        elif here is not None and values is not None:
            told = float(np.array(values)[list(found.images)].mean())
            now = float(here.mean())
        else:
            continue
        tolerance = EXACT * max(1.0, abs(told))
        if not same and here is not None:  # as far as ours scatter: a claim's may scatter at will
            tolerance += SPREAD * float(here.std()) / len(here) ** 0.5
        yield Check(metric=score.metric, claimed=told, found=now, tolerance=tolerance)
