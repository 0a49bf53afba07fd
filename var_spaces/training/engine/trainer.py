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
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from var_spaces.training.engine.budget import Budget, lr_factor
from var_spaces.training.engine.config import TrainConfig
from var_spaces.training.engine.optim import MuonAdamW

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"


class Recipe(Protocol):
    """What differs between runs: a network, its data, its loss and how it is judged."""

    model: nn.Module

    def parameter_groups(self, train: TrainConfig) -> list[dict]: ...

    def loss(self, model: nn.Module, step: int, start: int, count: int) -> tuple[Tensor, dict]:
        """Loss of images ``start .. start + count`` of the endless data stream, and logs."""
        ...

    def before_step(self, step: int, progress: float, optimizer: MuonAdamW) -> None: ...

    def evaluate(self, model: nn.Module) -> dict[str, float]: ...

    def sample_grid(self, model: nn.Module) -> Image.Image: ...

    def state(self) -> dict[str, Any]:
        """Tensors and numbers beside the network that a resumed run needs."""
        ...

    def load_state(self, state: dict[str, Any]) -> None: ...


@dataclass
class Progress:
    step: int = 0
    elapsed: float = 0.0
    images: int = 0
    history: list[dict] = field(default_factory=list)


class Trainer:
    """Runs a recipe inside a budget and keeps checkpoints in ``folder``."""

    def __init__(
        self,
        recipe: Recipe,
        train: TrainConfig,
        budget: Budget,
        folder: Path,
        device: torch.device,
        quiet: bool = False,
    ) -> None:
        self.recipe, self.train, self.budget = recipe, train, budget
        self.folder, self.device, self.quiet = folder, device, quiet
        self.rank, self.world = 0, 1
        recipe.model.to(device).train()
        self.network, self.accelerator = recipe.model, None
        self.optimizer = MuonAdamW(recipe.parameter_groups(train), lr=train.lr)
        self._distribute()
        self.ema = copy.deepcopy(recipe.model).eval().requires_grad_(False)
        self.at = Progress()
        self.stopping = False
        folder.mkdir(parents=True, exist_ok=True)

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
        """Train until the budget is used or the process is told to stop; returns the EMA model."""
        self.resume()
        clock = time.monotonic()
        last_eval = last_save = self.at.elapsed
        with self._stop_on_signal():
            while not self.stopping and self._progress() < 1.0:
                logs = self._step()
                now = time.monotonic()
                self.at.elapsed += now - clock
                clock = now
                if self.at.step % self.train.log_every == 0:
                    self._log(logs)
                if self.at.elapsed - last_eval >= self.train.eval_minutes * 60:
                    self.evaluate()
                    last_eval = self.at.elapsed
                if self.at.elapsed - last_save >= self.train.checkpoint_minutes * 60:
                    self.save()
                    last_save = self.at.elapsed
                clock = time.monotonic()  # evaluation and saving are not training time
        self.save()
        if not self.stopping:
            self.evaluate()
        return self.ema

    def _progress(self) -> float:
        return self.budget.progress(self.at.step, self.at.elapsed)

    def _step(self) -> dict[str, Any]:
        train, at = self.train, self.at
        progress = self._progress()
        factor = lr_factor(progress, train.warmup, train.constant, train.final_lr)
        for group in self.optimizer.param_groups:
            group["lr"] = train.lr * factor
        self.recipe.before_step(at.step, progress, self.optimizer)
        local = train.batch_size // self.world
        start = at.step * train.batch_size + self.rank * local
        with self._autocast():
            loss, logs = self.recipe.loss(self.network, at.step, start, local)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.recipe.model.parameters(), train.clip)
        self.optimizer.step()
        self._update_ema()
        at.step += 1
        at.images += local * self.world
        return {"loss": loss.detach(), "grad_norm": norm, "lr": train.lr * factor, **logs}

    def _autocast(self) -> AbstractContextManager:
        wanted = self.train.precision
        use = wanted == "bf16" or (wanted == "auto" and self.device.type == "cuda")
        return torch.autocast(self.device.type, torch.bfloat16) if use else nullcontext()

    @torch.no_grad()
    def _update_ema(self) -> None:
        # Young averages follow the network closely; the decay grows to its final value.
        decay = min(self.train.ema, (1 + self.at.step) / (10 + self.at.step))
        average, current = list(self.ema.parameters()), list(self.recipe.model.parameters())
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
                f"{100 * self._progress():5.1f} %  step {self.at.step:6d}  loss {row['loss']:.4f}"
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
        metrics = self.recipe.evaluate(self.ema)
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
            self.recipe.sample_grid(self.ema).save(self.folder / "samples.png")
        except ModuleNotFoundError as error:
            # A training machine may lack what the engine needs; a fault of our own is raised.
            if (error.name or "var_spaces").startswith("var_spaces"):
                raise
            if not self.quiet:
                print(f"no sample grid: {error}", flush=True)

    # Checkpoints -------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint; a killed process never leaves half a file behind."""
        if not self.main:
            return
        state = {
            "model": self.recipe.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "recipe": self.recipe.state(),
            "step": self.at.step,
            "elapsed": self.at.elapsed,
            "images": self.at.images,
        }
        temporary = self.folder / (CHECKPOINT + ".tmp")
        torch.save(state, temporary)
        os.replace(temporary, self.folder / CHECKPOINT)

    def resume(self) -> bool:
        """Continue from the folder's checkpoint if there is one."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.recipe.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.recipe.load_state(state["recipe"])
        self.at = Progress(state["step"], state["elapsed"], state["images"])
        if self.main:
            self._forget_after(self.at.step)
        return True

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
            self.stopping = True

        try:
            before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: whoever started it stops it
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
