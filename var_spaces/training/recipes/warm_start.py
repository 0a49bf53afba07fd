"""A new network that begins with what a trained one has of the same name and shape."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from var_spaces.errors import VarSpacesError


def take_matching(model: nn.Module, state: Mapping[str, Tensor], what: str, hint: str) -> list[str]:
    """Copy the weights of ``state`` that ``model`` has too.

    Args:
        what, hint: how a refusal names the trained model, and what it advises.

    Returns:
        The names of what was copied.

    Raises:
        VarSpacesError: if the two have no matrix in common.
    """
    own = model.state_dict()
    shared = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    if not any(sum(size > 1 for size in weight.shape) > 1 for weight in shared.values()):
        raise VarSpacesError(
            f"The {what} to start from has no layer of the same name and shape: {hint}, or leave "
            "'start' out."
        )
    model.load_state_dict(shared, strict=False)
    return list(shared)
