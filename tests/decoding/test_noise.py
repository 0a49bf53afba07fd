import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from var_spaces.decoding.loop import device_noise
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


KEYS = [(1, 0, 0, 0, 0), (7, 3, 1, 5, 2), (2**63 - 1, 2**40, 0, 0, 0)]


@pytest.mark.parametrize("count", [1, 8, 1003])
def test_any_device_makes_the_same_bits(count):
    keys = torch.tensor([device_noise.signed_key(generator(*key)) for key in KEYS])
    want = np.stack([uniform(generator(*key), count) for key in KEYS])
    np.testing.assert_array_equal(device_noise.uniform(keys, count).numpy(), want)


def test_noise_of_a_device_has_the_bits_of_the_host():
    # the rule of other devices, run on this one: equal logarithms, so equal noise
    rows = [Row(0), Row(4, 1)]
    keys = [generator(3, row.image, row.slot, 2, 1) for row in rows]
    noise = device_noise.gumbel(keys, 5 * 7, torch.device("cpu")).view(2, 5, 7)
    assert torch.equal(noise, SeededNoise(3).gumbel(rows, 2, 1, 5, 7))


INTERPRETED = """
import torch
from var_spaces.decoding.loop import device_noise
from var_spaces.decoding.loop.noise import generator, gumbel_noise
from var_spaces.decoding.loop.noise_kernel import gumbel_kernel
keys = [(1, 0, 0, 0, 0), (7, 3, 1, 5, 2), (2**63 - 1, 2**40, 0, 0, 0)]
both = torch.tensor([device_noise.signed_key(generator(*key)) for key in keys])
got = device_noise.launch(gumbel_kernel, both, 1003, block=32)
want = gumbel_noise([generator(*key) for key in keys], 1, 1003)[:, 0]
torch.testing.assert_close(got, want, rtol=0, atol=2e-6)
"""


def test_the_kernel_makes_the_same_noise():
    pytest.importorskip("triton")
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", INTERPRETED], check=True, env=environment)


@pytest.mark.cuda
def test_the_kernel_makes_the_same_noise_on_a_gpu():
    rows = [Row(0), Row(9, 2)]
    got = SeededNoise(5, torch.device("cuda")).gumbel(rows, 1, 0, 680, 4096)
    want = SeededNoise(5).gumbel(rows, 1, 0, 680, 4096)
    torch.testing.assert_close(got.cpu(), want, rtol=0, atol=2e-5)
