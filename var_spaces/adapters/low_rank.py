"""Low-rank updates that are parameters of their own (LoRA, https://arxiv.org/abs/2106.09685).

An update knows no model: an adapter is built from sizes, and meets its base model when a run
starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from var_spaces.adapters.overlay import with_modules


class Update(nn.Module):
    """``up(down(x))`` through ``rank`` channels; zero at the start.

    Args:
        factor: on it; LoRA's alpha over its rank.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor
        self.down = nn.Linear(inputs, rank, bias=False)
        self.up = nn.Linear(rank, outputs, bias=False)
        nn.init.normal_(self.down.weight, std=inputs**-0.5)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x.to(self.down.weight.dtype))) * self.factor


class Updated(nn.Module):
    """A linear layer with an update: ``layer(x) + update(x)``."""

    def __init__(self, layer: nn.Module, update: nn.Module) -> None:
        super().__init__()
        self.layer, self.update = layer, update

    @property
    def bias(self) -> Tensor | None:
        """That of the layer, for who asks for its type."""
        return self.layer.bias

    def forward(self, x: Tensor, *more: Any) -> Tensor:
        out = self.layer(x, *more)
        return out + self.update(x).to(out.dtype)


def updated(module: nn.Module, updates: Mapping[str, nn.Module]) -> nn.Module:
    """A shell of ``module`` whose linear layers of these names have these updates."""
    return with_modules(
        module,
        {name: Updated(module.get_submodule(name), update) for name, update in updates.items()},
    )


def fresh_updates(
    model: nn.Module, wanted: Callable[[str], bool], rank: int, alpha: float
) -> dict[str, Update]:
    """Updates of all linear layers of a model whose name is ``wanted``, by name."""
    return {
        name: Update(layer.in_features, layer.out_features, rank, alpha / rank)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and wanted(name)
    }
