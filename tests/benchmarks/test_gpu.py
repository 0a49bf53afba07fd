"""The command for a GPU, from end to end at its smallest on a CPU, on a machine of a trainer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import training
from benchmarks.gpu.pack import pack, unpack
from benchmarks.gpu.page import page
from benchmarks.gpu.processes import TIMED_OUT, bounded

ROOT = Path(__file__).parents[2]
ABSENT = ("pydantic", "gradio", "pandas", "open_clip", "cv2", "pytest")


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """Processes that find nothing but what a training machine has."""
    folder = tmp_path / "bare"
    folder.mkdir()
    code = "import sys\nsys.modules.update(dict.fromkeys(" + repr(ABSENT) + "))\n"
    (folder / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def command(out: Path, work: Path, *more: str) -> subprocess.CompletedProcess:
    called = [sys.executable, "-m", "benchmarks.gpu", "--minutes", "9", "--tiny", "--device", "cpu"]
    called += ["--out", str(out), "--work", str(work), *more]
    return subprocess.run(called, cwd=ROOT, capture_output=True, text=True, check=False)


def test_tiny_run_and_its_repetition(tmp_path, bare):
    out, work = tmp_path / "out", tmp_path / "work"
    done = command(out, work)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {"gpu.md", "results.json", "models.tar.0"}
    results = json.loads((out / "results.json").read_text())
    assert results["tests"] == ["not run: there is no pytest and no pydantic here"]
    assert [row["recipe"] for row in results["training"]] == ["t2i-fine-gpu"]
    assert results["training"][0]["images"] == 4  # a step of two in both of its stages
    assert "nats_unseen_pairs" in results["training"][0]["metrics"]
    rows = {(row["case"], row["way"]): row for row in results["speed"]}
    assert not [row for row in rows.values() if "why" in row]
    for way in ("ours", "eager half", "eager float32"):
        row = rows["var-d30, 256 px, 1 at once", way]
        assert row["seconds"] > 0 and row["runs"] >= 1
        assert [len(ids) for ids in row["tokens"]] == [1, 4, 9, 16]
    assert "| var-d30, 256 px, 1 at once | ours |" in (out / "gpu.md").read_text()

    again = command(out, work, "--steps", "training", "speed")
    assert again.returncode == 0, again.stderr
    assert json.loads((out / "results.json").read_text()) == results  # nothing was measured twice


@pytest.mark.parametrize("saved", [True, False])
def test_a_training_that_overruns_becomes_a_model_all_the_same(tmp_path, monkeypatch, saved):
    called = []

    def stopped(command, seconds, log, folder):
        called.append(command[command.index("--minutes") + 1])
        if len(called) % 2:
            return TIMED_OUT, "in time"
        if not saved:
            return 1, "stopped"
        model = tmp_path / "models" / command[command.index("--config") + 1][: -len("-gpu")]
        model.mkdir()
        run = {"minutes": 1.5, "images": 64, "device": "cuda"}
        (model / "card.json").write_text(json.dumps({"metrics": {"nats": 0.5}, "training": run}))
        return 0, ""

    monkeypatch.setattr(training, "bounded", stopped)
    rows = training.train_all(tmp_path, lambda: 600.0, "cuda", False, set())
    row = next(rows)
    assert called == ["3.50", "0.01"]
    if saved:
        assert (row["minutes"], row["metrics"]) == (1.5, {"nats": 0.5})
    else:
        assert row["why"] == "ended with 1: stopped"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path, capsys):
    from benchmarks.gpu.__main__ import main

    assert main(["--minutes", "1", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        "error: no CUDA device here; --tiny --device cpu tries it out.\n"
    )
    assert not (tmp_path / "out").exists()


def test_pieces_have_bounds_and_are_whole_together(tmp_path):
    folders = []
    for number, size in enumerate((3000, 50_000, 10_000)):
        folder = tmp_path / "models" / f"model-{number}"
        folder.mkdir(parents=True)
        (folder / "weights").write_bytes(os.urandom(size))
        folders.append(folder)
    out, back = tmp_path / "out", tmp_path / "back"
    out.mkdir()
    assert pack(folders, out, piece=9000, pieces=4) == ["model-1"]
    sizes = [path.stat().st_size for path in sorted(out.iterdir())]
    assert len(sizes) <= 4 and max(sizes) <= 9000
    unpack(out, back)
    for folder in (folders[0], folders[2]):
        copy = back / "models" / folder.name / "weights"
        assert copy.read_bytes() == (folder / "weights").read_bytes()
    assert not (back / "models" / "model-1").exists()


def test_a_command_ends_in_time(tmp_path):
    log = tmp_path / "log"
    assert bounded(["sleep", "600"], 0.1, log, tmp_path) == (TIMED_OUT, "")
    printing = [sys.executable, "-c", "print(4); print('5' * 200)"]
    assert bounded(printing, 600, log, tmp_path) == (0, "5" * 160)
    assert log.read_text() == "4\n" + "5" * 200 + "\n"


def test_page_counts_against_the_ceiling():
    tokens = [[1], [2, 3, 4, 5]]
    rows = [
        {"case": "ceilings", "way": "", "copy": 2e12, "float32": 5e13, "float16": 4e14}
        | {"bfloat16": 5e14},
        {"case": "var-d30", "way": "eager half", "seconds": 0.5, "images_per_second": 2.0}
        | {"operations": 2e13, "tokens": tokens},
        {"case": "var-d30", "way": "ours", "seconds": 0.1, "images_per_second": 10.0}
        | {
            "operations": 2e13,
            "peak_bytes": 3 * 2**30,
            "estimated_bytes": 4 * 2**30,
            "tokens": [[1], [2, 3, 9, 9]],
        },
        {"case": "var-d36", "way": "ours", "why": "OutOfMemoryError: no room"},
    ]
    text = page({"command": "x", "machine": "y", "speed": rows})
    assert "| var-d30 | eager half | 500 | 2 | 10 % |  |  |  |" in text
    assert "| var-d30 | ours | 100 | 10 | 50 % | 3 | 0.75 | 60.0 % |" in text
    assert "| var-d36 | ours | OutOfMemoryError: no room |" in text
    assert "2000 GB/s" in text and "400 (float16)" in text
