"""The training loop on tiny networks: resuming, budgets, exports, refusals."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from var_spaces.errors import VarSpacesError
from var_spaces.training.__main__ import main
from var_spaces.training.engine.budget import Budget, lr_factor
from var_spaces.training.engine.config import TrainConfig, build, bundled, read_config
from var_spaces.training.engine.models import load
from var_spaces.training.engine.plan import Options
from var_spaces.training.engine.runs import train
from var_spaces.training.engine.trainer import Trainer

TOKENIZER = """
kind = "tokenizer"
id = "tok"
[model]
ch = 16
ch_mult = [1, 1]
num_res_blocks = 1
stem_patch = 4
norm_groups = 8
z_channels = 4
vocab_size = 32
patch_nums = [1, 2, 8]
[recipe]
scenes = "easy"
warmup_steps = 2
reset_every = 2
eval_images = 4
usage_images = 64
[train]
batch_size = 4
eval_minutes = 1000
log_every = 1
"""
TRANSFORMER = """
kind = "transformer"
id = "var"
[recipe]
tokenizer = "tok"
depth = 2
width = 32
heads = 2
eval_images = 4
[train]
batch_size = 4
log_every = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tok.toml").write_text(TOKENIZER)
    (tmp_path / "var.toml").write_text(TRANSFORMER)
    return tmp_path


def options(folder: Path, steps: int, runs: str = "runs", **more) -> Options:
    return Options(
        steps=steps,
        device="cpu",
        models=folder / "models",
        runs=folder / runs,
        quiet=True,
        **more,
    )


def weights(folder: Path) -> dict:
    return torch.load(folder / "checkpoint.pt", weights_only=True)


