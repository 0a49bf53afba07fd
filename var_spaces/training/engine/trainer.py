"""The training loop: any recipe, CPU or CUDA, one process or many, resumable at any moment.

Data and noise of step *n* depend only on (seed, n), never on what ran before, so a run that was
killed and resumed equals one that was not (with a budget in steps, bit for bit).
"""

from __future__ import annotations

import copy
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from var_spaces import cpu
from var_spaces.errors import VarSpacesError
from var_spaces.training.engine.budget import Budget, lr_factor
from var_spaces.training.engine.compiling import compile_blocks
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.curriculum import Curriculum
from var_spaces.training.engine.optim import MuonAdamW
from var_spaces.training.engine.recipe import Recipe, Turn

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
LOCK = "running"


@dataclass
class Progress:
    step: int = 0
    elapsed: float = 0.0
    images: int = 0


class Trainer:
    """Runs a recipe inside a budget and keeps checkpoints in ``folder``."""

    def __init__(
        self,
        recipe: Recipe,
        train: TrainConfig,
        budget: Budget,
        folder: Path,
        device: torch.device,
        *,
        quiet: bool = False,
        digest: str = "",
        fresh: bool = False,
        stale: Sequence[Path] = (),
        compiled: bool = False,
        curriculum: Curriculum | None = None,
    ) -> None:
        """
        Args:
            digest: of recipe and data; a checkpoint of another one is refused.
            fresh: start over where there is a checkpoint.
            stale: checkpoints of what follows, which are thrown away then, too.
            compiled: compile the blocks of the network, see :func:`compile_blocks`.
            curriculum: settings of the recipe by progress; None: they stay.
        """
        self.recipe, self.train, self.budget = recipe, train, budget
        self.folder, self.device, self.quiet = folder, device, quiet
        self.digest, self.fresh, self.curriculum = digest, fresh, curriculum
        self.stale = stale
        self.rank, self.world = 0, 1
        recipe.model.to(device).train()
        still_frozen_norms(recipe.model)
        self.network, self.accelerator = recipe.model, None
        self.half = in_bfloat16(train.precision, device)
        self.optimizer = MuonAdamW(recipe.parameter_groups(train), lr=train.lr, half=self.half)
        if compiled:
            compile_blocks(recipe.model)
        self._distribute()
        if train.batch_size % self.world:
            raise VarSpacesError(
                f"A batch of {train.batch_size} images cannot be shared evenly by {self.world} "
                "processes: start as many as divide it, or change [train] batch_size."
            )
        recipe.check_batch(train.batch_size // self.world)
        self._names = {n for n, p in recipe.model.named_parameters() if p.requires_grad}
        self.ema = average_of(recipe.model)
        self.at, self.stage = Progress(), 0
        self.metrics: dict[str, Any] = {}
        self.asked = self.stopping = False  # told to stop, and what all processes know of it

    def _distribute(self) -> None:
        """Wrap the network for several processes (torchrun, accelerate launch) or compile it."""
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate import Accelerator
            from accelerate.utils import DistributedDataParallelKwargs

            # Parameters without a gradient (the codebook during warm-up) are no error.
            unused = DistributedDataParallelKwargs(find_unused_parameters=True)
            self.accelerator = Accelerator(cpu=self.device.type == "cpu", kwargs_handlers=[unused])
            self.rank, self.world = self.accelerator.process_index, self.accelerator.num_processes
            self.network = self.accelerator.prepare_model(self.network)
        elif self.train.compile and self.device.type == "cuda":
            self.network = torch.compile(self.network)

    @property
    def main(self) -> bool:
        return self.rank == 0

    def run(self) -> nn.Module:
        """Train until the budget is used or the process is told to stop; returns the EMA model.

        Raises:
            VarSpacesError: if another process trains in the folder, or its checkpoint is of
                another run or cannot be read.
        """
        with alone_in(self.folder if self.main else None), self._stop_on_signal():
            if self.fresh and self.main:
                for path in (self.folder / CHECKPOINT, self.folder / METRICS, *self.stale):
                    path.unlink(missing_ok=True)
            if self.world > 1:
                torch.distributed.barrier()  # nobody reads what the first one throws away
            self.resume()
            self._train()
        return self.ema

    def _train(self) -> None:
        clock = time.monotonic()
        last_eval = last_save = self.at.elapsed
        evaluated = saved = -1
        self._agree()
        while not self.stopping and self._progress() < 1.0:
            logs = self._step()
            self.at.elapsed += time.monotonic() - clock
            self._agree()
            if self.at.step % self.train.log_every == 0:
                self._log(logs)
            if self.at.elapsed - last_eval >= self.train.eval_minutes * 60:
                self.evaluate()
                last_eval, evaluated = self.at.elapsed, self.at.step
            if self.at.elapsed - last_save >= self.train.checkpoint_minutes * 60:
                self.save()
                last_save, saved = self.at.elapsed, self.at.step
            clock = time.monotonic()  # evaluation and saving are not training time
        if saved != self.at.step:
            self.save()
        if not self.stopping and evaluated != self.at.step:
            self.evaluate()

    def _agree(self) -> None:
        """All processes go by the clock of the first one, which alone draws samples and writes
        checkpoints, and stop when any of them is told to."""
        if self.world > 1:
            told = [self.at.elapsed if self.main else 0.0, float(self.asked)]
            told = torch.tensor(told, dtype=torch.float64, device=self.device)
            torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
            self.at.elapsed, self.asked = told[0].item(), bool(told[1])
        self.stopping = self.asked

    def _progress(self) -> float:
        return self.budget.progress(self.at.step, self.at.elapsed)

    def _step(self) -> dict[str, Any]:
        train, at = self.train, self.at
        progress = self._progress()
        factor = lr_factor(progress, train.warmup, train.constant, train.final_lr)
        for group in self.optimizer.param_groups:
            group["lr"] = train.lr * factor * group.get("lr_scale", 1.0)
        if self.curriculum:
            self.stage, settings = self.curriculum.at(progress)
            if settings is not self.recipe.config:
                self.recipe.widen(settings)
        self.recipe.before_step(at.step, progress, self.optimizer)
        # whatever draws from torch's own generator does the same after a resume
        torch.manual_seed((train.seed * 1_000_003 + at.step) * 1_009 + self.rank)
        local = train.batch_size // self.world
        start = at.step * train.batch_size + self.rank * local
        logs: dict[str, Any] = {}
        for turn in self.recipe.turns(at.step):
            logs |= self._turn(turn, start, local)
        self._update_ema()
        at.step += 1
        at.images += local * self.world
        stage = {"stage": self.stage} if self.curriculum and len(self.curriculum.stages) > 1 else {}
        return {"lr": train.lr * factor, **stage, **logs}

    def _turn(self, turn: Turn, start: int, count: int) -> dict[str, Any]:
        """One update of the weights, and its logs."""
        with self._autocast():
            loss, logs = turn.loss(self.network, self.at.step, start, count)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            if turn.groups is not None and group.get("name") not in turn.groups:
                for parameter in group["params"]:
                    parameter.grad = None
        norm = nn.utils.clip_grad_norm_(self.recipe.model.parameters(), self.train.clip)
        self.optimizer.step()
        logs = {"loss": loss.detach(), "grad_norm": norm, **logs}
        return {f"{key}_{turn.name}": value for key, value in logs.items()} if turn.name else logs

    def _autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()

    @torch.no_grad()
    def _update_ema(self) -> None:
        # Young averages follow the network closely; the decay grows to its final value.
        decay = min(self.train.ema, (1 + self.at.step) / (10 + self.at.step))
        average, current = (
            [p for name, p in model.named_parameters() if name in self._names]
            for model in (self.ema, self.recipe.model)
        )
        torch._foreach_lerp_(average, current, 1 - decay)
        for a, c in zip(self.ema.buffers(), self.recipe.model.buffers(), strict=True):
            a.copy_(c)

    def _log(self, logs: dict[str, Any]) -> None:
        row = {"step": self.at.step, "seconds": round(self.at.elapsed, 2), "images": self.at.images}
        row |= {k: v.tolist() if torch.is_tensor(v) else v for k, v in logs.items()}
        self._write(row)
        if self.main and not self.quiet:
            rate = self.at.images / max(self.at.elapsed, 1e-9)
            print(
                f"{100 * self._progress():5.1f} %  step {self.at.step:6d}"
                f"  loss {main_loss(row):.4f}"
                f"  {rate:.0f} images/s",
                flush=True,
            )

    def _write(self, row: dict[str, Any]) -> None:
        if self.main:
            with open(self.folder / METRICS, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Judge the averaged weights, append the numbers to the log, draw a sample grid."""
        metrics = self.metrics = self.recipe.evaluate(self.ema)
        self._write({"step": self.at.step, "seconds": round(self.at.elapsed, 2), "eval": metrics})
        if self.main:
            self._draw_samples()
            if not self.quiet:
                shown = "  ".join(
                    f"{k} {v:.4g}" for k, v in metrics.items() if isinstance(v, float)
                )
                print(f"eval  {shown}", flush=True)
        return metrics

    def _draw_samples(self) -> None:
        try:
            sheet = self.recipe.sample_grid(self.ema)
            if sheet is not None:
                sheet.save(self.folder / "samples.png")
        except ModuleNotFoundError as error:
            # A training machine may lack what the engine needs; a fault of our own is raised.
            if (error.name or "var_spaces").startswith("var_spaces"):
                raise
            if not self.quiet:
                print(f"no sample grid: {error}", flush=True)

    # Checkpoints -------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint; a killed process never leaves half a file behind.

        Raises:
            VarSpacesError: if it cannot be written, or the network is broken; the checkpoint before
                it stays.
        """
        if not self.main:
            return
        if not all(_finite(model) for model in (self.recipe.model, self.ema)):
            raise VarSpacesError(
                f"After step {self.at.step} the network has numbers that are not finite; the "
                "checkpoint before it is kept. Lower [train] lr and start over with --fresh."
            )
        state = {
            "digest": self.digest,
            "model": self._part(self.recipe.model),
            "ema": self._part(self.ema),
            "optimizer": self.optimizer.state_dict(),
            "recipe": self.recipe.state(),
            "step": self.at.step,
            "elapsed": self.at.elapsed,
            "images": self.at.images,
        }
        temporary = self.folder / (CHECKPOINT + ".tmp")
        try:
            torch.save(state, temporary)
            os.replace(temporary, self.folder / CHECKPOINT)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
            temporary.unlink(missing_ok=True)
            raise VarSpacesError(
                f"The checkpoint could not be written to {self.folder}: "
                f"{str(error).splitlines()[0]}. Make room or choose another --runs and repeat the "
                "command; the last checkpoint is whole."
            ) from None

    def _part(self, model: nn.Module) -> dict[str, Tensor]:
        """What is trained of a network, and its buffers."""
        frozen = {name for name, _ in model.named_parameters()} - self._names
        return {name: value for name, value in model.state_dict().items() if name not in frozen}

    def resume(self) -> bool:
        """Continue from the folder's checkpoint if there is one.

        Raises:
            VarSpacesError: if it cannot be read or belongs to another recipe or other data.
        """
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return False
        how = "start over with --fresh, or give another --runs or --name"
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            found = state.get("digest", self.digest)  # runs of before digests say nothing
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
            raise VarSpacesError(f"The checkpoint {path} is damaged ({reason}): {how}.") from None
        if found != self.digest:
            raise VarSpacesError(
                f"The checkpoint {path} is of another recipe, or of other images or models than "
                f"this run: {how}."
            )
        try:
            self._load_part(self.recipe.model, state["model"])
            self._load_part(self.ema, state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.recipe.load_state(state["recipe"])
            self.at = Progress(state["step"], state["elapsed"], state["images"])
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError):
            raise VarSpacesError(
                f"The checkpoint {path} does not fit this network: {how}."
            ) from None
        if self.main:
            self._forget_after(self.at.step)
        return True

    def _load_part(self, model: nn.Module, state: dict[str, Tensor]) -> None:
        missing, unexpected = model.load_state_dict(state, strict=False)
        if unexpected or self._names & set(missing):
            raise KeyError

    def _forget_after(self, step: int) -> None:
        """Drop log rows that a killed run wrote after its last checkpoint."""
        path = self.folder / METRICS
        if path.is_file():
            rows = [line for line in path.read_text("utf-8").splitlines() if line.endswith("}")]
            kept = [line for line in rows if json.loads(line)["step"] <= step]
            path.write_text("".join(line + "\n" for line in kept), "utf-8")

    @contextmanager
    def _stop_on_signal(self) -> Iterator[None]:
        """Finish the current step and save when asked to stop (Ctrl-C, SIGTERM)."""

        def ask(_number: int, _frame: object) -> None:
            self.asked = True

        try:
            before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: whoever started it stops it
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _finite(model: nn.Module) -> bool:
    """Whether all that a network learns are finite numbers."""
    norms = torch._foreach_norm([p.detach() for p in model.parameters()])
    return bool(torch.stack([norm.float() for norm in norms]).isfinite().all())


def in_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether a run of this ``[train] precision`` computes in bfloat16 on a device."""
    if device.type == "cuda":
        return precision != "fp32"
    return precision == "bf16" and not cpu.is_slow("bfloat16")


def average_of(model: nn.Module) -> nn.Module:
    """A copy for the average of the weights; what is frozen is shared and not copied."""
    shared = {id(p): p for p in model.parameters() if not p.requires_grad}
    return copy.deepcopy(model, shared).eval().requires_grad_(False)


def still_frozen_norms(model: nn.Module) -> None:
    """Running statistics of frozen normalisations stay as they are too."""
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if hasattr(module, "running_mean") and own and not any(p.requires_grad for p in own):
            module.eval()


def main_loss(row: dict[str, Any]) -> float:
    """The loss of a step, or the sum over its turns."""
    return row.get("loss") or sum(v for k, v in row.items() if k.startswith("loss_"))


@contextmanager
def alone_in(folder: Path | None) -> Iterator[None]:
    """Hold the folder of a run: two trainings would write over each other's checkpoints.

    Raises:
        VarSpacesError: if another process holds it, or nothing can be written there.
    """
    if folder is None:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "a")  # noqa: SIM115 - held until the end of the run
    except OSError as error:
        raise VarSpacesError(
            f"Nothing can be written to {folder} ({error.strerror}): choose another --runs."
        ) from None
    with file:
        try:
            import fcntl
        except ModuleNotFoundError:  # no such locks on this system
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise VarSpacesError(
                f"Another process is training in {folder}: wait for it, or choose another --runs "
                "or --name."
            ) from None
        yield
