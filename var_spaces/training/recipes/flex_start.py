"""FlexVAR's models that begin with the weights of trained VAR models.

The tokenizer keeps the latents of a residual one (lifted by one channel), so the transformer can
read its inputs as VAR's does: a map of codes is about what VAR adds up to in ``f_hat``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from var_spaces.backbones.flexvar import FlexVAR
from var_spaces.backbones.var import VAR
from var_spaces.errors import VarSpacesError
from var_spaces.tokenizers.flex_vq import FlexVQ
from var_spaces.tokenizers.residual_vq import ResidualVQ

DISTANCE = 3.0  # of the constant channel, in typical lengths of a latent
FITTED_TOKENS = 4096
TEMPERATURES = [2.0**-k for k in range(8)]


def flex_keys(state: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """The weights of an :class:`Encoder` and a :class:`Decoder` under the names used here.

    Args:
        state: a state dict with keys ``encoder.*`` and ``decoder.*``; other keys are dropped.
        levels: resolutions of the network, ``len(ch_mult)``.
    """
    middles = {"block_1": "0", "attn_1": "1", "block_2": "2"}
    found = {}
    for key, value in state.items():
        side, *names = key.split(".")
        if side not in ("encoder", "decoder"):
            continue
        if names[0] in ("down", "up"):
            number = int(names[1])
            names[:2] = ["conv_blocks", str(number if side == "encoder" else levels - 1 - number)]
            names = ["res" if name == "block" else name for name in names]
        elif names[0] == "mid":
            names[1] = middles[names[1]]
        if "qkv" in names:
            place = names.index("qkv")
            for name, part in zip("qkv", value.chunk(3), strict=True):
                found[".".join([side, *names[:place], name, *names[place + 1 :]])] = part
        else:
            found[".".join([side, *names])] = value
    return found


@torch.no_grad()
def start_from(model: FlexVQ, trained: ResidualVQ, images: Tensor) -> None:
    """Give ``model`` the autoencoder of a trained residual tokenizer, quantisation included.

    The codebook of ``model`` knows directions only, latents of the other have a length too. So a
    latent ``f`` becomes ``(f, c)`` with one more channel, constant and larger than ``f``: between
    directions of such vectors distances are almost those between the latents themselves.

    Args:
        images: some training images ``(B, 3, H, W)``, from which ``c`` is measured.

    Raises:
        VarSpacesError: if the networks do not match.
    """
    ours, theirs = model.config, trained.config
    names = ("ch", "ch_mult", "num_res_blocks", "z_channels", "stem_patch", "norm_groups")
    wanted = {name: getattr(theirs, name) for name in (*names, "quant_conv_ks")}
    wanted["latent_dim"] = theirs.z_channels + 1
    if any(getattr(ours, name) != value for name, value in wanted.items()):
        shown = ", ".join(f"{name} = {value}" for name, value in wanted.items())
        raise VarSpacesError(f"[recipe] start: that tokenizer asks for [model] {shown}.")
    constant = DISTANCE * trained.latent(images).norm(dim=1).mean()
    state = flex_keys(trained.state_dict(), len(ours.ch_mult))
    kernel, bias = trained.quant_conv.weight, trained.quant_conv.bias
    state["quant_conv.weight"] = torch.cat([kernel, torch.zeros_like(kernel[:1])])
    state["quant_conv.bias"] = torch.cat([bias, constant[None]])
    back = trained.post_quant_conv.weight * constant * (1 + DISTANCE**-2) ** 0.5
    state["post_quant_conv.weight"] = torch.cat([back, torch.zeros_like(back[:, :1])], 1)
    state["post_quant_conv.bias"] = trained.post_quant_conv.bias
    model.load_state_dict(state, strict=False)


@torch.no_grad()
def start_transformer(
    model: FlexVAR,
    trained: VAR,
    tokenizer: FlexVQ,
    labels: Tensor,
    styles: Tensor,
    ids: Tensor,
    tokens: Tensor,
) -> None:
    """Give ``model`` the weights of a VAR on the tokenizer that ``tokenizer`` began with.

    Blocks, conditions and inputs carry over; positions are those of VAR's last scale. The output
    layer is new, since VAR's codes are residuals: it is fitted to a batch in closed form.

    Args:
        labels, styles, ids, tokens: a batch at the model's own schedule, see
            :meth:`ClassRecipe.batch`.

    Raises:
        VarSpacesError: if the networks do not match.
    """
    own = model.state_dict()
    given = trained.state_dict()
    new = ("head.", "word_embed.", "pos_1LC")
    missing = [
        key
        for key in own
        if not key.startswith(new) and (key not in given or given[key].shape != own[key].shape)
    ]
    if missing or trained.config.latent_dim + 1 != model.config.latent_dim:
        raise VarSpacesError(
            f"[recipe] start: that transformer has other sizes ({missing[0] if missing else ''}); "
            "give both the same depth, width, heads, shared_aln, classes and styles."
        )
    model.load_state_dict({key: given[key] for key in own if not key.startswith(new)}, strict=False)

    length = tokenizer.quant_conv.bias[-1] * (1 + DISTANCE**-2) ** 0.5
    model.word_embed.weight[:, :-1] = trained.word_embed.weight * length
    model.word_embed.weight[:, -1] = 0
    model.word_embed.bias.copy_(trained.word_embed.bias)
    last = trained.schedule.num_scales - 1
    place = trained.place(last).transpose(1, 2).unflatten(2, trained.schedule.last)
    model.pos_1LC.copy_(F.interpolate(place, size=model.pos_1LC.shape[-2:]))
    fit_output(model, tokenizer.codebook, labels, styles, ids, tokens)


def fit_output(
    model: FlexVAR, codes: Tensor, labels: Tensor, styles: Tensor, ids: Tensor, tokens: Tensor
) -> None:
    """Set the output layer to the linear discriminant of codes as a regression predicts them.

    Codes ``c_v`` are regressed on the normed hidden states; with the covariance ``S`` of what is
    left over, the logit of a code is ``t (c_v' S^-1 c - c_v' S^-1 c_v / 2) + log p_v`` at the
    prediction ``c``. ``t`` is the best of a few, since what is left over is no Gaussian.
    """
    hidden: list[Tensor] = []
    hook = model.head.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0]))
    for part in zip(*(t.split(32) for t in (labels, tokens, styles)), strict=True):
        model(*part)
    hook.remove()
    x = torch.cat(hidden).flatten(0, 1).double()
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    wanted = codes[ids.flatten()].double()
    ridge = 1e-3 * x.shape[0] * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    weights = torch.linalg.solve(x.T @ x + ridge, x.T @ wanted)
    rest = wanted - x @ weights
    spread = rest.T @ rest / len(rest)
    spread += 1e-3 * spread.diagonal().mean() * torch.eye(len(spread)).to(spread)
    table = torch.linalg.solve(spread, codes.double().T).T
    counts = torch.bincount(ids.flatten(), minlength=len(codes)) + 1.0
    prior = (counts / counts.sum()).log()
    offset = (table * codes).sum(1) / 2
    some = torch.arange(0, len(x), max(len(x) // FITTED_TOKENS, 1), device=x.device)
    scores = (x[some] @ weights @ table.T - offset).float()
    truth = ids.flatten()[some]
    losses = {t: F.cross_entropy(t * scores + prior, truth).item() for t in TEMPERATURES}
    best = min(losses, key=losses.__getitem__)
    model.head.weight.copy_(best * table @ weights[:-1].T)
    model.head.bias.copy_(best * (table @ weights[-1] - offset) + prior)
