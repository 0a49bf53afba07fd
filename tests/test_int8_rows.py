"""Matrices in eight bits: close, smaller, and refused where they do not fit together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from var_spaces.errors import VarSpacesError
from var_spaces.int8_rows import LARGEST, packed, unpacked
from var_spaces.zoo.weight_files import read_state


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), power=st.floats(-6, 4), kernel=st.booleans())
def test_every_weight_is_within_half_a_step(seed, power, kernel):
    generator = torch.Generator().manual_seed(seed)
    shape = (8, 16, 3, 3) if kernel else (32, 40)
    tensor = torch.randn(shape, generator=generator) * 10**power
    codes = packed({"w": tensor})
    assert codes["w"].dtype == torch.int8
    back = unpacked(codes)["w"]
    step = codes["w" + LARGEST].float().view(-1, *[1] * (tensor.ndim - 1)) / 127
    # the magnitudes have ten bits of their own, or fewer where float16 runs out of them
    assert ((back - tensor).abs() <= 0.6 * step + 2**-24).all()


def test_small_tensors_and_whole_numbers_stay():
    state = {
        "bias": torch.randn(4096),
        "small": torch.randn(4, 4),
        "index": torch.ones(64, 64).int(),
    }
    assert all(packed(state)[key] is value for key, value in state.items())


def test_rows_of_zeros_are_zeros():
    assert not unpacked(packed({"w": torch.zeros(64, 64)}))["w"].any()


@pytest.mark.parametrize(
    "state",
    [
        {"w.row_max": torch.ones(3)},
        {"w": torch.ones(3, 2), "w.row_max": torch.ones(3)},
        {"w": torch.ones(3, 2).to(torch.int8), "w.row_max": torch.ones(2)},
        {"w": torch.ones(3, 2).to(torch.int8), "w.row_max": torch.ones(3, 1)},
    ],
)
def test_magnitudes_without_their_codes_are_refused(state, tmp_path):
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(VarSpacesError, match="weight file is damaged"):
        read_state([tmp_path / "model.safetensors"])
