"""Runs a job on a Ray cluster of any size: cells go to actors, their files come back.

A cell is a batch of the suite with all of its metrics. An actor holds the models on its slot (a GPU
where there are some, else a CPU) and makes the same files as one process would, in a folder of its
own; their bytes travel back, so machines need no folder in common. The driver keeps each cell when
it arrives: a job that was stopped goes on with what is missing, whatever the cluster is by then.
Nodes may come and go: Ray Data starts actors where there is room and draws lost cells again, and
as a cell's content does not depend on who makes it, the result has the same bytes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboard.result import Result, Samples
from leaderboard.runner.draw import is_drawn
from leaderboard.runner.finish import finish
from leaderboard.runner.job import Job
from leaderboard.runner.machine import environment
from leaderboard.runner.run import (
    Progress,
    context_of,
    measure,
    prepare,
    warm_up,
    zoo_of,
)
from var_spaces.errors import VarSpacesError
from var_spaces.paths import write_file
from var_spaces.record import Environment
from var_spaces.remote.cluster import FEWEST, connected, settings

if TYPE_CHECKING:
    import torch


def run_on_ray(
    job: Job,
    *,
    address: str | None = None,
    device: str | None = None,
    progress: Progress = lambda what, done, of: None,
    submitter: str = "",
    note: str = "",
    now: str = "",
) -> tuple[Result, Samples]:
    """As ``run``, by the actors of a cluster.

    Args:
        address: of a cluster, ``host:port`` or ``auto``; None starts one on this machine.
        device: "cpu" leaves GPUs alone; None takes them if there are any.

    Raises:
        VarSpacesError: if the job cannot succeed, a cell fails, or the cluster has no room.
    """
    job.check()
    place = _place(device)
    prepare(job, place)
    parts = [part for part in (job.full, job) if part]
    for part in parts:
        part.open()
    numbers = range(len(job.batches))
    here = environment(place)
    todo = [
        n
        for n in numbers
        if not is_drawn(job, n, here, anywhere=True)
        or not all(path.exists() for path in job.files(n))
    ]
    seen: set[str] = set()
    if todo:
        with connected(address) as ray:
            for done, row in enumerate(_cells(ray, job, todo, device, here.commit), 1):
                if row["error"]:
                    raise VarSpacesError(row["error"])
                for name, data in zip(row["names"], row["contents"], strict=True):
                    write_file(job.work / name, data)
                seen.add(row["environment"])
                progress(f"cells of {job.entry.label}", done, len(todo))
    return finish(job, _first(seen) or here, place, submitter=submitter, note=note, now=now)


def _cells(
    ray: Any, job: Job, todo: list[int], device: str | None, commit: str | None
) -> Iterator[dict[str, Any]]:
    """Finished cells as they come, in any order."""
    resources = ray.cluster_resources()
    gpus = 0 if device == "cpu" else int(resources.get("GPU", 0))
    slots = int(resources.get("CPU", 0))
    if slots < FEWEST:
        raise VarSpacesError(
            f"The cluster has {slots} CPU slots, needed are at least {FEWEST}: give its nodes more "
            "(ray start --num-cpus 2)."
        )
    from ray.data import ActorPoolStrategy, DataContext, from_items

    DataContext.get_current().enable_progress_bars = False
    cells = from_items([{"cell": number} for number in todo], override_num_blocks=len(todo))
    done = cells.map(
        Cells,
        fn_constructor_kwargs={
            "job": replace(job, work=Path()),
            "settings": settings(),
            "device": "cuda" if gpus else "cpu",
            "folder": job.folder.name,
            "commit": commit,
        },
        num_cpus=1,
        num_gpus=1 if gpus else 0,
        compute=ActorPoolStrategy(min_size=1, max_size=min(len(todo), gpus or slots - 1)),
    )
    return done.iter_rows()


class Cells:
    """An actor: makes cells of one job.

    Args:
        folder: name of the job's folder at the driver; another one here means other weights, or
            another version of the program.
        commit: of the driver's program, which its cells are kept under; nodes need no git.
    """

    def __init__(
        self,
        job: Job,
        settings: Mapping[str, str],
        device: str,
        folder: str,
        commit: str | None,
    ) -> None:
        os.environ.update(settings)
        self.scratch = tempfile.TemporaryDirectory(prefix="cells-")
        self.job = replace(job, work=Path(self.scratch.name))
        self.device, self.folder, self.ready = _place(device), folder, False
        self.where = environment(self.device)
        self.kept_under = self.where.model_copy(update={"commit": commit})

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        number = int(row["cell"])
        told: dict[str, Any] = {"cell": number, "names": [], "contents": [], "error": ""}
        try:
            told["environment"] = _text(self.where)
            for path in self._make(number):
                told["names"].append(path.relative_to(self.job.work).as_posix())
                told["contents"].append(path.read_bytes())
                path.unlink()
        except VarSpacesError as error:
            told |= {"error": f"Cell {number}: {error}", "environment": ""}
        return told

    def _make(self, number: int) -> list[Path]:
        """The files of a cell, in the order in which the driver may write them."""
        from leaderboard.runner.draw import draw

        parts = [part for part in (self.job.full, self.job) if part]
        if not self.ready:
            if self.job.folder.name != self.folder:
                raise VarSpacesError(
                    "this node has other weights or another version of the program than the one "
                    "that asks: install the same on all nodes."
                )
            self.zoo = zoo_of(self.job)
            self.context = context_of(self.job, self.zoo, self.device)
            for part in parts:
                part.open()
                warm_up(part, [number] * 3, self.zoo, self.device)
            self.ready = True
        for part in parts:
            draw(part, number, self.zoo, self.device, self.kept_under)
        measure(self.job, number, self.context)
        return self.job.files(number)


def _place(device: str | None) -> torch.device:
    from var_spaces.zoo.placement import resolve

    return resolve(device).main


def _text(where: Environment) -> str:
    from var_spaces import codecs

    return codecs.canonical(where.model_dump(mode="json"))


def _first(seen: set[str]) -> Environment | None:
    """A machine on which cells were made."""
    from var_spaces import codecs

    found = [Environment(**codecs.parse_json(text, "The environment")) for text in sorted(seen)]
    return found[0] if found else None
