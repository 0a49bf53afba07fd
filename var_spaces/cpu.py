"""When products on a CPU may be computed in another order than torch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def is_plain(x: Tensor, weight: Tensor) -> bool:
    """Whether both are float32 on the CPU, no gradient is recorded and no autocast is on."""
    import torch

    return (
        x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )
