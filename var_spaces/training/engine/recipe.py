"""What a training recipe is, and how recipes are found.

A recipe is one file in ``training/recipes`` with one class::

    @training_recipe
    class BitwiseRecipe(Recipe):
        name, title = "bitwise", "bitwise tokenizer of Infinity"
        paper = "https://arxiv.org/abs/2412.04431"
        family, role = "bitwise", "tokenizer"
        settings, network = BitwiseTraining, BitwiseConfig

Its name is the command and the ``kind`` of recipe files, ``settings`` and ``network`` are what
``[recipe]`` and ``[model]`` may say, :meth:`Recipe.build` puts it together, and :meth:`Recipe.card`
tells what the card of its models says. Nothing else is edited: recipes are found by reading their
source, so listing them imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from var_spaces.discovery import Entry, scan
from var_spaces.errors import UnknownName, did_you_mean

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor, nn

    from var_spaces.training.engine.config import TrainConfig
    from var_spaces.training.engine.optim import MuonAdamW
    from var_spaces.training.engine.plan import Plan

    Loss = Callable[[nn.Module, int, int, int], tuple[Tensor, dict[str, Any]]]


@dataclass(frozen=True)
class Turn:
    """One update of the weights; a step takes one or several.

    Attributes:
        loss: ``(network, step, start, count)`` to loss and logs, see :meth:`Recipe.loss`.
        name: what its logs are called by; empty for the only turn of a step.
        groups: names of the parameter groups that it updates; None for all.
    """

    loss: Loss
    name: str = ""
    groups: frozenset[str] | None = None


class Recipe:
    """What differs between trainings: a network, its data, its loss and how it is judged.

    Attributes:
        model: the network that a loss calls. Only parameters that require gradients are trained,
            averaged and kept in checkpoints; the others stay as they are, bit for bit.
        config: the settings of this run.
        budget_share: part of the budget, 0..1; below 1 where the run has several stages.
    """

    kind: ClassVar[str] = "training"
    name: ClassVar[str]
    title: ClassVar[str]  # what it trains, in plain words
    paper: ClassVar[str] = ""
    family: ClassVar[str]  # of the card
    role: ClassVar[str]  # generator, tokenizer, judge or evaluator
    settings: ClassVar[type]
    network: ClassVar[type | None] = None
    takes_images: ClassVar[bool] = False  # whether it trains on a person's own folder
    changing: ClassVar[tuple[str, ...]] = ()  # settings that [[stages]] may change
    compiles: ClassVar[bool] = True  # whether --compile changes anything

    model: nn.Module
    config: Any = None
    budget_share: float = 1.0

    @classmethod
    def build(cls, plan: Plan) -> Recipe:
        """The recipe of a plan, with all models that it stands on."""
        raise NotImplementedError

    def check_batch(self, size: int) -> None:
        """Refuse a number of images of a step in each process, before the first one.

        Raises:
            VarSpacesError: if a step cannot be taken with so many.
        """

    def parameter_groups(self, train: TrainConfig) -> list[dict]:
        """Groups of :class:`MuonAdamW`: ``params``, ``rule``, and optionally ``name``,
        ``lr_scale``, ``weight_decay`` and ``betas``."""
        raise NotImplementedError

    def loss(
        self, model: nn.Module, step: int, start: int, count: int
    ) -> tuple[Tensor, dict[str, Any]]:
        """Loss of images ``start .. start + count`` of the endless data stream, and logs."""
        raise NotImplementedError

    def turns(self, step: int) -> Sequence[Turn]:
        """The updates of a step, one after the other, all on the same images."""
        return (Turn(self.loss),)

    def before_step(self, step: int, progress: float, optimizer: MuonAdamW) -> None:
        """Called before every step; ``progress`` is the used share of the budget, 0..1."""

    def widen(self, config: Any) -> None:
        """Go on with other settings: a curriculum has reached its next stage."""
        self.config = config

    def try_out(self, stages: Sequence[Any]) -> None:
        """Refuse settings of stages to come before the first one begins; the last are the final
        ones, with which it was built.

        Raises:
            VarSpacesError: for settings that cannot be.
        """
        for settings in stages:
            self.widen(settings)

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Numbers about a network, on data that is never trained on."""
        raise NotImplementedError

    def sample_grid(self, model: nn.Module) -> Image.Image | None:
        """Unselected samples with a fixed seed; None where there is nothing to see."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Tensors and numbers beside the network that a resumed run needs."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take what :meth:`state` gave."""

    def finish(self, model: nn.Module) -> nn.Module:
        """What the averaged network of a finished run becomes."""
        return model.eval()

    def described(self, model: nn.Module) -> dict[str, Any]:
        """What the card says of the network itself; that of an adapter has ``base`` and
        ``adapter`` in place of all this."""
        names = {"family": self.family, "role": self.role, "resolution": 64}
        return {**names, "architecture": asdict(model.config)}

    def card(self) -> dict[str, Any]:
        """What the card says beyond what every card says."""
        return {}

    def files(self) -> dict[str, bytes]:
        """Further files of the model folder by name."""
        return {}


_classes: dict[str, type[Recipe]] = {}


def training_recipe(cls: type[Recipe]) -> type[Recipe]:
    """Class decorator: make a recipe known by its name."""
    _classes[cls.name] = cls
    return cls


@cache
def recipes() -> dict[str, Entry]:
    """All recipes by name, without importing them."""
    root = Path(__file__).parents[3]
    found = scan(root, ("var_spaces/training/recipes",), training_recipe.__name__)
    return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.name)}


def get(name: str) -> type[Recipe]:
    """The class of a recipe.

    Raises:
        UnknownName: if there is none of that name; says the nearest one.
    """
    known = recipes()
    if name not in known:
        raise UnknownName(
            f"No kind of training '{name}'.{did_you_mean(str(name), known)} "
            f"Kinds: {', '.join(known)}."
        )
    import_module(known[name].target.partition(":")[0])
    return _classes[name]
