"""What the golden fixtures do not say about the residual VQ tokenizer."""

from __future__ import annotations

import pytest
import torch

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.residual_vq import ResidualVQ, ResidualVQConfig

TINY = ResidualVQConfig(
    ch=16,
    ch_mult=(1, 2),
    num_res_blocks=1,
    z_channels=4,
    vocab_size=16,
    patch_nums=(1, 2, 4),
    norm_groups=8,
    stem_patch=2,
)


@pytest.fixture
def model() -> ResidualVQ:
    torch.manual_seed(0)
    return ResidualVQ(TINY)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_published_parameter_count():
    with torch.device("meta"):
        model = ResidualVQ(ResidualVQConfig())
    assert sum(p.numel() for p in model.parameters()) == 108_948_355


def test_stem_patch_shapes(model, images):
    assert model.downsample == 4
    assert model.latent(images).shape == (2, 4, 4, 4)
    assert model.reconstruct(images).shape == images.shape


def test_gradients_reach_every_part(model, images):
    recon, vq_loss, _ = model(images)
    (recon.square().mean() + vq_loss).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().any()]
    # With few scales some of the four shared convolutions have no scale of their own.
    assert all("qresi_ls" in name for name in silent), silent


def test_decoder_sees_only_the_scales_it_is_given(model, images):
    model.eval()
    with torch.no_grad():
        _, latents = model.encode_latents(images)
        recon, _, _ = model(images, scales=torch.tensor([1, 3]))
        expected = model.decoder(model.post_quant_conv(torch.stack([latents[0][0], latents[2][1]])))
    torch.testing.assert_close(recon, expected, atol=1e-5, rtol=1e-5)


def test_plain_autoencoder_pass_has_no_tokens(model, images):
    recon, vq_loss, ids = model(images, quantized=False)
    assert recon.shape == images.shape
    assert vq_loss == 0
    assert ids == []


def test_non_square_schedules(model):
    schedule = ScaleSchedule(((1, 1), (2, 3), (4, 6)))
    wide = torch.zeros(1, 3, 16, 24)
    ids = model.encode(wide, schedule)
    assert [i.shape[1] for i in ids] == [1, 6, 24]


def test_wrong_image_size_is_refused(model):
    with pytest.raises(VarSpacesError, match="needs images of 16x16 pixels, not 32x32"):
        model.encode(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("change", "message"), [({"vocab_size": 1}, "at least 2"), ({"norm_groups": 7}, "multiples")]
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises(VarSpacesError, match=message):
        ResidualVQConfig(**{**TINY.__dict__, **change})


def test_accumulate_leaves_its_input_alone(model):
    f_hat = model.new_latent(1, model.schedule, torch.device("cpu"))
    model.accumulate(f_hat, torch.ones(1, 1, 4), 0, model.schedule)
    assert not f_hat.any()
