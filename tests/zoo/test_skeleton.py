import subprocess
import sys

import pytest
import torch
from torch import nn

from var_spaces.zoo.skeleton import skeleton


def build():
    layer = nn.Sequential(nn.Linear(3, 4), nn.Embedding(5, 6), nn.Conv2d(3, 8, 3))
    nn.init.trunc_normal_(layer[0].weight)
    layer[1].weight.data.normal_().mul_(2).div_(3)
    layer.register_buffer("table", torch.arange(3, device="cpu").float().mul_(2))
    return layer


def test_parameters_have_shapes_and_no_memory():
    module = skeleton(build)
    assert all(parameter.is_meta for parameter in module.parameters())
    assert {k: v.shape for k, v in module.state_dict().items()} == {
        k: v.shape for k, v in build().state_dict().items()
    }


def test_real_tensors_are_filled_as_ever():
    assert skeleton(build).table.tolist() == [0, 2, 4]
    assert torch.zeros(2).normal_().abs().sum() > 0
    assert not nn.Linear(2, 2).weight.is_meta


@pytest.mark.usefixtures("use_tiny_models")
def test_loading_and_drawing_load_no_compiler():
    code = (
        "import sys, var_spaces; var_spaces.generate(model='tiny-var');"
        "sys.exit(any(name in sys.modules for name in ('torch._dynamo', 'sympy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
