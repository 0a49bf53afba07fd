"""Other weights for some layers of a model, without touching the model.

A shell is a module that shares everything with the one it stands for except what lies over it: the
containers on the way there are copied (a few dictionaries), tensors and all other modules are the
same objects. So a base model serves any number of shells at once, and itself.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from var_spaces.errors import VarSpacesError


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
