"""A new network that begins with what a trained one has of the same name and shape."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.flux_autoencoder import short_key

AUTOENCODER = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")


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


def take_autoencoder(model: nn.Module, start: nn.Module) -> None:
    """Begin with the autoencoder of another tokenizer, VQ or bitwise, where layers are the same.

    Of what the other one does not have, attention adds nothing at first, and convolutions around
    the codebook pass on what they get.

    Raises:
        VarSpacesError: if the two networks have no layer in common.
    """
    own = {short_key(name): name for name in model.state_dict()}
    theirs = {short_key(name): weight for name, weight in start.state_dict().items()}
    given = {own[k]: w for k, w in theirs.items() if k in own and k.startswith(AUTOENCODER)}
    taken = take_matching(model, given, "tokenizer", "give both the same ch and ch_mult")
    for name, layer in model.named_modules():
        if f"{name}.weight" not in taken and name.endswith(("proj_out", "quant_conv")):
            initial = nn.init.zeros_ if name.endswith("proj_out") else nn.init.dirac_
            initial(layer.weight)
            nn.init.zeros_(layer.bias)
