"""Bitwise multi-scale tokenizer of Infinity (https://arxiv.org/abs/2412.04431, §3.2).

Each position of a token map is *d* bits: the signs of what the scales before it left over of the
latent, on the unit sphere (binary spherical quantisation, https://arxiv.org/abs/2406.07548). There
is no codebook, so nothing is learned between encoder and decoder.

With ``patchify`` (the 8B model) quantisation runs on a grid of twice the height and width, and a
token holds the 2x2 positions of that grid: channel ``c * 4 + dy * 2 + dx`` is bit ``c`` of position
``(2y + dy, 2x + dx)``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.steps import fitting
from var_spaces.tokenizers.autoencoder import Decoder, Encoder, NetworkSizes, area_pool
from var_spaces.tokenizers.flux_autoencoder import full_keys, wrap_layers

# (scale, bits (B, h, w, d) bool) -> bits to accumulate in their place
ChangeBits = Callable[[int, Tensor], Tensor]


@dataclass(frozen=True)
class BitwiseConfig:
    """Sizes of a bitwise tokenizer; the defaults are the published ``infinity_vae_d32reg``.

    Args:
        ch, ch_mult, num_res_blocks: widths and depth of the autoencoder.
        bits: bits *d* of a latent position, 1..64.
        patchify: a token holds 2x2 latent positions.
        patch_nums: side of the token map of every scale, coarse to fine.
        stem_patch: pixel (un)shuffle factor around the network; 1 in published models.
        norm_groups: groups of the group norms; 24 where it does not divide a width.
    """

    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 2, 4, 4, 4)
    num_res_blocks: int = 2
    bits: int = 32
    patchify: bool = False
    patch_nums: tuple[int, ...] = (1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64)
    in_channels: int = 3
    stem_patch: int = 1
    norm_groups: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "ch_mult", tuple(self.ch_mult))
        object.__setattr__(self, "patch_nums", tuple(self.patch_nums))
        if not 1 <= self.bits <= 64:
            raise VarSpacesError(f"A latent position has 1 to 64 bits, not {self.bits}.")
        widths = {self.ch * mult for mult in (1, *self.ch_mult)}
        if any(width % self.norm_groups and width % 24 for width in widths):
            raise VarSpacesError(
                f"Tokenizer widths {self.ch} x {self.ch_mult} must be multiples of "
                f"norm_groups={self.norm_groups}, or of 24."
            )

    @classmethod
    def published(cls, name: str) -> BitwiseConfig:
        """A published tokenizer: d16, d24, d32, d32reg, d64 or d56_f8_14_patchify."""
        if name == "d56_f8_14_patchify":
            return cls(ch_mult=(1, 2, 4, 4), bits=14, patchify=True)
        sizes = {"d16": 16, "d24": 24, "d32": 32, "d32reg": 32, "d64": 64}
        if name not in sizes:
            listed = ", ".join((*sizes, "d56_f8_14_patchify"))
            raise VarSpacesError(f"No bitwise tokenizer '{name}' was published; choose {listed}.")
        return cls(bits=sizes[name])

    @property
    def fold(self) -> int:
        """Latent positions along the side of a token, 1 or 2."""
        return 2 if self.patchify else 1

    @property
    def token_bits(self) -> int:
        """Bits of a token."""
        return self.bits * self.fold**2

    @property
    def downsample(self) -> int:
        """Pixels along the side of a token of the last scale."""
        return NetworkSizes.of(self, z_channels=self.bits).downsample * self.fold


class Quantized(NamedTuple):
    """Bits ``[(B, l_k, token bits)]`` int64 and ``f_hat (B, d, H, W)`` after every scale."""

    bits: list[Tensor]
    latents: list[Tensor]


class Bitwise(nn.Module):
    """Images ``(B, 3, H, W)`` in [-1, 1] <-> bits of every token; parameter names as published.

    Ids are ``(B, l, n)`` int64 in {0, 1} with ``n`` bits per token.
    """

    vocab_size = 2  # values of one bit
    # Nothing of the quantiser is learned; files keep powers of two and codebooks of it.
    ignored_keys = (r"quantizer?\..*",)
    ignores_unknown = True  # as the public loader; what is missing is refused all the same

    def __init__(self, config: BitwiseConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule = ScaleSchedule.square(config.patch_nums)
        self.bits, self.fold = config.bits, config.fold
        self.latent_dim = config.token_bits
        self.downsample = config.downsample
        sizes = NetworkSizes.of(config, z_channels=config.bits, attention=False)
        self.encoder = wrap_layers(Encoder(sizes))
        self.decoder = wrap_layers(Decoder(sizes))
        self.input_mode = "bilinear"

    def adapt_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict as this module spells it; of trainers' files only the autoencoder is taken.

        Args:
            state: keys with or without the wrappers' segments (see ``flux_autoencoder.py``).
        """
        own = ("encoder.", "decoder.", "quantize")
        return full_keys({key: value for key, value in state.items() if key.startswith(own)})

    # --- images to bits -------------------------------------------------------------------------

    def latent(self, images: Tensor) -> Tensor:
        """Latents before quantisation, ``(B, d, H, W)``."""
        return self.encoder(images)

    def encode(self, images: Tensor, schedule: ScaleSchedule | None = None) -> list[Tensor]:
        """Bits ``[(B, l_k, n) int64]`` of images.

        Raises:
            VarSpacesError: if the schedule does not end at the latent size of the images.
        """
        return self.encode_latents(images, schedule).bits

    def encode_latents(self, images: Tensor, schedule: ScaleSchedule | None = None) -> Quantized:
        """Bits and ``f_hat`` after every scale."""
        schedule = schedule or self.schedule
        f = self.latent(images)
        if tuple(f.shape[-2:]) != self.grid(schedule, -1):
            h, w = (side * self.downsample for side in schedule.last)
            raise VarSpacesError(
                f"This schedule needs images of {h}x{w} pixels, not "
                f"{images.shape[-2]}x{images.shape[-1]}: resize them or choose another schedule."
            )
        return self.quantize(f, schedule)

    def quantize(
        self, f: Tensor, schedule: ScaleSchedule, change: ChangeBits | None = None
    ) -> Quantized:
        """Quantise latents scale by scale.

        Args:
            f: ``(B, d, H, W)`` at the size of the last scale.
            change: replaces the bits that are accumulated; the bits returned stay those of the
                residual, so later scales learn to repair the change (bitwise self-correction).
        """
        rest = f.detach().float()
        f_hat = torch.zeros_like(rest)
        bits, latents = [], []
        for scale in range(schedule.num_scales):
            signs = self.signs(rest, scale, schedule)
            bits.append(self.to_tokens(signs))
            if change is not None:
                signs = change(scale, signs.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            part = self._resize(self._codes(signs), schedule, -1)
            f_hat = f_hat + part
            rest = rest - part
            latents.append(f_hat)
        return Quantized(bits, latents)

    def sphere(self, rest: Tensor, scale: int, schedule: ScaleSchedule) -> Tensor:
        """What is left over, ``(B, d, H, W)``, at the size of a scale and on the unit sphere."""
        return F.normalize(area_pool(rest, self.grid(schedule, scale)), dim=1)

    def signs(self, rest: Tensor, scale: int, schedule: ScaleSchedule) -> Tensor:
        """Bits ``(B, d, h, w)`` bool of a residual; 0 counts as negative."""
        return self.sphere(rest, scale, schedule) > 0

    # --- bits to images -------------------------------------------------------------------------

    def new_latent(self, batch: int, schedule: ScaleSchedule, device: torch.device) -> Tensor:
        """An empty ``f_hat``, float32 zeros ``(B, d, H, W)``."""
        return torch.zeros(batch, self.bits, *self.grid(schedule, -1), device=device)

    def embed(self, ids: Tensor) -> Tensor:
        """Codes of bits, both ``(B, l, n)``: -1 or +1 over the root of *d*."""
        return self._codes(ids)

    def accumulate(
        self, f_hat: Tensor, codes: Tensor, scale: int, schedule: ScaleSchedule
    ) -> Tensor:
        """``f_hat`` with the codes ``(B, l_k, n)`` of one more scale added."""
        maps = codes.float().transpose(1, 2).unflatten(2, schedule.sizes[scale])
        return f_hat + self._resize(F.pixel_shuffle(maps, self.fold), schedule, -1)

    def next_input(self, f_hat: Tensor, scale: int, schedule: ScaleSchedule) -> Tensor:
        """What the transformer sees at ``scale + 1``: ``(B, l_{k+1}, n)``."""
        if self.input_mode == "area":
            return self.to_tokens(area_pool(f_hat, self.grid(schedule, scale + 1)))
        return self.to_tokens(self._resize(f_hat, schedule, scale + 1))

    def with_inputs(self, mode: str) -> Self:
        """The same tokenizer, sharing its weights, whose inputs of the next scale are resized in
        another way: "bilinear", or "area" (average pooling)."""
        shell = copy.copy(self)
        shell.input_mode = mode
        return shell

    def inputs(self, latents: Sequence[Tensor], schedule: ScaleSchedule) -> Tensor:
        """Inputs of all scales but the first, ``(B, L - l_0, n)``, from ``f_hat`` after each."""
        last = schedule.num_scales - 1
        parts = [self.next_input(latents[k], k, schedule) for k in range(last)]
        empty = latents[0].new_zeros(latents[0].shape[0], 0, self.latent_dim)
        return torch.cat([empty, *parts], dim=1)

    def teacher_forcing(
        self, ids: Sequence[Tensor], schedule: ScaleSchedule | None = None
    ) -> Tensor:
        """Inputs of all scales but the first, ``(B, L - l_0, n)`` float32, from bits."""
        schedule = schedule or self.schedule
        f_hat = self.new_latent(ids[0].shape[0], schedule, ids[0].device)
        latents = []
        for scale, bits in enumerate(ids):
            f_hat = self.accumulate(f_hat, self.embed(bits), scale, schedule)
            latents.append(f_hat)
        return self.inputs(latents, schedule)

    def decode(self, f_hat: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` in [-1, 1] from an accumulated latent."""
        return self.decoder(f_hat).clamp(-1, 1)

    def reconstruct(self, images: Tensor, schedule: ScaleSchedule | None = None) -> Tensor:
        """Images after their own tokens.

        Args:
            schedule: of the tokens; None is the model's own in the shape of the images.
        """
        h, w = (side // self.downsample for side in images.shape[-2:])
        schedule = schedule or fitting(self.schedule, h, w)
        return self.decode(self.encode_latents(images, schedule).latents[-1])

    # --- grids ----------------------------------------------------------------------------------

    def grid(self, schedule: ScaleSchedule, scale: int) -> tuple[int, int]:
        """Latent positions ``(h, w)`` of a scale; -1 is the last."""
        h, w = schedule.sizes[scale]
        return h * self.fold, w * self.fold

    def _codes(self, bits: Tensor) -> Tensor:
        return (bits.float() * 2 - 1) / math.sqrt(self.bits)

    def _resize(self, maps: Tensor, schedule: ScaleSchedule, scale: int) -> Tensor:
        """Bilinear without antialiasing, up and down alike."""
        size = self.grid(schedule, scale)
        if tuple(maps.shape[-2:]) == size:
            return maps
        return F.interpolate(maps, size=size, mode="bilinear")

    def to_tokens(self, maps: Tensor) -> Tensor:
        """Maps ``(B, d, h, w)`` to tokens ``(B, l, n)``; bits become int64."""
        maps = maps.long() if maps.dtype == torch.bool else maps
        return F.pixel_unshuffle(maps, self.fold).flatten(2).transpose(1, 2)

    def forward(
        self, images: Tensor, scales: Tensor | None = None, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Training pass: reconstruction (not clamped), commitment, entropy, bits per scale.

        The decoder sees ``f + stopgrad(f_hat - f)`` (straight-through estimator).

        Args:
            scales: ``(B,)`` number of scales, 1..S, the decoder sees of each image; None = all.
            temperature: of the soft bits in the entropy term.

        Returns:
            The entropy term is mean entropy of a soft bit minus entropy of its mean, in nats (BSQ,
            eq. 9, bits independent): small when bits are decided and used equally often.
        """
        f = self.latent(images).float()
        bits, latents = self.quantize(f, self.schedule)
        f_hat = latents[-1]
        if scales is not None:
            f_hat = torch.stack(latents, 1)[torch.arange(len(f), device=f.device), scales - 1]
        recon = self.decoder(f + (f_hat - f).detach())
        commitment = torch.stack([F.mse_loss(f, latent) for latent in latents]).mean()
        before = [torch.zeros_like(f), *latents[:-1]]
        entropy = torch.stack(
            [
                bit_entropy(self.sphere(f - latent, k, self.schedule), self.bits, temperature)
                for k, latent in enumerate(before)
            ]
        ).mean()
        return recon, commitment, entropy, bits


def bit_entropy(u: Tensor, bits: int, temperature: float) -> Tensor:
    """``E[H(p)] - H(E[p])`` in nats per bit, with ``p = sigmoid(4 u / (sqrt(d) temperature))``.

    Args:
        u: points ``(B, d, h, w)`` on the unit sphere.
    """
    p = torch.sigmoid(4 * u / (math.sqrt(bits) * temperature))
    return _binary_entropy(p).mean() - _binary_entropy(p.mean(dim=(0, 2, 3))).mean()


def _binary_entropy(p: Tensor) -> Tensor:
    p = p.clamp(1e-6, 1 - 1e-6)
    return -(p * p.log() + (1 - p) * (1 - p).log())
