"""What a codebook method is, and the registry that finds them.

A method is one file of this folder with one frozen dataclass; its fields are its parameters::

    @codebook_method
    @dataclass(frozen=True)
    class LinearProjector(CodebookMethod):
        name, title = "linear", "One linear map over frozen random codes"
        paper = "https://arxiv.org/abs/..."
        scale: float = option(1.0, "spread of the random codes", low=0.01, high=100)

Nothing else is edited. It is like :mod:`var_spaces.methods`, without pydantic, which a training
machine lacks; the name of the decorator keeps these classes out of that registry.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from var_spaces.errors import UnknownName, VarSpacesError, did_you_mean
from var_spaces.tokenizers.residual_vq import ResidualVQConfig
from var_spaces.training.codebooks.quantizer import TrainingQuantizer

if TYPE_CHECKING:
    from var_spaces.training.codebooks.statistics import CodebookStatistics

_methods: dict[str, type[CodebookMethod]] = {}


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A parameter of a method: default, help text, and what is allowed (ends included)."""
    allowed = {"help": help, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=allowed)


@dataclass
class Upkeep:
    """What a method may use between two steps.

    Attributes:
        step: steps done; quantisation starts at step ``start``, or did in an earlier run (-1).
        reset_due: whether this is a step at which dead codes may be restarted.
        latents: draws encoder outputs ``(B, z, H, W)`` of the batch before.
        statistics: how often codes were chosen.
        optimizer: whose state a moved code must leave.
        generator: random numbers of this step, equal in all processes.
    """

    step: int
    start: int
    reset_due: bool
    latents: Callable[[], Tensor]
    statistics: CodebookStatistics
    optimizer: torch.optim.Optimizer
    generator: torch.Generator

    @property
    def first(self) -> bool:
        """Whether quantisation starts at this step."""
        return self.step == self.start


@dataclass(frozen=True)
class CodebookMethod:
    """Base class; the fields of a method are its parameters, class variables say what it is."""

    name: ClassVar[str]  # in recipe files: lower-case words joined by "-"
    title: ClassVar[str]
    paper: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for one in fields(self):
            _check(self.name, one.name, getattr(self, one.name), one.metadata)

    def quantizer(self, config: ResidualVQConfig) -> TrainingQuantizer:
        """The quantiser to train, freshly initialised.

        Raises:
            VarSpacesError: if the method cannot train a codebook of this size.
        """
        return TrainingQuantizer(config)

    def upkeep(self, quantizer: TrainingQuantizer, work: Upkeep) -> None:
        """Called before every step from ``work.start`` on."""


def codebook_method(cls: type[CodebookMethod]) -> type[CodebookMethod]:
    """Class decorator: make a method known by its name."""
    known = _methods.setdefault(cls.name, cls)
    if known.__module__ != cls.__module__:
        raise VarSpacesError(
            f"The codebook method '{cls.name}' exists twice: {known.__module__} and "
            f"{cls.__module__}. Give one of them another name."
        )
    return cls


def names() -> list[str]:
    """Sorted names of all methods."""
    package = importlib.import_module("var_spaces.training.codebooks")
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    return sorted(_methods)


def get(name: str) -> type[CodebookMethod]:
    """The class of a method.

    Raises:
        UnknownName: if there is no such method; names the nearest one.
    """
    known = names()
    if name not in known:
        raise UnknownName(
            f"Unknown codebook method '{name}'.{did_you_mean(str(name), known)} "
            f"Available: {', '.join(known)}."
        )
    return _methods[name]


def _check(method: str, name: str, value: Any, allowed: Any) -> None:
    where = f"[codebook] {name} of '{method}'"
    if allowed.get("choices") and value not in allowed["choices"]:
        raise VarSpacesError(
            f"{where} is {value!r}; allowed: {', '.join(allowed['choices'])}."
            + did_you_mean(str(value), allowed["choices"])
        )
    for one in value if isinstance(value, tuple) else (value,):
        for limit, bad, word in (
            (allowed.get("low"), float.__lt__, "at least"),
            (allowed.get("high"), float.__gt__, "at most"),
        ):
            if limit is None:
                continue
            if isinstance(one, bool) or not isinstance(one, int | float):
                raise VarSpacesError(f"{where} must be a number, not {one!r}.")
            if bad(float(one), float(limit)) or one != one:
                raise VarSpacesError(f"{where} is {one}; it must be {word} {limit}.")