@contextmanager
def own_threads() -> Iterator[None]:
    """A training may say how many threads it takes; the tests after it have as many as before."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_stopped_and_resumed_equals_uninterrupted(folder, monkeypatch):
    """Also across the codebook's initialisation, a reset and the falling learning rate."""
    config = str(folder / "tok.toml")
    train(config, options(folder, 6, "whole", export=False))

    step = Trainer._step

    def stop_after_three(self: Trainer) -> dict:
        logs = step(self)
        self.asked = self.at.step == 3
        return logs

    monkeypatch.setattr(Trainer, "_step", stop_after_three)
    train(config, options(folder, 6, "parts", export=False))
    assert weights(folder / "parts" / "tok")["step"] == 3
    train(config, options(folder, 6, "parts", export=False))

    whole, parts = weights(folder / "whole" / "tok"), weights(folder / "parts" / "tok")
    assert parts["step"] == whole["step"] == 6
    for part in ("model", "ema"):
        for key, value in whole[part].items():
            assert torch.equal(parts[part][key], value), (part, key)
    rows = [json.loads(x) for x in (folder / "parts/tok/metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4, 5, 6]


def test_a_killed_and_resumed_run_equals_another(folder):
    """SIGKILL in the middle of a run of a number of steps; repeated, it ends in the same bits."""
    config, steps = folder / "tok.toml", 30
    config.write_text(TOKENIZER + "checkpoint_minutes = 0.0\n")
    flags = ["tokenizer", "--config", str(config), "--steps", str(steps), "--threads", "1"]
    flags += ["--models", str(folder / "models"), "--device", "cpu", "--no-export"]
    killed = [*flags, "--runs", str(folder / "killed")]
    command = [sys.executable, "-m", "var_spaces.training", *killed]
    root = Path(__file__).parents[3]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    for line in process.stdout:
        if "step      3" in line:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    assert 2 <= weights(folder / "killed" / "tok")["step"] < steps
    with own_threads():
        assert main(killed) == main([*flags, "--runs", str(folder / "whole")]) == 0
    killed, whole = weights(folder / "killed" / "tok"), weights(folder / "whole" / "tok")
    assert killed["step"] == whole["step"] == steps
    for part in ("model", "ema"):
        for key, value in whole[part].items():
            assert torch.equal(killed[part][key], value), (part, key)


def test_chain_from_tokenizer_to_generator(folder):
    """Two recipes, one after the other, give model folders that load and agree."""
    metrics = train(str(folder / "tok.toml"), options(folder, 3))
    assert set(metrics) >= {"psnr_unseen_wide", "codebook_usage_64_images"}
    tokenizer = load(folder / "models" / "tok")
    assert tokenizer.config.patch_nums == (1, 2, 8)

    metrics = train(str(folder / "var.toml"), options(folder, 2))
    assert len(metrics["nats_trained_pairs_per_scale"]) == 3
    card = json.loads((folder / "models/var/card.json").read_text())
    assert card["tokenizer"] == "tok"
    assert len(card["classes"]) == 64
    assert len(card["styles"]) == 5
    assert card["training"]["steps"] == 2
    assert (folder / "models/var/samples.png").is_file()
    assert "Training budget" in (folder / "models/var/README.md").read_text()


def test_training_imports_no_more_than_torch_numpy_pillow_safetensors():
    """A training machine may have none of what the app needs."""
    code = (
        "import sys, importlib.abc\n"
        "class Block(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('pydantic', 'gradio', 'pandas', 'transformers',\n"
        "                                  'huggingface_hub', 'accelerate'):\n"
        "            raise ImportError('blocked: ' + name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import var_spaces.training.engine.runs, var_spaces.training.__main__\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("name", bundled())
def test_bundled_recipes_are_complete(name):
    data = read_config(name)
    assert {"kind", "id", "title", "minutes"} <= set(data)
    build(TrainConfig, data["train"], "[train]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("[train]\nbatchsize = 3", "Did you mean 'batch_size'"),
        ('[train]\noptimizer = "moun"', "Did you mean 'muon'"),
        (
            "[train]\nbatch_size = 0",
            "[train] batch_size = 0 is out of range",
        ),
        ("[recipe]\nscenes = 'esy'", "Did you mean 'easy'"),
        ("[modle]\nch = 1", "Did you mean 'model'"),
        ("stored = 'int4'", "stored = 'int4' must be one of float16, int8"),
        ("[train]\nseed = 3000000000", "[train] seed = 3000000000 is out of range"),
        ("train = ['lr']", ": train = \"['lr']\" must be a table."),
        ("model = 'small'", ": model = 'small' must be a table."),
        ("title = 3", ": title = '3' must be text."),
        ("[stages]\nuntil = 0.5", "must be tables, one for each stage."),
        ("[model", "not valid TOML"),
    ],
)
def test_bad_recipes_are_refused_in_one_line(folder, capsys, change, message):
    path = folder / "bad.toml"
    path.write_text('kind = "tokenizer"\nid = "bad"\n' + change)
    arguments = ["tokenizer", "--config", str(path), "--steps", "1", "--device", "cpu"]
    assert main([*arguments, "--runs", str(folder / "runs")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("entry", ["kind = ['tokenizer']\nid = 'a'", "kind = 'tokenizer'\nid = 3"])
def test_recipes_that_are_no_words_are_refused(folder, capsys, entry):
    (folder / "bad.toml").write_text(entry)
    assert main(["tokenizer", "--config", str(folder / "bad.toml"), "--steps", "1"]) == 2
    assert "must be text" in capsys.readouterr().err


def test_wrong_kind_and_missing_tokenizer_are_refused(folder, capsys):
    common = ["--steps", "1", "--device", "cpu", "--runs", str(folder / "runs")]
    common += ["--models", str(folder / "models")]
    assert main(["transformer", "--config", str(folder / "tok.toml"), *common]) == 2
    assert "trains a tokenizer, not a transformer" in capsys.readouterr().err
    assert main(["transformer", "--config", str(folder / "var.toml"), *common]) == 2
    assert "train one first" in capsys.readouterr().err
    assert main(["tokenizer", "--config", "vq-tokeniser", *common]) == 2
    assert "Did you mean 'vq-tokenizer'" in capsys.readouterr().err


def test_budget_and_rate():
    assert Budget(minutes=2).progress(step=0, elapsed=60) == 0.5
    assert Budget(steps=4).progress(step=5, elapsed=0) == 1.0
    for wrong in ({}, {"minutes": 1, "steps": 1}, {"steps": 0}):
        with pytest.raises(VarSpacesError):
            Budget(**wrong)
    assert Budget(steps=1).part(0.1) == Budget(steps=1)
    assert Budget(minutes=4).part(0.5) == Budget(minutes=2)
    factors = [lr_factor(p / 100, 0.1, 0.5, 0.02) for p in range(101)]
    assert factors[0] == 0.02  # the first step moves, too
    assert factors[5] == pytest.approx(0.5)
    assert factors[30] == 1.0
    assert factors[100] == pytest.approx(0.02)
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))


def side_by_side(folder: Path, module: str, *flags: str, code: int = 0) -> None:
    """A training of the tiny tokenizer by two processes, which end with ``code``."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--standalone", "-m", *module.split(), "tokenizer"]
    command += ["--config", str(folder / "tok.toml"), "--device", "cpu", "--threads", "1"]
    command += ["--models", str(folder / "models"), "--no-export", *flags]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, check=False)
    assert done.returncode == code, done.stderr.decode()[-2000:]


def test_two_processes_equal_one(folder):
    """Two processes of half a batch take the steps of one process with the whole batch."""
    config = str(folder / "tok.toml")
    train(config, options(folder, 4, "one", export=False))
    side_by_side(folder, "var_spaces.training", "--steps", "4", "--runs", str(folder / "two"))
    one, two = weights(folder / "one" / "tok"), weights(folder / "two" / "tok")
    assert two["images"] == one["images"] == 16
    for key, value in one["model"].items():
        torch.testing.assert_close(two["model"][key], value, atol=2e-3, rtol=0.0)


def test_two_processes_go_by_one_clock(folder, tmp_path):
    """The same steps at the same learning rate, to the end of the time or until one is stopped."""
    module = f"tests.training.engine.two_clocks {tmp_path}"
    side_by_side(folder, module, "--runs", str(folder / "clocks"), code=1)
    first, second = ((tmp_path / f"steps-{rank}").read_text() for rank in (0, 1))
    assert first == second != ""
    assert weights(folder / "clocks" / "tok")["step"] == 3


def test_a_broken_network_does_not_replace_a_good_checkpoint(folder, monkeypatch, capsys):
    train(str(folder / "tok.toml"), options(folder, 2, "broken", export=False))
    good = (folder / "broken" / "tok" / "checkpoint.pt").read_bytes()
    step = Trainer._step

    def broken(self: Trainer) -> dict:
        logs = step(self)
        next(self.recipe.model.parameters()).data.fill_(torch.nan)
        return logs

    monkeypatch.setattr(Trainer, "_step", broken)
    with pytest.raises(VarSpacesError, match=r"not finite.*Lower"):
        train(str(folder / "tok.toml"), options(folder, 4, "broken", export=False))
    assert (folder / "broken" / "tok" / "checkpoint.pt").read_bytes() == good


def test_stopping_ends_a_run_of_all(folder, monkeypatch):
    """Models after the one that was stopped are not begun, and the program says so."""
    step, begun = Trainer._step, []

    def stop(self: Trainer) -> dict:
        begun.append(self.folder.name)
        self.asked = True
        return step(self)

    monkeypatch.setattr(Trainer, "_step", stop)
    flags = [
        "--steps",
        "3",
        "--tiny",
        "--quiet",
        "--device",
        "cpu",
        "--models",
        str(folder / "new"),
    ]
    assert main(["all", *flags, "--runs", str(folder / "all")]) == 130
    assert begun == ["vq-tokenizer"]


def test_what_cannot_be_is_refused_before_the_first_step(folder, capsys, monkeypatch):
    monkeypatch.setattr(Trainer, "_step", None)
    text = (folder / "tok.toml").read_text().replace("batch_size = 4", "batch_size = 5")
    (folder / "odd.toml").write_text(text)
    config, common = str(folder / "tok.toml"), ["--no-export", "--runs", str(folder / "refused")]
    for flags, said in (
        (["--minutes", "nan"], "above zero"),
        (["--minutes", "inf"], "above zero"),
        (["--device", "bogus"], "--device bogus"),
        (["--threads", "-2"], "at least 1"),
        (["--set", "eval_images=abc"], "eval_images = 'abc' must be a whole number"),
        (["--set", "l1=nan"], "l1 = 'nan' must be a number"),
    ):
        assert main(["tokenizer", "--config", config, *common, *flags]) == 2
        assert said in capsys.readouterr().err
    monkeypatch.setattr(Trainer, "_distribute", lambda self: setattr(self, "world", 2))
    with pytest.raises(VarSpacesError, match="5 images cannot be shared evenly by 2"):
        train(str(folder / "odd.toml"), options(folder, 1, "odd", export=False))
