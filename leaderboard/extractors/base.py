"""Extractors: a network, its weights and the one resize that belongs to it, under one name.

Features of another network, of other weights or behind another resize are other features; so the
identity of an extractor, with the digest of its weights, is part of every metric that uses it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from var_spaces.methods import Method, get

if TYPE_CHECKING:
    import numpy as np
    import torch


class Network(Protocol):
    """An extractor that is loaded."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features ``(B, d)`` float32 of images ``(B, H, W, 3)`` uint8."""
        ...


class TextNetwork(Network, Protocol):
    """An extractor that also reads texts."""

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Features ``(B, d)`` float32 of texts, in the space of those of images."""
        ...


class Extractor(Method):
    """Base class of extractors.

    Attributes:
        resize: how images get the size of the network, as a name.
        dim: length of a feature vector.
        reads_text: whether :meth:`load` gives a :class:`TextNetwork`.
    """

    kind = "extractor"
    resize: ClassVar[str]
    dim: ClassVar[int]
    reads_text: ClassVar[bool] = False

    @abstractmethod
    def weights_sha256(self) -> str:
        """SHA-256 of the weights, without loading them.

        Raises:
            VarSpacesError: if they or a package are missing; says how to get them.
        """

    @abstractmethod
    def load(self, device: torch.device) -> Network:
        """The network, ready to use.

        Raises:
            VarSpacesError: as :meth:`weights_sha256`.
        """

    @property
    def identity(self) -> str:
        """Name, resize and weights."""
        return f"{self.name} {self.resize} {self.weights_sha256()[:8]}"


def get_extractor(name: str) -> Extractor:
    """An extractor by name.

    Raises:
        UnknownName: if there is none; names the nearest one.
    """
    return get("extractor", name)()
