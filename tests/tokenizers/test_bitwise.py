"""Bitwise tokenizer: schedules of any shape, gradients, refusals."""

from __future__ import annotations

import pytest
import torch

from var_spaces.errors import VarSpacesError
from var_spaces.schedule import ScaleSchedule
from var_spaces.tokenizers.bitwise import Bitwise, BitwiseConfig, bit_entropy

TINY = dict(ch=16, ch_mult=(1, 2), num_res_blocks=1, bits=6, norm_groups=8, patch_nums=(1, 2, 4))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "patchify"])
def tokenizer(request) -> Bitwise:
    torch.manual_seed(0)
    return Bitwise(BitwiseConfig(**TINY, patchify=request.param)).eval()


def test_widths_that_the_groups_do_not_divide_have_24():
    model = Bitwise(BitwiseConfig(ch=48, ch_mult=(1, 2), num_res_blocks=1, bits=6, norm_groups=32))
    norms = [layer for layer in model.modules() if isinstance(layer, torch.nn.GroupNorm)]
    found = {(norm.num_channels, norm.num_groups, norm.eps) for norm in norms}
    assert found == {(48, 24, 1e-6), (96, 32, 1e-6)}


def test_any_shape(tokenizer):
    schedule = ScaleSchedule(((1, 1), (2, 1), (6, 3)))
    side = tokenizer.downsample
    images = torch.rand(2, 3, 6 * side, 3 * side) * 2 - 1
    bits, latents = tokenizer.encode_latents(images, schedule)
    n = tokenizer.latent_dim
    assert [tuple(b.shape) for b in bits] == [(2, 1, n), (2, 2, n), (2, 18, n)]
    assert set(torch.cat(bits, 1).unique().tolist()) <= {0, 1}
    assert tokenizer.decode(latents[-1]).shape == images.shape

    f_hat = tokenizer.new_latent(2, schedule, torch.device("cpu"))
    inputs = []
    for k in range(3):
        before = f_hat.clone()
        grown = tokenizer.accumulate(f_hat, tokenizer.embed(bits[k]), k, schedule)
        assert torch.equal(f_hat, before), "accumulate must not change its input"
        f_hat = grown
        torch.testing.assert_close(f_hat, latents[k])
        if k < 2:
            inputs.append(tokenizer.next_input(f_hat, k, schedule))
    torch.testing.assert_close(torch.cat(inputs, 1), tokenizer.teacher_forcing(bits, schedule))


def test_pictures_that_are_not_square(tokenizer):
    """By default the model's own schedule in the shape of the picture."""
    side = tokenizer.downsample
    images = torch.rand(2, 3, 4 * side, 6 * side) * 2 - 1
    given = ScaleSchedule(((1, 1), (2, 3), (4, 6)))
    recon = tokenizer.reconstruct(images)
    assert recon.shape == images.shape
    assert torch.equal(recon, tokenizer.reconstruct(images, given))
    square = torch.rand(1, 3, 4 * side, 4 * side)
    assert torch.equal(
        tokenizer.reconstruct(square), tokenizer.reconstruct(square, tokenizer.schedule)
    )


def test_one_scale_has_no_inputs(tokenizer):
    schedule = ScaleSchedule(((4, 4),))
    side = tokenizer.downsample * 4
    bits = tokenizer.encode(torch.zeros(1, 3, side, side), schedule)
    assert tokenizer.teacher_forcing(bits, schedule).shape == (1, 0, tokenizer.latent_dim)


def test_wrong_size_is_refused(tokenizer):
    with pytest.raises(VarSpacesError, match="needs images of"):
        tokenizer.encode(torch.zeros(1, 3, 24, 24))


def test_training_pass():
    torch.manual_seed(0)
    model = Bitwise(BitwiseConfig(**TINY))
    images = torch.rand(3, 3, 8, 8) * 2 - 1
    recon, commitment, entropy, bits = model(images, scales=torch.tensor([1, 2, 3]))
    (recon.square().mean() + commitment + entropy).backward()
    assert recon.shape == images.shape
    assert len(bits) == 3
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_entropy_wants_decided_and_balanced_bits():
    d = 4
    decided = torch.randint(2, (64, d, 4, 4)).float().mul(2).sub(1).div(d**0.5)
    undecided, constant = decided * 1e-3, torch.ones_like(decided) / d**0.5
    sharp, soft, same = (bit_entropy(u, d, 0.1).item() for u in (decided, undecided, constant))
    assert sharp == pytest.approx(-0.693, abs=0.01)
    assert soft == pytest.approx(0, abs=0.01)
    assert same == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"bits": 65}, "1 to 64 bits"), ({"ch": 20}, "multiples of norm_groups")],
)
def test_bad_sizes(change, words):
    with pytest.raises(VarSpacesError, match=words):
        BitwiseConfig(**{**TINY, **change})


def test_unknown_published_name():
    with pytest.raises(VarSpacesError, match="d32reg"):
        BitwiseConfig.published("d33")
