"""From the files of a finished job to its result."""

from __future__ import annotations

import hashlib
from time import gmtime, strftime
from typing import TYPE_CHECKING

import numpy as np

from leaderboard.metrics.base import Metric, Value
from leaderboard.references.base import RealFeatures
from leaderboard.references.features import real_features
from leaderboard.result import Result, Samples, Score
from leaderboard.runner.draw import devices, load
from leaderboard.runner.job import Job
from var_spaces.errors import VarSpacesError
from var_spaces.record import Environment

if TYPE_CHECKING:
    import torch


def finish(
    job: Job,
    environment: Environment,
    device: torch.device,
    *,
    submitter: str = "",
    note: str = "",
    now: str = "",
) -> tuple[Result, Samples]:
    """Score a job whose files are all there.

    Args:
        now: time of the result; "" is the present time.
    """
    scores, costs, per_image = [], [], {}
    reference = job.suite.reference()
    for folder, metric in job.metrics:
        values = np.concatenate(
            [np.load(job.values(folder, number)) for number in range(len(job.batches))]
        )
        _check_finite(metric, values)
        value = metric.score(values, real_of(job, metric, device))
        if value is None:
            continue
        found = named(metric, value, job.n, reference)
        (costs if metric.measured else scores).append(found)
        if values.ndim == 1 and not metric.measured:
            per_image[found.metric] = tuple(values.tolist())
    samples = Samples(**digests(job), values=per_image)
    result = Result(
        suite=job.suite.name,
        protocol=job.suite.protocol,
        entry=job.entry.model_dump(mode="json"),
        weights=job.weights,
        n=job.n,
        scores=tuple(scores),
        costs=tuple(costs),
        samples_sha256=samples.digest,
        environment=environment.model_copy(update={"device": devices(job)}),
        batch=job.batch,
        created=now or strftime("%Y-%m-%dT%H:%M:%SZ", gmtime()),
        submitter=submitter,
        note=note,
    )
    return result, samples


def real_of(job: Job, metric: Metric, device: torch.device) -> RealFeatures | None:
    """What a metric compares with, computed once; None if it needs nothing."""
    if not metric.needs_reference:
        return None
    return real_features(job.suite.reference(), metric.uses, job.work / "real", device)


def _check_finite(metric: Metric, values: np.ndarray) -> None:
    """A row with a number that is none is no result."""
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        first = int(np.argwhere(~np.isfinite(values))[0][0])
        raise VarSpacesError(
            f"'{metric.title}' of image {first} is not a finite number, so there is no result: "
            "look at that image; with half-precision weights try --dtype float32."
        )


def named(metric: Metric, value: Value, n: int, reference: object) -> Score:
    """A value under its full identity."""
    return Score(
        metric=metric.identity(n, reference),
        title=metric.heading(n),
        value=value.value,
        low=value.low,
        high=value.high,
        n=n,
        better=metric.better,
        unit=metric.unit,
        details=dict(value.details),
    )


def digests(job: Job) -> dict[str, tuple[str, ...]]:
    """Short digests of the tokens and pixels of every image."""
    tokens, pixels = [], []
    for number in range(len(job.batches)):
        batch = load(job, number)
        tokens += [short_digest(ids.astype("<i8")) for ids in batch.tokens]
        pixels += [short_digest(image) for image in batch.images]
    return {"tokens": tuple(tokens), "pixels": tuple(pixels)}


def short_digest(array: np.ndarray) -> str:
    """First 16 hex digits of the SHA-256; those of a run record begin with them."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
