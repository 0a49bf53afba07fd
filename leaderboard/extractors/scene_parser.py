"""The embedded scene parser: which things, colours, places and background a picture shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from leaderboard.extractors.base import Extractor
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch


@register
class SceneFacts(Extractor):
    """Facts, not features: see ``var_spaces.evaluators.claims``."""

    name = "scene-parser"
    title = "Embedded scene parser"

    resize: ClassVar[str] = "64 bicubic antialias"
    dim: ClassVar[int] = 0

    def weights_sha256(self) -> str:
        from var_spaces.evaluators.folder import EVALUATORS, read_card

        return read_card(EVALUATORS / "parser")["weights_sha256"]

    def load(self, device: torch.device) -> Any:
        from var_spaces.evaluators.parser import embedded_parser

        return embedded_parser(str(device))
