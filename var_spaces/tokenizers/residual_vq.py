"""Multi-scale residual VQ-VAE, the tokenizer of VAR (https://arxiv.org/abs/2404.02905, §3.2).

An image becomes one token map per scale. Scale *k* quantises what the scales before it left over
of the latent; its codes are upsampled, smoothed by a convolution ``phi`` and added up in ``f_hat``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.steps import fitting
from var_spaces.tokenizers.autoencoder import (
    Decoder,
    Encoder,
    NetworkSizes,
    area_pool,
    check_codebook,
)


@dataclass(frozen=True)
class ResidualVQConfig:
    """Sizes of a residual VQ tokenizer; the defaults are the published ``vae_ch160v4096z32``.

    Args:
        ch, ch_mult, num_res_blocks: widths and depth of the autoencoder.
        z_channels: latent channels *z*.
        vocab_size: codes *V* in the codebook.
        patch_nums: side of the token map of every scale, coarse to fine.
        share_quant_resi: number of ``phi`` convolutions; 1 = one for all, 0 = one per scale.
        quant_resi: weight of the convolution in ``phi``, 0..1.
        using_znorm: choose codes by cosine similarity instead of squared distance.
        beta: weight of the commitment loss.
        stem_patch: pixel (un)shuffle factor around the network; 1 in published models.
    """

    ch: int = 160
    ch_mult: tuple[int, ...] = (1, 1, 2, 2, 4)
    num_res_blocks: int = 2
    z_channels: int = 32
    vocab_size: int = 4096
    patch_nums: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
    share_quant_resi: int = 4
    quant_resi: float = 0.5
    using_znorm: bool = False
    beta: float = 0.25
    quant_conv_ks: int = 3
    in_channels: int = 3
    stem_patch: int = 1
    norm_groups: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "ch_mult", tuple(self.ch_mult))
        object.__setattr__(self, "patch_nums", tuple(self.patch_nums))
        check_codebook(self, self.z_channels)

    @property
    def network(self) -> NetworkSizes:
        """Sizes of the autoencoder."""
        return NetworkSizes.of(self)

    @property
    def downsample(self) -> int:
        """Pixels per latent position along a side."""
        return self.network.downsample


class Phi(nn.Conv2d):
    """``(1 - rho) h + rho conv3x3(h)``: repairs what upsampling a coarse map blurs."""

    def __init__(self, channels: int, rho: float) -> None:
        super().__init__(channels, channels, 3, padding=1)
        self.rho = rho

    def forward(self, h: Tensor) -> Tensor:
        return h.mul(1 - self.rho) + super().forward(h).mul(self.rho)


class SharedPhi(nn.Module):
    """The ``phi`` convolutions of a quantiser, under the parameter names of published files."""

    def __init__(self, channels: int, rho: float, share: int, num_scales: int) -> None:
        super().__init__()
        self.count = share or num_scales
        phis = [Phi(channels, rho) for _ in range(self.count)]
        if share == 1:
            self.qresi = phis[0]
        elif share > 1:
            self.qresi_ls = nn.ModuleList(phis)
        else:
            for index, phi in enumerate(phis):
                self.add_module(str(index), phi)
        self.share = share

    def at(self, ratio: float) -> Phi:
        """The phi of the scale at relative position ``ratio`` in [0, 1]."""
        index = nearest_phi(self.count, ratio)
        if self.share == 1:
            return self.qresi
        return self.qresi_ls[index] if self.share > 1 else self.get_submodule(str(index))


def nearest_phi(count: int, ratio: float) -> int:
    """Index of the phi nearest to ``ratio``; float64 rounding decides ties, as in the reference."""
    inset = 1 / (3 * count) if count == 4 else 1 / (2 * count)
    ticks = np.linspace(inset, 1 - inset, count)
    return int(np.argmin(np.abs(ticks - ratio)))


class MultiScaleQuantizer(nn.Module):
    """Residual quantiser over a scale schedule; holds the codebook and the phi convolutions."""

    def __init__(self, config: ResidualVQConfig) -> None:
        super().__init__()
        self.using_znorm = config.using_znorm
        self.beta = config.beta
        self.embedding = nn.Embedding(config.vocab_size, config.z_channels)
        self.quant_resi = SharedPhi(
            config.z_channels,
            config.quant_resi,
            config.share_quant_resi,
            len(config.patch_nums),
        )

    def nearest(self, vectors: Tensor, codebook: Tensor | None = None) -> Tensor:
        """Ids ``(N,)`` of the codes nearest to ``vectors (N, z)``; float32."""
        codes = self.embedding.weight if codebook is None else codebook
        codes, vectors = codes.detach().float(), vectors.float()
        if self.using_znorm:
            return (F.normalize(vectors, dim=-1) @ F.normalize(codes, dim=-1).T).argmax(1)
        # argmin |y|^2 + |e|^2 - 2 y.e ; the first term is the same for every code
        return torch.addmm(codes.square().sum(1), vectors, codes.T, alpha=-2).argmin(1)

    def contribution(self, codes: Tensor, scale: int, schedule: ScaleSchedule) -> Tensor:
        """What the code map of one scale adds to f_hat: ``(B, l_k, z)`` -> ``(B, z, H, W)``."""
        b, _, z = codes.shape
        h = codes.transpose(1, 2).reshape(b, z, *schedule.sizes[scale])
        if schedule.sizes[scale] != schedule.last:
            h = F.interpolate(h, size=schedule.last, mode="bicubic")
        return self.quant_resi.at(schedule.ratio(scale))(h)

    def quantize(self, f: Tensor, schedule: ScaleSchedule) -> tuple[list[Tensor], list[Tensor]]:
        """Quantise latents scale by scale.

        Args:
            f: ``(B, z, H, W)`` with ``(H, W) == schedule.last``.

        Returns:
            Ids per scale ``[(B, l_k)]`` and ``f_hat`` after every scale ``[(B, z, H, W)]``.
            Gradients reach the codebook and phi through ``f_hat``; none reach ``f``.
        """
        rest = f.detach().float()
        f_hat = torch.zeros_like(rest)
        ids, latents = [], []
        for scale, size in enumerate(schedule.sizes):
            y = area_pool(rest, size)
            index = self.nearest(y.permute(0, 2, 3, 1).reshape(-1, y.shape[1]))
            index = index.view(f.shape[0], -1)
            g = self.contribution(self.embedding(index), scale, schedule)
            f_hat = f_hat + g
            rest = rest - g.detach()
            ids.append(index)
            latents.append(f_hat)
        return ids, latents

    def vq_loss(self, f: Tensor, latents: Sequence[Tensor]) -> Tensor:
        """Codebook and commitment loss averaged over scales (VAR tokenizer, algorithm 1)."""
        target = f.detach()
        losses = [
            self.beta * F.mse_loss(f_hat.detach(), f) + F.mse_loss(f_hat, target)
            for f_hat in latents
        ]
        return torch.stack(losses).mean()


class ResidualVQ(nn.Module):
    """Images ``(B, 3, H, W)`` in [-1, 1] <-> token ids per scale; parameter names as published."""

    # Training statistics that published files carry and inference does not need.
    ignored_keys = (r"quantize\.ema_vocab_hit_SV",)

    def __init__(self, config: ResidualVQConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule = ScaleSchedule.square(config.patch_nums)
        self.vocab_size = config.vocab_size
        self.latent_dim = config.z_channels
        self.downsample = config.downsample
        self.encoder = Encoder(config.network)
        self.decoder = Decoder(config.network)
        self.quantize = MultiScaleQuantizer(config)
        ks = config.quant_conv_ks
        z = config.z_channels
        self.quant_conv = nn.Conv2d(z, z, ks, padding=ks // 2)
        self.post_quant_conv = nn.Conv2d(z, z, ks, padding=ks // 2)

    @property
    def codebook(self) -> Tensor:
        """Code vectors ``(V, z)``."""
        return self.quantize.embedding.weight

    def latent(self, images: Tensor) -> Tensor:
        """Latents before quantisation, ``(B, z, H / f, W / f)``."""
        return self.quant_conv(self.encoder(images))

    def encode(self, images: Tensor, schedule: ScaleSchedule | None = None) -> list[Tensor]:
        """Token ids ``[(B, l_k) int64]`` of images.

        Raises:
            VarSpacesError: if the schedule does not end at the latent size of the images.
        """
        return self.encode_latents(images, schedule)[0]

    def encode_latents(
        self, images: Tensor, schedule: ScaleSchedule | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Token ids and ``f_hat`` after every scale."""
        schedule = schedule or self.schedule
        f = self.latent(images)
        if tuple(f.shape[-2:]) != schedule.last:
            h, w = (side * self.downsample for side in schedule.last)
            raise VarSpacesError(
                f"This schedule needs images of {h}x{w} pixels, not "
                f"{images.shape[-2]}x{images.shape[-1]}: resize them or choose another schedule."
            )
        return self.quantize.quantize(f, schedule)

    def new_latent(self, batch: int, schedule: ScaleSchedule, device: torch.device) -> Tensor:
        """An empty ``f_hat``, float32 zeros ``(B, z, H, W)``."""
        return torch.zeros(batch, self.latent_dim, *schedule.last, device=device)

    def embed(self, ids: Tensor) -> Tensor:
        """Code vectors ``(B, l, z)`` of ids ``(B, l)``."""
        return self.quantize.embedding(ids)

    def accumulate(
        self, f_hat: Tensor, codes: Tensor, scale: int, schedule: ScaleSchedule
    ) -> Tensor:
        """``f_hat`` with the codes ``(B, l_k, z)`` of one more scale added."""
        return f_hat + self.quantize.contribution(codes.float(), scale, schedule)

    def next_input(self, f_hat: Tensor, scale: int, schedule: ScaleSchedule) -> Tensor:
        """What the transformer sees at ``scale + 1``: ``(B, l_{k+1}, z)``."""
        return area_pool(f_hat, schedule.sizes[scale + 1]).flatten(2).transpose(1, 2)

    def own_input(self, codes: Tensor, scale: int, schedule: ScaleSchedule) -> Tensor:
        """What the codes ``(B, l_k, z)`` of one scale add, at its own resolution, alike in shape.

        A transformer that predicts some tokens of a scale from the others sees the others so.
        """
        added = self.quantize.contribution(codes.float(), scale, schedule)
        return area_pool(added, schedule.sizes[scale]).flatten(2).transpose(1, 2)

    def own_inputs(self, ids: Sequence[Tensor], schedule: ScaleSchedule | None = None) -> Tensor:
        """:meth:`own_input` of all scales but the first, ``(B, L - l_0, z)`` float32."""
        schedule = schedule or self.schedule
        scales = range(1, schedule.num_scales)
        return torch.cat([self.own_input(self.embed(ids[k]), k, schedule) for k in scales], 1)

    def teacher_forcing(
        self, ids: Sequence[Tensor], schedule: ScaleSchedule | None = None
    ) -> Tensor:
        """Inputs of all scales but the first, ``(B, L - l_0, z)`` float32."""
        schedule = schedule or self.schedule
        f_hat = self.new_latent(ids[0].shape[0], schedule, ids[0].device)
        inputs = []
        for scale in range(schedule.num_scales - 1):
            f_hat = self.accumulate(f_hat, self.embed(ids[scale]), scale, schedule)
            inputs.append(self.next_input(f_hat, scale, schedule))
        if not inputs:
            return f_hat.new_zeros(f_hat.shape[0], 0, self.latent_dim)
        return torch.cat(inputs, dim=1)

    def decode(self, f_hat: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` in [-1, 1] from an accumulated latent."""
        return self.decoder(self.post_quant_conv(f_hat)).clamp(-1, 1)

    def reconstruct(self, images: Tensor, schedule: ScaleSchedule | None = None) -> Tensor:
        """Images after their own tokens.

        Args:
            schedule: of the tokens; None is the model's own in the shape of the images.
        """
        h, w = (side // self.downsample for side in images.shape[-2:])
        schedule = schedule or fitting(self.schedule, h, w)
        return self.decode(self.encode_latents(images, schedule)[1][-1])

    def forward(
        self, images: Tensor, quantized: bool = True, scales: Tensor | None = None
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Training pass: reconstruction (not clamped), VQ loss, ids per scale.

        The decoder sees ``f + stopgrad(f_hat - f)`` (straight-through estimator).

        Args:
            quantized: False trains a plain autoencoder (before the codebook exists).
            scales: ``(B,)`` number of scales, 1..S, the decoder sees of each image; None = all.
        """
        f = self.latent(images).float()
        if not quantized:
            return self.decoder(self.post_quant_conv(f)), f.new_zeros(()), []
        ids, latents = self.quantize.quantize(f, self.schedule)
        f_hat = latents[-1]
        if scales is not None:
            f_hat = torch.stack(latents, 1)[torch.arange(len(f), device=f.device), scales - 1]
        straight = f + (f_hat - f).detach()
        recon = self.decoder(self.post_quant_conv(straight))
        return recon, self.quantize.vq_loss(f, latents), ids
