"""One run before it starts: what its recipe file and options say, and the models it stands on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from var_spaces.errors import VarSpacesError
from var_spaces.evaluators.folder import fill
from var_spaces.training.codebooks import base as codebooks
from var_spaces.training.codebooks.base import CodebookMethod
from var_spaces.training.engine import models
from var_spaces.training.engine.config import TrainConfig, build
from var_spaces.training.images.folder import FolderSource, Prepared, prepare

# Sections of a recipe file beside [train] that decide what is trained.
SECTIONS = ("model", "recipe", "codebook", "stages")
# Settings of [train] that change when something is written and not what is trained.
RHYTHM = ("log_every", "eval_minutes", "checkpoint_minutes")


@dataclass(frozen=True)
class Options:
    """Where and how long a run goes.

    Args:
        minutes, steps: budget; None takes the recipe's minutes.
        device: torch device.
        models: folder of model folders that tokenizers are read from and results written to.
        evaluators: folder of judge, parser and CLIP; they are no models of the app.
        runs: folder of run folders (checkpoints, metrics, samples).
        fresh: start over instead of resuming.
        quiet: print nothing.
        export: write the trained model into ``models``.
        replace: let it take the place of a model that this run did not make.
        compile: compile the blocks of the network, whatever the recipe says.
        tiny: the smallest batches and evaluations, to try a recipe out.
        images: folder of a person's own images for a tokenizer; None takes the recipe's scenes.
        start: id of a trained model to continue from; None as the recipe says.
        name: id of the model; None takes the recipe's, with what ``images``, ``ratio`` or
            ``settings`` change.
        ratio: of a supernet: constant share of sub-network iterations in place of the phases.
        settings: what differs from the recipe's own settings, by name.
    """

    minutes: float | None = None
    steps: int | None = None
    device: str = "auto"
    models: Path = Path("assets/models")
    evaluators: Path = Path("assets/evaluators")
    runs: Path = Path("runs")
    fresh: bool = False
    quiet: bool = False
    export: bool = True
    replace: bool = False
    compile: bool = False
    tiny: bool = False
    images: Path | None = None
    start: str | None = None
    name: str | None = None
    ratio: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def torch_device(self) -> torch.device:
        """Where this process trains; of several on one computer each has a GPU of its own.

        Raises:
            VarSpacesError: for a device that is not here.
        """
        name = self.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        own = os.environ.get("LOCAL_RANK", "")
        try:
            device = torch.device(f"cuda:{own}" if own and name == "cuda" else name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).splitlines()[0][:120]
            raise VarSpacesError(
                f"--device {self.device}: nothing can be computed there ({reason}). Give auto, "
                "cpu, cuda or cuda:1."
            ) from None
        return device


class Kind(Protocol):
    """What a plan reads of a class of recipes; see ``recipe.py``."""

    name: str
    role: str
    settings: type
    network: type | None


@dataclass(frozen=True, eq=False)
class Plan:
    """What a recipe is built from.

    Attributes:
        data: the recipe file, with what options change in it.
        recipe: the class.
        stands_on: digests of weights and data of everything that was read, by name.
    """

    data: dict[str, Any]
    recipe: Kind
    options: Options
    stands_on: dict[str, str] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Any:
        """[recipe]."""
        return build(self.recipe.settings, self.data.get("recipe", {}), "[recipe]")

    @cached_property
    def network(self) -> Any:
        """[model]."""
        return build(self.recipe.network, self.data.get("model", {}), "[model]")

    @cached_property
    def train(self) -> TrainConfig:
        """[train]."""
        return build(TrainConfig, self.data.get("train", {}), "[train]")

    @property
    def packed(self) -> bool:
        """Whether matrices go to disk in eight bits (``stored = "int8"``), not in float16."""
        return self.data.get("stored") == "int8"

    @property
    def seed(self) -> int:
        return self.train.seed

    @property
    def device(self) -> torch.device:
        return self.options.torch_device

    @property
    def folder(self) -> Path:
        """Where checkpoints and logs of the run are."""
        return self.options.runs / self.data["id"]

    @property
    def target(self) -> Path:
        """Where the trained model goes."""
        models = self.recipe.role in ("generator", "tokenizer")
        return (self.options.models if models else self.options.evaluators) / self.data["id"]

    def model(self, name: str, *families: str) -> nn.Module:
        """A trained model by its id, frozen, float32 on the CPU.

        Raises:
            VarSpacesError: if there is none, or none of these families.
        """
        return self._read(self.options.models / name, families)

    def evaluator(self, name: str, *families: str) -> nn.Module:
        """A trained judge, parser or CLIP, likewise."""
        return self._read(self.options.evaluators / name, families)

    def _read(self, folder: Path, families: tuple[str, ...]) -> nn.Module:
        self._stand_on(folder)
        return models.load(folder, *families)

    def _stand_on(self, folder: Path) -> None:
        self.stands_on[folder.name] = models.read_card(folder).get("weights_sha256", "")

    def begin(self, module: nn.Module, name: str) -> None:
        """Give a new module the weights of a trained one of its layout: an adapter whose base model
        was trained on goes on from where it was. An empty name leaves it as it was drawn.

        Raises:
            VarSpacesError: if there is none, or its layout is another.
        """
        if not name:
            return
        folder = self.options.models / name
        self._stand_on(folder)
        try:
            fill(module, folder).train().requires_grad_(True)
        except RuntimeError:
            raise VarSpacesError(
                f"The weights in {folder} are of another layout than what is trained: take a model "
                "of the same recipe, or leave 'start' out."
            ) from None

    def codebook(self, name: str) -> CodebookMethod:
        """The method that [codebook] describes."""
        return build(codebooks.get(name), self.data.get("codebook", {}), "[codebook]")

    @cached_property
    def own_images(self) -> Prepared | None:
        """The person's own folder of images, ready for the size that [model] has; None without."""
        folder = self.options.images
        if folder is None:
            return None
        size = self.network.patch_nums[-1] * self.network.downsample
        place = hashlib.sha256(f"{folder.resolve()} {size}".encode()).hexdigest()[:16]
        prepared = prepare(folder, size, self.options.runs / "images" / place)
        self.stands_on["images"] = prepared.digest
        return prepared

    def image_source(self, size: int) -> FolderSource | None:
        """Squares of these images at a size in pixels; None if there is no folder."""
        if self.own_images is None:
            return None
        return FolderSource(self.own_images, self.options.images.resolve().name, size, self.device)

    @property
    def sections(self) -> dict[str, Any]:
        """Everything in the recipe file that decides what is trained."""
        train = {k: v for k, v in self.data.get("train", {}).items() if k not in RHYTHM}
        parts = {key: self.data[key] for key in SECTIONS if key in self.data}
        return {"kind": self.recipe.name, **parts, "train": train}

    def digest(self) -> str:
        """Of these sections and of all that the built recipe stands on: weights and images."""
        return digest({**self.sections, "stands_on": self.stands_on})


def digest(content: Any) -> str:
    """SHA-256 of plain data."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of the numbers of a network."""
    found = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()
