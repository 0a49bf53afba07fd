import numpy as np
import pytest
import torch

from var_spaces.decoding.loop.noise import Row, SeededNoise, generator, uniform

FIRST_OF_42 = [0.07539612054824829, 0.6901853680610657, 0.5224785208702087]


def test_noise_belongs_to_the_image():
    noise = SeededNoise(7)
    batch = noise.gumbel([Row(0), Row(5), Row(2)], 3, 0, 4, 9)
    assert batch.shape == (3, 4, 9) and batch.dtype == torch.float32
    assert torch.equal(batch[1:2], noise.gumbel([Row(5)], 3, 0, 4, 9))


@pytest.mark.parametrize(
    "other",
    [(8, 1, 0, 0, 0), (7, 2, 0, 0, 0), (7, 1, 1, 0, 0), (7, 1, 0, 1, 0), (7, 1, 0, 0, 1)],
)
def test_seed_image_slot_scale_and_part_each_change_the_noise(other):
    assert (uniform(generator(7, 1), 8) != uniform(generator(*other), 8)).all()


def test_seeds_that_agree_in_32_bits_differ():
    assert (uniform(generator(1, 0), 8) != uniform(generator(1 + 2**32, 0), 8)).all()


def test_the_rule_is_fixed_for_ever():
    # Pictures of old specs depend on these numbers: they may not change.
    got = uniform(generator(seed=42, image=3, slot=0, scale=2, part=0), 3)
    np.testing.assert_array_equal(got, np.array(FIRST_OF_42, np.float32))


def test_uniform_numbers_are_inside_the_open_interval_and_even():
    u = uniform(generator(0, 0), 1_000_001)
    assert u.dtype == np.float32 and len(u) == 1_000_001
    assert u.min() > 0 and u.max() < 1
    assert abs(u.mean() - 0.5) < 1e-3 and abs(u.std() - 12**-0.5) < 1e-3


def test_argmax_with_gumbel_noise_draws_from_the_softmax():
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    noise = SeededNoise(1).gumbel([Row(0)], 0, 0, 100_000, 4)[0]
    counts = (logits + noise).argmax(-1).bincount(minlength=4) / 100_000
    torch.testing.assert_close(counts, logits.softmax(0), atol=0.005, rtol=0)
