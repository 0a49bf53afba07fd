"""Other weights for some layers of a model, without touching the model.

A shell is a module that shares everything with the one it stands for except what lies over it: the
containers on the way there are copied (a few dictionaries), tensors and all other modules are the
same objects. So a base model serves any number of shells at once, and itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor, nn

from var_spaces.errors import VarSpacesError

Layers = dict[str, "LowRank"]  # by the name of the layer that they lie over


def with_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """A shell over ``model`` with other parameters.

    Args:
        weights: by the names of the model; each of the shape of the parameter it lies over.
            Parameters among them stay what they are, so that they can be trained.

    Raises:
        VarSpacesError: if the model has no such parameter, or one of another shape.
    """
    own = dict(model.named_parameters())
    for name, weight in weights.items():
        if name not in own or own[name].shape != weight.shape:
            shape = tuple(own[name].shape) if name in own else "no such parameter"
            raise VarSpacesError(
                f"Weights '{name}' of shape {tuple(weight.shape)} do not fit the model, which has "
                f"{shape}: take the base model that they were trained on."
            )
    shell = _shell(model, weights)
    for name, weight in weights.items():
        place, _, leaf = name.rpartition(".")
        is_parameter = isinstance(weight, nn.Parameter)
        parameter = weight if is_parameter else nn.Parameter(weight, requires_grad=False)
        shell.get_submodule(place)._parameters[leaf] = parameter
    return shell


def with_modules(model: nn.Module, layers: Mapping[str, nn.Module]) -> nn.Module:
    """A shell over ``model`` with other modules in the places that ``layers`` names."""
    shell = _shell(model, layers)
    for name, layer in layers.items():
        place, _, leaf = name.rpartition(".")
        shell.get_submodule(place)._modules[leaf] = layer
    return shell


def _shell(model: nn.Module, names: Iterable[str]) -> nn.Module:
    """``model`` with own containers down to the modules that hold what is named."""
    shell = _alone(model)
    inner: dict[str, list[str]] = {}
    for name in names:
        head, dot, rest = name.partition(".")
        if dot:
            inner.setdefault(head, []).append(rest)
    for head, rests in inner.items():
        shell._modules[head] = _shell(model._modules[head], rests)
    return shell


def _alone(module: nn.Module) -> nn.Module:
    """A shallow copy whose dictionaries of parameters and modules are its own.

    Raises:
        VarSpacesError: if hooks bring the module's weights to it: they would act on the original.
    """
    if hasattr(module, "_hf_hook"):
        raise VarSpacesError(
            "Adapters that change weights need the model in one place: set VAR_SPACES_DEVICE to "
            "one device."
        )
    clone = copy.copy(module)
    clone._parameters, clone._modules = dict(module._parameters), dict(module._modules)
    return clone


class LowRank(nn.Module):
    """What a product of two thin matrices adds to a linear layer: ``up(down(x)) alpha / rank``.

    LoRA (https://arxiv.org/abs/2106.09685, section 4.1): ``down`` is random and ``up`` zero at the
    start, so that training begins at the model as it was.

    Args:
        inputs, outputs: channels of the layer.
        rank: columns of the thin matrices.
        alpha: the factor is ``alpha / rank``.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, alpha: float) -> None:
        super().__init__()
        self.down = nn.Linear(inputs, rank, bias=False)
        self.up = nn.Linear(rank, outputs, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.up.weight)
        self.factor = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x)) * self.factor

    def over(self, base: nn.Linear) -> Sum:
        """The layer with this on top."""
        return Sum(base, self)


class Sum(nn.Module):
    """A layer and what is added to it; shares both.

    Args:
        base: a linear layer; one that takes a bias with each call is called with it.
    """

    def __init__(self, base: nn.Linear, added: LowRank) -> None:
        super().__init__()
        self.base, self.added = base, added

    @property
    def weight(self) -> Tensor:
        """That of the layer below, for who asks for its type or device."""
        return self.base.weight

    @property
    def bias(self) -> Tensor | None:
        return self.base.bias

    def forward(self, x: Tensor, *bias: Tensor) -> Tensor:
        return self.base(x, *bias) + self.added(x).to(x.dtype)


def low_rank(model: nn.Module, wanted: Callable[[str], bool], rank: int, alpha: float) -> Layers:
    """Fresh thin matrices for all linear layers of a model whose name is ``wanted``."""
    return {
        name: LowRank(layer.in_features, layer.out_features, rank, alpha)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and wanted(name)
    }


def with_low_rank(model: nn.Module, layers: Layers) -> nn.Module:
    """A shell over ``model`` with thin matrices on top of the linear layers that are named."""
    over = {name: thin.over(model.get_submodule(name)) for name, thin in layers.items()}
    return with_modules(model, over)
