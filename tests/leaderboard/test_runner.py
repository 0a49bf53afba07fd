"""Runs end with the same bytes: alone, killed and continued, and shared by two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from leaderboard.entry import Entry
from leaderboard.metrics.frechet import Frechet
from leaderboard.references.atlas import AtlasScenes
from leaderboard.runner import draw as draw_module
from leaderboard.runner import run as run_module
from leaderboard.runner.job import Job
from leaderboard.runner.run import run
from tests.leaderboard.suite import TinySuite
from var_spaces import api
from var_spaces.errors import VarSpacesError

ROOT = Path(__file__).parents[2]
NOW = "2026-01-01T00:00:00Z"
WINDOW = {"name": "sliding-window", "budget": 0.2}


def job(folder: Path, **changes) -> Job:
    fields = {"entry": Entry.of("tiny-var", cache=WINDOW), "batch": 2, "work": folder}
    return Job(**{"suite": TinySuite(), **fields, **changes})


class OneImage(TinySuite):
    """Too little to be held against real images."""

    against_full = False

    def items(self):
        return super().items()[:1]

    def metrics(self):
        return (Frechet(),)

    def reference(self):
        return AtlasScenes(count=8)


def files(folder: Path) -> dict[str, bytes]:
    """What a run wrote, but for times."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if path.is_file()
        and "/latency" not in name
        and not ("/drawn/" in name and name.endswith(".json"))
    }


@pytest.fixture(scope="module")
def undisturbed(tiny_models, tmp_path_factory):
    """Folder, result and samples of a run that nothing happened to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAR_SPACES_MODELS", str(tiny_models))
        folder = tmp_path_factory.mktemp("work")
        return folder, *run(job(folder), now=NOW)


@pytest.mark.usefixtures("use_tiny_models")
class TestRun:
    def test_scores_and_samples(self, undisturbed):
        _, result, samples = undisturbed
        found = {score.metric.split("@")[0]: score for score in result.scores}
        assert set(found) == {"token-agreement", "psnr", "ssim", "kv-peak", "kv-history"}
        assert [cost.metric for cost in result.costs] == ["latency@1 N=8"]
        assert 0 < found["token-agreement"].value < 1
        assert found["kv-history"].value < 1
        assert len(samples.tokens) == len(samples.pixels) == result.n == 8
        for score in result.scores:
            values = samples.values[score.metric]
            assert score.value == pytest.approx(np.mean(values))
            assert score.low <= score.value <= score.high

    def test_images_are_those_of_the_run_spec(self, undisturbed):
        """Any image of a result can be drawn again alone."""
        folder, _, samples = undisturbed
        its = job(folder)
        spec = its.spec(its.batches[1]).replace(first=its.batches[1][1].index, count=1)
        *_, last = api.stream(spec, previews=False)
        assert last.record.token_sha256[0][:16] == samples.tokens[3]
        assert last.record.image_sha256[0][:16] == samples.pixels[3]

    def test_full_cache_agrees_with_itself(self, tmp_path):
        its = job(tmp_path, entry=Entry.of("tiny-var"))
        assert its.full.folder == its.folder  # drawn once
        result, _ = run(its, now=NOW)
        found = {score.metric.split("@")[0]: score.value for score in result.scores}
        assert (found["token-agreement"], found["psnr"], found["kv-history"]) == (1, 99, 1)

    def test_batch_size_does_not_matter_on_a_cpu(self, undisturbed, tmp_path):
        _, result, samples = undisturbed
        other, others = run(job(tmp_path, batch=1), now=NOW)
        assert others == samples
        assert other.scores == result.scores

    @pytest.mark.parametrize("stop", [0, 3, 7])
    def test_stopped_and_continued(self, undisturbed, tmp_path, monkeypatch, stop):
        """Stop while a batch is being written, or measured; then run again."""
        folder, result, samples = undisturbed
        writes = []

        class Killed(BaseException):
            pass

        def write(path, data):
            writes.append(path)
            if len(writes) == 2 + 2 * stop:
                Path(path).with_name(".half.part").write_bytes(data[:7])
                raise Killed
            original(path, data)

        original = draw_module.write_file
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(draw_module, "write_file", write)
            patch.setattr(run_module, "write_file", write)
            run(job(tmp_path), now=NOW)
        again, more = run(job(tmp_path), now=NOW)
        assert more.to_json() == samples.to_json()
        assert again.scores == result.scores
        assert again.fingerprint == result.fingerprint
        for path in list(tmp_path.rglob(".half.part")):
            path.unlink()
        assert files(tmp_path) == files(folder)

    def test_a_finished_job_draws_nothing(self, undisturbed, monkeypatch):
        folder, result, _ = undisturbed
        monkeypatch.setattr(draw_module, "run_batch", None)
        monkeypatch.setattr(run_module, "run_batch", None)
        again, _ = run(job(folder), now=NOW)
        assert again.to_json() == result.to_json()  # times too: they are those of the first run

    def test_two_processes(self, undisturbed, tmp_path):
        _, result, samples = undisturbed
        out = tmp_path / "result.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc_per_node", "2"]
        command += ["-m", "tests.leaderboard.shared_run", str(tmp_path / "work"), str(out)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "VAR_SPACES_DEVICE": "cpu"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found = json.loads(out.read_text())
        assert found["samples"] == samples.to_json()
        assert found["fingerprint"] == result.fingerprint
        assert found["drew"] == [0, 2, 0, 2]  # its half of both jobs: full cache, and the entry

    def test_a_number_that_is_none_is_no_result(self, tmp_path, monkeypatch):
        def measure(self, batch, context):
            return np.full(len(batch.items), np.nan)

        monkeypatch.setattr("leaderboard.metrics.psnr.Psnr.measure", measure)
        with pytest.raises(VarSpacesError, match="of image 0 is not a finite number"):
            run(job(tmp_path), now=NOW)

    def test_refusals_come_before_work(self, tmp_path):
        nothing = Entry(**{**Entry.of("tiny-var").model_dump(mode="json"), "model": "nothing"})
        for change, message in (
            ({"batch": 0}, "1 to 64"),
            ({"entry": nothing}, "Unknown model 'nothing'"),
        ):
            with pytest.raises(VarSpacesError, match=message):
                run(job(tmp_path, **change))
        assert list(tmp_path.iterdir()) == []

    def test_one_image_is_refused_before_work_where_distributions_count(self, tmp_path):
        with pytest.raises(VarSpacesError, match="at least 2 drawn images, but got 1"):
            run(job(tmp_path, suite=OneImage()))
        assert list(tmp_path.iterdir()) == []


def test_planning_a_suite_imports_no_torch():
    code = (
        "import sys\n"
        "from var_spaces import methods\n"
        "from leaderboard.suites.base import get_suite\n"
        "from leaderboard.store import reading_stores\n"
        "for name in methods.names('suite'):\n"
        "    suite = get_suite(name)\n"
        "    suite.title, suite.downloads\n"
        "get_suite('smoke').protocol\n"
        "[store.rows() for store in reading_stores()]\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
