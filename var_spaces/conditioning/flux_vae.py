"""The autoencoder of FLUX.1, the encoder of how a subject looks in the published EchoGen models."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from var_spaces.conditioning.content import ContentEncoder, EncodeContent
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@register
class FluxVAE(ContentEncoder):
    """Latents as EchoGen takes them (https://arxiv.org/abs/2509.26127, released code): drawn from
    the posterior, neither shifted nor scaled; 16 channels, one per 8 x 8 pixels.

    The draw has a seed of its own, so that one picture always looks the same.
    """

    name = "flux-vae"
    title = "Autoencoder of FLUX.1"
    paper = "https://github.com/black-forest-labs/flux"

    checkpoint: str = Field(
        "black-forest-labs/FLUX.1-dev",
        max_length=256,
        description="repository on the Hub, or a folder, with the autoencoder under 'vae'",
    )

    def load(self, tokenizer: Any, device: torch.device | str) -> EncodeContent:
        import torch

        network = _loaded(self.checkpoint, str(device))

        @torch.no_grad()
        def encode(pictures: Tensor) -> Tensor:
            posterior = network.encode(pictures.to(network.device)).latent_dist
            drawn = posterior.sample(torch.Generator(network.device).manual_seed(0))
            return drawn.flatten(2).transpose(1, 2)

        return encode


@lru_cache(maxsize=1)
def _loaded(checkpoint: str, device: str) -> Any:
    """The frozen network; the last one stays."""
    try:
        from diffusers import AutoencoderKL
    except ImportError:
        raise VarSpacesError(
            "The autoencoder of FLUX.1 needs a package: pip install 'var-spaces[echogen]'."
        ) from None
    try:
        network = AutoencoderKL.from_pretrained(checkpoint, subfolder="vae", use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), "no reason is given")
        raise VarSpacesError(
            f"The autoencoder of FLUX.1 cannot be loaded from {checkpoint}: {reason}"
        ) from None
    return network.to(device).eval().requires_grad_(False)
