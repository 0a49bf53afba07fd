"""Many visitors at once: whether everybody gets the own picture, how long they wait, memory.

python benchmarks/load.py
python benchmarks/load.py --visitors 20 --seconds 60 --model var-small
python benchmarks/load.py --visitors 20 --seconds 60 --model var-small --replicas 2
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from PIL import Image

import var_spaces

ROOT = Path(__file__).parents[1]
SERVE = """
from var_spaces.ui.app import build_app, launch_options
page = build_app()
_, url, _ = page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1",
                        **launch_options())
print(url, flush=True)
page.block_thread()
"""
TEXT = """Every visitor draws one picture after another, which nobody else asks for. A picture is
wrong unless its pixels are those that the library draws for the same settings. The visitors run on
the same processor as the server, on two cores that other work used at the same time: take the times
as an upper limit, and the errors and the memory as they are."""
ENGINE = """With `--replicas` the page draws nothing itself: a Ray cluster on this computer does, by
`python -m var_spaces.serve`, a processor slot and a thread to each replica."""
PATIENCE = 120.0  # seconds without any word from the server


@dataclass
class Tally:
    """What one visitor saw."""

    seconds: list[float] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    previews: int = 0
    wrong: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class Visitor:
    """Draws one picture after another, as the page does: join the line, then listen."""

    def __init__(self, url: str, name: str) -> None:
        self.api, self.session, self.tally = f"{url}gradio_api/", name, Tally()
        self.client = httpx.Client(timeout=PATIENCE)
        config = self.client.get(f"{url}config").json()
        calls = config["dependencies"]
        self.function = next(call["id"] for call in calls if call["api_name"] == "generate")
        info = self.client.get(f"{self.api}info").json()["named_endpoints"]["/generate"]
        self.names = [parameter["parameter_name"] for parameter in info["parameters"]]

    def draw(self, settings: Mapping[str, Any], pixels_sha256: str) -> None:
        """One picture, which must be that one and no other."""
        started = time.perf_counter()
        try:
            result = self._result([settings.get(name) for name in self.names])
            shown = _pixels_sha256(result["pictures"][0])
            told = result["record"]["image_sha256"]
            self.tally.wrong += [shown] != told or shown != pixels_sha256
        except (httpx.HTTPError, RuntimeError) as error:
            self.tally.errors[f"{type(error).__name__}: {error}"] += 1
        self.tally.seconds.append(time.perf_counter() - started)

    def _result(self, data: Sequence[Any]) -> dict[str, Any]:
        body = {"data": data, "fn_index": self.function, "session_hash": self.session}
        answer = self.client.post(f"{self.api}queue/join", json=body)
        if answer.is_error:
            raise RuntimeError(answer.json().get("detail", answer.status_code))
        for message in self._messages():
            if message["msg"] == "estimation" and message["event_id"] == answer.json()["event_id"]:
                self.tally.ranks.append(message["rank"])
            if message["msg"] == "process_generating":
                self.tally.previews += 1
            if message["msg"] == "process_completed":
                if not message["success"]:
                    raise RuntimeError(message["output"].get("error"))
                return message["output"]["data"][0]
        raise RuntimeError("The server ended the stream before the picture was done.")

    def _messages(self) -> Iterator[dict[str, Any]]:
        address = f"{self.api}queue/data?session_hash={self.session}"
        with self.client.stream("GET", address) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


def _pixels_sha256(uri: str) -> str:
    png = base64.b64decode(uri.partition(",")[2])
    return hashlib.sha256(np.asarray(Image.open(io.BytesIO(png))).tobytes()).hexdigest()


def expected(model: str, number: int) -> list[tuple[dict[str, Any], str]]:
    """Settings of different pictures, and the hashes of their pixels, drawn in this process."""
    found = []
    classes = var_spaces.load(model).card.classes
    for seed in range(number):
        settings = {"model": model, "class_": classes[seed % len(classes)], "seed": seed}
        (image,) = var_spaces.generate(**settings)
        found.append((settings, hashlib.sha256(np.asarray(image).tobytes()).hexdigest()))
    return found


def crowd(url: str, known: Sequence[tuple[dict, str]], visitors: int, enough: Any) -> list[Tally]:
    """All visitors at once, each with pictures that nobody else asks for.

    Args:
        enough: called with the number of pictures a visitor has; True ends the visit.
    """
    people = [Visitor(url, f"visitor{number}") for number in range(visitors)]

    def visit(number: int) -> Tally:
        person, own = people[number], known[number::visitors]
        while not enough(len(person.tally.seconds)):
            person.draw(*own[len(person.tally.seconds) % len(own)])
        person.client.close()
        return person.tally

    with ThreadPoolExecutor(visitors) as pool:
        return list(pool.map(visit, range(visitors)))


@contextmanager
def engine(replicas: int) -> Iterator[str]:
    """A cluster on this computer with replicas that draw: what ``VAR_SPACES_ENGINE`` says of it.

    Without any, the page draws itself.
    """
    if not replicas:
        yield ""
        return
    from var_spaces.remote.cluster import connected
    from var_spaces.serve.__main__ import deploy
    from var_spaces.serve.replica import Size

    # the page has the same processor and is not nice
    os.environ |= {"RAY_worker_niceness": "0"}
    with connected(None) as ray:
        deploy(Size(replicas, replicas))
        yield f"ray://{ray.get_runtime_context().gcs_address}"


@contextmanager
def server(engine: str) -> Iterator[tuple[str, int]]:
    """The page in a process of its own: its address and process id."""
    # all visitors of the benchmark come from one address
    settings = {**os.environ, "VAR_SPACES_MAX_RUNS_PER_HOUR": "1000000"}
    settings["VAR_SPACES_MAX_WAITING_ADDRESS"] = "10000"
    settings["VAR_SPACES_ENGINE"] = engine
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], cwd=ROOT, env=settings, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        process.wait()


def resident(pid: int | str = "self") -> int:
    """Bytes of memory that a process holds (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def processor_seconds(pid: int) -> float:
    """Time on a processor that a process has had (Linux)."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    from report import table, write

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--model", default="var-small")
    parser.add_argument("--replicas", type=int, default=0, help="of an engine; 0: the page draws")
    args = parser.parse_args()
    if args.replicas:
        torch.set_num_threads(1)
    known = expected(args.model, 2 * args.visitors)
    with engine(args.replicas) as place, server(place) as (url, pid):
        crowd(url, known, args.visitors, lambda done: done >= 2)  # everything is loaded and cached
        before, used, started = resident(pid), processor_seconds(pid), time.perf_counter()
        ending = started + args.seconds
        tallies = crowd(url, known, args.visitors, lambda _: time.perf_counter() > ending)
        seconds, after = time.perf_counter() - started, resident(pid)
        used = processor_seconds(pid) - used
    waits = sorted(second for tally in tallies for second in tally.seconds)
    errors = sum((tally.errors for tally in tallies), Counter())
    rows = [
        ["visitors at once", args.visitors],
        ["seconds", round(seconds)],
        ["pictures", len(waits) - errors.total()],
        ["pictures per second", (len(waits) - errors.total()) / seconds],
        ["wrong or foreign pictures", sum(tally.wrong for tally in tallies)],
        ["errors", errors.total()],
        ["fewest pictures of one visitor", min(len(tally.seconds) for tally in tallies)],
        ["most pictures of one visitor", max(len(tally.seconds) for tally in tallies)],
        ["median seconds to a picture, waiting included", statistics.median(waits)],
        ["95 % are faster than, seconds", waits[int(0.95 * (len(waits) - 1))]],
        ["places in the line that were told", sum(len(tally.ranks) for tally in tallies)],
        ["last place that was told", max(max(tally.ranks, default=0) for tally in tallies) + 1],
        ["previews that were sent", sum(tally.previews for tally in tallies)],
        ["processor seconds of the page for a picture", used / max(1, len(waits))],
        ["memory of the server before, MB", round(before / 1e6)],
        ["memory of the server after, MB", round(after / 1e6)],
    ]
    name, title, about = "load", "Many visitors at once", [TEXT]
    if args.replicas:
        name, title, about = "load_engine", f"{title}, drawn by an engine", [TEXT, ENGINE]
    text = "\n\n".join([*about, table(["what", "value"], rows), *map(str, errors)])
    print(write(name, title, {**dict(rows), "messages": errors}, text))


if __name__ == "__main__":
    main()
