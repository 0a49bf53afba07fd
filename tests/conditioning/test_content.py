"""Content encoders: how a picture looks, in latents."""

from __future__ import annotations

import sys

import pytest
import torch

from var_spaces import methods
from var_spaces.conditioning import flux_vae
from var_spaces.errors import VarSpacesError


@pytest.fixture
def encoder(tmp_path):
    """A small autoencoder in the layout of FLUX.1."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    network = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[4, 4, 4, 4],
        norm_num_groups=2,
        latent_channels=16,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    network.save_pretrained(tmp_path / "vae")
    flux_vae._loaded.cache_clear()
    yield methods.parse("content_encoder", {"name": "flux-vae", "checkpoint": str(tmp_path)})
    flux_vae._loaded.cache_clear()


def test_flux_latents_are_drawn_once_for_all(encoder):
    """One latent per 8 x 8 pixels, row by row, drawn from the posterior without shift or scale."""
    pictures = torch.rand(2, 3, 16, 24) * 2 - 1
    encode = encoder.load(None, "cpu")
    found = encode(pictures)
    assert found.shape == (2, 2 * 3, 16)
    posterior = flux_vae._loaded(encoder.checkpoint, "cpu").encode(pictures).latent_dist
    drawn = posterior.mean + posterior.std * torch.randn(
        posterior.mean.shape, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(found, drawn.flatten(2).transpose(1, 2))
    assert torch.equal(found, encode(pictures))
    assert flux_vae._loaded.cache_info().misses == 1  # not read again for the next picture


def test_flux_latents_without_weights(tmp_path):
    where = str(tmp_path / "x")
    encoder = methods.parse("content_encoder", {"name": "flux-vae", "checkpoint": where})
    with pytest.raises(VarSpacesError, match="cannot be loaded from"):
        encoder.load(None, "cpu")


def test_flux_latents_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    encoder = methods.parse("content_encoder", {"name": "flux-vae", "checkpoint": str(tmp_path)})
    with pytest.raises(VarSpacesError, match=r"pip install 'var-spaces\[echogen\]'"):
        encoder.load(None, "cpu")


def test_weights_that_are_pickled_are_not_read(tmp_path):
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    torch.save({}, tmp_path / "vae" / "diffusion_pytorch_model.bin")
    encoder = methods.parse("content_encoder", {"name": "flux-vae", "checkpoint": str(tmp_path)})
    with pytest.raises(VarSpacesError, match="cannot be loaded from"):
        encoder.load(None, "cpu")
