"""Loads a generator block by block onto several places, with accelerate's hooks.

The hooks bring a block's weights, or its inputs, to where it runs. Backbones also call a few
methods of their blocks directly (``calls``), so those get the same treatment. Runs share the
module, and a block that came from a store leaves again when its call ends; so one call runs at a
time.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any

import torch
from torch import nn

from var_spaces.zoo.placement import DISK, Placement

Fill = Callable[[str, str | torch.device], None]


def fill_and_dispatch(
    module: nn.Module, where: Mapping[str, str], placement: Placement, fill: Fill
) -> nn.Module:
    """Load a module without memory and make it run.

    Args:
        where: place of every block, see :func:`placement.spread`.
        fill: loads all tensors whose keys start with a prefix onto a device.
    """
    folder = tempfile.mkdtemp(prefix="var-spaces-") if DISK in where.values() else None
    if folder:
        weakref.finalize(module, shutil.rmtree, folder, True)
    index: dict[str, Any] = {}
    for name, place in where.items():
        fill(f"{name}.", "cpu" if place == DISK else place)
        if place == DISK:
            _to_disk(module, name, folder, index)
    fill("", placement.main)
    _move_buffers(module, where, placement.main)
    module.eval().requires_grad_(False)
    if set(where.values()) <= {str(placement.main)}:
        return module
    _dispatch(module, where, placement.main, folder, index)
    return module


def _to_disk(module: nn.Module, name: str, folder: str, index: dict[str, Any]) -> None:
    """Write the tensors of a block and leave their shapes."""
    from accelerate.utils import offload_weight, set_module_tensor_to_device

    block = module.get_submodule(name)
    tensors = [*block.named_parameters(), *block.named_buffers()]
    for key, tensor in tensors:
        offload_weight(tensor.detach(), f"{name}.{key}", folder, index)
        set_module_tensor_to_device(block, key, "meta")


def _move_buffers(module: nn.Module, where: Mapping[str, str], device: torch.device) -> None:
    """Buffers that are computed, not loaded, of all that is no block."""
    blocks = tuple(f"{name}." for name in where)
    for name, part in module.named_modules():
        if not f"{name}.".startswith(blocks):
            for key, buffer in part.named_buffers(recurse=False):
                part._buffers[key] = buffer.to(device)


def _dispatch(
    module: nn.Module,
    where: Mapping[str, str],
    main: torch.device,
    folder: str | None,
    index: Mapping[str, Any],
) -> None:
    from accelerate import dispatch_model
    from accelerate.utils import save_offload_index

    if folder:
        save_offload_index(index, folder)
    blocks = tuple(f"{name}." for name in where)
    rest = {key for key in module.state_dict() if not key.startswith(blocks)}
    kinds = {type(module.get_submodule(name)).__name__ for name in where}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that some keys are tensors, not modules
        dispatch_model(
            module,
            {**where, **dict.fromkeys(rest, str(main))},
            main_device=str(main),
            offload_dir=folder,
            offload_buffers=True,
            preload_module_classes=sorted(kinds),
        )
    if main.type != "cpu":
        held = [module.get_submodule(name).state_dict() for name in where if where[name] == "cpu"]
        stored = sum(t.numel() * t.element_size() for state in held for t in state.values())
        module.stored_bytes = stored
    lock = RLock()
    for name in where:
        _guard(module.get_submodule(name), main, lock)


def _guard(block: Any, main: torch.device, lock: RLock) -> None:
    """Have direct calls of a block go through its hook, and one call at a time."""
    from accelerate.utils import send_to_device

    def through_hook(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with lock:
                args, kwargs = block._hf_hook.pre_forward(block, *args, **kwargs)
                out = block._hf_hook.post_forward(block, method(*args, **kwargs))
                return send_to_device(out, main)

        return call

    def locked(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with lock:
                return method(*args, **kwargs)

        return call

    for name in getattr(block, "calls", ()):
        setattr(block, name, through_hook(getattr(block, name)))
    block.forward = locked(block.forward)
