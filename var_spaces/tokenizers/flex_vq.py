"""Scalable VQ tokenizer of FlexVAR (https://arxiv.org/abs/2502.20313, §3.2 and public code).

Every scale quantises the latent itself, area-resized to that scale, not what scales before it left
over. So any map of codes decodes to a complete picture of its size, and the codes of a new scale
replace those of the scale before instead of being added to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.autoencoder import NetworkSizes, area_pool, check_codebook
from var_spaces.tokenizers.flex_autoencoder import FlexDecoder, FlexEncoder


@dataclass(frozen=True)
class FlexVQConfig:
    """Sizes of a scalable VQ tokenizer; the defaults are the published ``FlexVAE``.

    Args:
        ch, ch_mult, num_res_blocks: widths and depth of the autoencoder.
        z_channels: channels between the autoencoder and the codebook's convolutions.
        vocab_size: codes *V* in the codebook.
        latent_dim: channels *z* of a code.
        patch_nums: side of the token map of every scale of the usual schedule, coarse to fine.
        beta: weight of the commitment loss.
        quant_conv_ks: kernel of the convolutions before and after the codebook; published: 1.
        stem_patch: pixel (un)shuffle factor around the network; published: 1.
    """

    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 1, 2, 2, 4)
    num_res_blocks: int = 2
    z_channels: int = 256
    vocab_size: int = 8912
    latent_dim: int = 32
    patch_nums: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
    beta: float = 0.25
    quant_conv_ks: int = 1
    in_channels: int = 3
    stem_patch: int = 1
    norm_groups: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "ch_mult", tuple(self.ch_mult))
        object.__setattr__(self, "patch_nums", tuple(self.patch_nums))
        check_codebook(self, self.latent_dim)

    @property
    def network(self) -> NetworkSizes:
        """Sizes of the autoencoder."""
        return NetworkSizes.of(self)

    @property
    def downsample(self) -> int:
        """Pixels per latent position along a side."""
        return self.network.downsample


class CosineQuantizer(nn.Module):
    """A codebook of directions: the code with the largest cosine to a vector, of unit length."""

    def __init__(self, vocab_size: int, latent_dim: int, beta: float) -> None:
        super().__init__()
        self.beta = beta
        self.embedding = nn.Embedding(vocab_size, latent_dim)

    @property
    def codes(self) -> Tensor:
        """Unit code vectors ``(V, z)`` float32; the stored table need not be normalised."""
        return F.normalize(self.embedding.weight.float(), dim=-1)

    def nearest(self, maps: Tensor) -> Tensor:
        """Ids ``(B, h, w)`` of latents ``(B, z, h, w)``."""
        vectors = F.normalize(maps.detach().float().permute(0, 2, 3, 1), dim=-1)
        return (vectors @ self.codes.detach().T).argmax(-1)

    def losses(self, maps: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Codebook and commitment loss of latents and their codes, both ``(B, z, h, w)``."""
        unit = F.normalize(maps.float(), dim=1)
        return F.mse_loss(codes, unit.detach()), self.beta * F.mse_loss(unit, codes.detach())


class FlexVQ(nn.Module):
    """Images ``(B, 3, H, W)`` in [-1, 1] <-> token ids per scale; parameter names as published.

    What a run carries from scale to scale is the map of codes of the last scale drawn.
    """

    # Statistics of training that published files carry.
    ignored_keys = (r"quantize\.codebook_used",)

    def __init__(self, config: FlexVQConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule = ScaleSchedule.square(config.patch_nums)
        self.vocab_size = config.vocab_size
        self.latent_dim = config.latent_dim
        self.downsample = config.downsample
        self.encoder = FlexEncoder(config.network)
        self.decoder = FlexDecoder(config.network)
        self.quantize = CosineQuantizer(config.vocab_size, config.latent_dim, config.beta)
        z, latent, ks = config.z_channels, config.latent_dim, config.quant_conv_ks
        self.quant_conv = nn.Conv2d(z, latent, ks, padding=ks // 2)
        self.post_quant_conv = nn.Conv2d(latent, z, ks, padding=ks // 2)

    @property
    def codebook(self) -> Tensor:
        """Unit code vectors ``(V, z)``."""
        return self.quantize.codes

    # --- images to ids --------------------------------------------------------------------------

    def latent(self, images: Tensor) -> Tensor:
        """Latents before quantisation, ``(B, z, H / f, W / f)``.

        Raises:
            VarSpacesError: if a side is no multiple of ``f``.
        """
        if any(side % self.downsample for side in images.shape[-2:]):
            raise VarSpacesError(
                f"Images of {images.shape[-2]}x{images.shape[-1]} pixels: both sides must be "
                f"multiples of {self.downsample}."
            )
        return self.quant_conv(self.encoder(images))

    def encode(self, images: Tensor, schedule: ScaleSchedule | None = None) -> list[Tensor]:
        """Token ids ``[(B, l_k) int64]`` of images of any size, at the scales of a schedule."""
        return self.encode_latents(images, schedule)[0]

    def encode_latents(
        self, images: Tensor, schedule: ScaleSchedule | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Token ids and the map of codes ``(B, z, h_k, w_k)`` of every scale.

        Scales may be larger than the latent: area-resizing then repeats its positions.
        """
        return self.quantize_latents(self.latent(images), schedule or self.schedule)

    def quantize_latents(
        self, f: Tensor, schedule: ScaleSchedule
    ) -> tuple[list[Tensor], list[Tensor]]:
        """As :meth:`encode_latents`, from latents ``(B, z, H, W)`` of any size."""
        ids = [self.quantize.nearest(area_pool(f, size)).flatten(1) for size in schedule.sizes]
        maps = [self._map(self.embed(i), size) for i, size in zip(ids, schedule.sizes, strict=True)]
        return ids, maps

    # --- ids to images --------------------------------------------------------------------------

    def new_latent(self, batch: int, schedule: ScaleSchedule, device: torch.device) -> Tensor:
        """The map before the first scale, float32 zeros ``(B, z, h_1, w_1)``."""
        return torch.zeros(batch, self.latent_dim, *schedule.sizes[0], device=device)

    def embed(self, ids: Tensor) -> Tensor:
        """Unit code vectors ``(B, l, z)`` of ids ``(B, l)``."""
        return F.normalize(self.quantize.embedding(ids).float(), dim=-1)

    def accumulate(
        self, f_hat: Tensor, codes: Tensor, scale: int, schedule: ScaleSchedule
    ) -> Tensor:
        """The map of codes ``(B, l_k, z)`` of one more scale, which replaces that before it."""
        return self._map(codes, schedule.sizes[scale])

    def next_input(self, f_hat: Tensor, scale: int, schedule: ScaleSchedule) -> Tensor:
        """What the transformer sees at ``scale + 1``: ``(B, l_{k+1}, z)``, not quantised again."""
        larger = F.interpolate(f_hat, size=schedule.sizes[scale + 1], mode="bicubic")
        return larger.flatten(2).transpose(1, 2)

    def teacher_forcing(
        self, ids: Sequence[Tensor], schedule: ScaleSchedule | None = None
    ) -> Tensor:
        """Inputs of all scales but the first, ``(B, L - l_0, z)`` float32."""
        schedule = schedule or self.schedule
        parts = [
            self.next_input(self._map(self.embed(i), schedule.sizes[k]), k, schedule)
            for k, i in enumerate(ids[: schedule.num_scales - 1])
        ]
        empty = self.codebook.new_zeros(len(ids[0]), 0, self.latent_dim)
        return torch.cat([empty, *parts], dim=1)

    def decode(self, f_hat: Tensor) -> Tensor:
        """Images ``(B, 3, f h, f w)`` of a map of codes ``(B, z, h, w)``, not clamped."""
        return self.decoder(self.post_quant_conv(f_hat))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images after the codes of their own latent size."""
        f = self.latent(images)
        return self.decode(self.quantize_latents(f, ScaleSchedule((tuple(f.shape[-2:]),)))[1][0])

    @staticmethod
    def _map(codes: Tensor, size: tuple[int, int]) -> Tensor:
        return codes.float().transpose(1, 2).unflatten(2, size)

    # --- training -------------------------------------------------------------------------------

    def forward(
        self, images: Tensor, sizes: Sequence[tuple[int, int]], quantized: bool = True
    ) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """Training pass: one reconstruction per size (not clamped), VQ loss, ids ``[(B, l)]``.

        The latent is area-resized to every size; the decoder sees unit vectors through the
        straight-through estimator.

        Args:
            sizes: maps ``(h, w)`` to decode and supervise.
            quantized: False decodes unit latents (before the codebook exists).
        """
        f = self.latent(images).float()
        pictures, losses, ids = [], [], []
        for size in sizes:
            maps = area_pool(f, size)
            unit = F.normalize(maps, dim=1)
            if quantized:
                ids.append(self.quantize.nearest(maps).flatten(1))
                codes = self._map(self.embed(ids[-1]), size)
                losses.append(sum(self.quantize.losses(maps, codes)))
                unit = unit + (codes - unit).detach()
            pictures.append(self.decode(unit))
        loss = torch.stack(losses).mean() if losses else f.new_zeros(())
        return pictures, loss, ids
