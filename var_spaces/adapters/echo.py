"""A subject from one picture, without training: EchoGen (https://arxiv.org/abs/2509.26127).

Two ways lead from the picture into a frozen Infinity. What it shows (*semantic*): tokens of an
image encoder beside those of the text, and the token of the whole in modulation and sequence. How
it looks (*content*): latents of an autoencoder run through a stream of their own, whose keys and
values every block shows the image's tokens under a second softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.adapters.base import Adapter, Given, Loaded, Prepared
from var_spaces.decoding.backbone import FULL, NULL
from var_spaces.errors import VarSpacesError
from var_spaces.methods import parse, register

if TYPE_CHECKING:
    from torch import Tensor, nn

    from var_spaces.adapters.echo_run import Seen
    from var_spaces.schedule import ScaleSchedule


@register
class Echo(Adapter):
    """Semantic and content path; the defaults are those of the embedded models."""

    name = "echo"
    title = "A subject from one picture"
    paper = "https://arxiv.org/abs/2509.26127"
    rows = (FULL, "text", NULL)

    semantic: bool = Field(True, description="what the picture shows, by an image encoder")
    content: bool = Field(True, description="how it looks, by latents of an autoencoder")
    exact_start: bool = Field(
        True, description="begin as the base model, by gates that published models lack"
    )
    side: int = Field(64, ge=8, le=2048, description="pixels along a side of the reference")
    image_encoder: str = Field("clip-trunk", max_length=64, description="image encoder")
    semantic_dim: int = Field(768, ge=1, le=8192, description="its channels")
    semantic_tokens: int = Field(17, ge=2, le=8192, description="its tokens, the whole included")
    content_encoder: str = Field("tokenizer", max_length=64, description="content encoder")
    content_dim: int = Field(16, ge=1, le=256, description="channels of the latents")
    content_tokens: int = Field(64, ge=1, le=16384, description="positions of the latents")

    @property
    def offers(self) -> frozenset[str]:
        return frozenset({"subject-picture"})

    @property
    def needs(self) -> dict[str, str]:
        return {"text": "a subject is drawn where words say"}

    def build(self, config: Any) -> nn.Module:
        from var_spaces.adapters.echo_network import EchoNetwork

        return EchoNetwork(
            config,
            (self.semantic_dim, self.semantic_tokens) if self.semantic else None,
            (self.content_dim, self.content_tokens) if self.content else None,
            self.exact_start,
        )

    def pinned(self, schedule: ScaleSchedule, config: Any) -> Sequence[int]:
        front = int(self.semantic and not self.exact_start)
        return [front] * config.depth

    def prepare(self, model: Loaded, given: Given) -> Prepared:
        from var_spaces.adapters.echo_run import EchoRun

        picture = next(iter(given.pictures.values()), None)
        return EchoRun(model, self.see(model.tokenizer, picture))

    def see(self, tokenizer: Any, pictures: Tensor | None) -> Seen:
        """Features of reference pictures ``(R, 3, side, side)`` in [-1, 1].

        Raises:
            VarSpacesError: if an encoder is missing, or gives others than the model has learned.
        """
        from var_spaces.adapters.echo_run import Seen

        if pictures is None:
            return Seen(None, None)
        if pictures.shape[2:] != (self.side, self.side):
            import torch.nn.functional as F

            size = (self.side, self.side)
            pictures = F.interpolate(pictures, size, mode="bicubic", antialias=True).clamp(-1, 1)
        semantic = content = None
        if self.semantic:
            semantic = parse("image_encoder", self.image_encoder).load(pictures.device)(pictures)
            _check(self.image_encoder, semantic, (self.semantic_tokens, self.semantic_dim))
        if self.content:
            encoder = parse("content_encoder", self.content_encoder)
            content = encoder.load(tokenizer, pictures.device)(pictures)
            _check(self.content_encoder, content, (self.content_tokens, self.content_dim))
        return Seen(semantic, content)


def _check(encoder: str, seen: Tensor, wanted: tuple[int, int]) -> None:
    if seen.shape[1:] != wanted:
        tokens, channels = seen.shape[1:]
        raise VarSpacesError(
            f"'{encoder}' gives {tokens} tokens of {channels} channels, but this model has learned "
            f"from {wanted[0]} of {wanted[1]}: its card must name the encoder and the 'side' of "
            "pictures that it was trained with."
        )
