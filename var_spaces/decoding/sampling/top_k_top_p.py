"""Top-k and top-p sampling as VAR does it (https://arxiv.org/abs/2404.02905, public code).

The draw is an arg-max over logits plus Gumbel noise, which has exactly the distribution
``softmax(logits)`` and takes its noise from the image (see ``noise.py``), not from the batch.
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import TYPE_CHECKING

from pydantic import Field

from var_spaces.decoding.base import Gumbel, Sampled, Sampling
from var_spaces.errors import VarSpacesError
from var_spaces.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from var_spaces.schedule import ScaleSchedule


@register
class TopKTopP(Sampling):
    """Keep the ``top_k`` most likely codes, of those the nucleus ``top_p``, and draw.

    ``smooth`` is the published ``more_smooth``: a soft mixture of codes replaces the drawn one. The
    reported ids are the hard draw under the same noise, so they stay close to the picture.
    """

    name = "top-k-top-p"
    title = "Top-k, then top-p"
    paper = "https://arxiv.org/abs/2404.02905"

    top_k: int = Field(
        900, ge=0, le=65536, description="codes kept; 0 or more than there are keeps all"
    )
    top_p: float = Field(0.96, ge=0, le=1, description="probability mass kept; 0 keeps all")
    temperature: float = Field(
        1.0, ge=0.01, le=10, description="divides the logits after filtering; above 1 is wilder"
    )
    smooth: bool = Field(False, description="mix code vectors: prettier, less diverse")

    @property
    def needs(self) -> dict[str, str]:
        return {"soft-codes": "smooth sampling mixes code vectors"} if self.smooth else {}

    @property
    def excludes(self) -> dict[str, str]:
        return {"bits": "its tokens are bits, which the sampling 'bits' draws"}

    def sample(
        self, logits: Tensor, gumbel: Gumbel, scale: int, schedule: ScaleSchedule
    ) -> Sampled:
        if not self.smooth:
            return draw(logits, gumbel, self.top_k, self.top_p, self.temperature)
        logits = filter_top_k_top_p(logits, min(self.top_k, logits.shape[-1]), self.top_p)
        noise = gumbel(*logits.shape[-2:])
        ids = draw_ids(logits, noise, self.temperature)
        return Sampled(ids, logits, smooth_weights(logits, noise, schedule.ratio(scale)))


def draw(
    logits: Tensor, gumbel: Gumbel, top_k: int, top_p: float, temperature: float = 1.0
) -> Sampled:
    """One draw per position of logits ``(B, l, V)``, filtered by top-k and then top-p.

    On a GPU it is made among the ``top_k`` largest, and nothing is scattered back to ``V`` codes
    unless the logits are asked for; elsewhere among all, and again where the filter may remove what
    came out. Either way the logits are of the codes that were drawn among, with equal ones, too.
    """
    top_k = min(top_k, logits.shape[-1])
    noise = gumbel(*logits.shape[-2:])
    if not _is_far(logits):
        ids = draw_again(logits, noise, top_k, top_p, temperature)
    elif 0 < top_k < logits.shape[-1]:
        return draw_among_top(logits, noise, top_k, top_p, temperature)
    else:
        ids = draw_ids(filter_top_k_top_p(logits, top_k, top_p), noise, temperature)
    return Sampled(ids, cache(partial(filter_top_k_top_p, logits, top_k, top_p)))


def _is_far(x: Tensor) -> bool:
    """Whether the host would have to wait for a number of this tensor."""
    return x.is_cuda


def draw_again(
    logits: Tensor, noise: Tensor, top_k: int, top_p: float, temperature: float = 1.0
) -> Tensor:
    """Ids ``(B, l)`` of one draw among what the filter keeps.

    The largest of all is that of the kept ones if it is kept, as most are. Only the others are
    filtered, which takes sorting.
    """
    ids = draw_ids(logits, noise, temperature)
    rows = (~surely_kept(logits, ids, top_k, top_p)).flatten().nonzero()[:, 0]
    if not len(rows):
        return ids
    logits, noise = (x.flatten(0, -2).index_select(0, rows) for x in (logits, noise))
    again = None
    if 0 < top_k < logits.shape[-1]:
        largest, codes = logits.topk(top_k)
        bound, gone = _bound(largest.flip(-1), top_p)
        # No equal ones at either threshold, so the order of equal ones does not count.
        if not gone.any() and (logits >= largest[:, -1:]).sum(-1).max() == top_k:
            again = _among(
                largest.masked_fill(largest < bound, -math.inf), codes, noise, temperature
            )
    if again is None:
        again = draw_ids(filter_top_k_top_p(logits, top_k, top_p), noise, temperature)
    return ids.flatten().index_copy_(0, rows, again).view_as(ids)


def surely_kept(logits: Tensor, ids: Tensor, top_k: int, top_p: float) -> Tensor:
    """Which of ids ``(B, l)`` :func:`filter_top_k_top_p` keeps, without sorting; a few are missed.

    With *a* codes as likely as one or more so, itself apart, top-k keeps it if ``a < k``. Of the
    ``V - a`` others, itself among them, the ``k - a`` largest stay at least; so they have at least
    that share of their weight, and if it is more than ``1 - p`` of what stays, so does the code.
    """
    vocab = logits.shape[-1]
    most = top_k or vocab
    chosen = ids[..., None]
    above = (logits >= logits.gather(-1, chosen)).scatter_(-1, chosen, False)
    ahead = above.sum(-1)
    if top_p == 0:
        return ahead < most
    weights = (logits - logits.amax(-1, keepdim=True)).exp_()
    whole, heavy = weights.sum(-1), weights.mul_(above).sum(-1)
    least = (whole - heavy) * (most - ahead) / (vocab - ahead)
    removed = max(1 - top_p, 1e-3) * 1.01  # with what rounding may do to sums
    return (ahead < most) & (least > removed * (heavy + least))


def draw_among_top(
    logits: Tensor, noise: Tensor, top_k: int, top_p: float, temperature: float = 1.0
) -> Sampled:
    """One draw among the ``top_k`` largest logits ``(B, l, V)``.

    Exactly that many: of equal logits at the threshold, where :func:`filter_top_k_top_p` keeps all,
    some are lost, from the logits that are reported, too. The host is not asked how many there are.
    """
    largest, codes = logits.topk(top_k)
    if top_p > 0:
        remove = _beyond(largest.flip(-1), top_p).flip(-1)
        largest = largest.masked_fill(remove, -math.inf)
    ids = _among(largest, codes, noise, temperature)
    return Sampled(ids, cache(partial(_spread, largest, codes, logits.shape[-1])))


def _spread(kept: Tensor, codes: Tensor, vocab: int) -> Tensor:
    """Logits ``(..., k)`` of codes as ``(..., V)``, all others at -inf."""
    return kept.new_full((*kept.shape[:-1], vocab), -math.inf).scatter_(-1, codes, kept)


def _among(kept: Tensor, codes: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """One draw among logits ``(..., k)`` of codes; of equal marks the first code."""
    marks = kept / temperature + noise.gather(-1, codes)
    return codes.masked_fill(marks < marks.amax(-1, keepdim=True), noise.shape[-1]).amin(-1)


def _bound(ascending: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """Where the nucleus of ascending logits ``(..., n)`` begins.

    Returns:
        Its least logit ``(..., 1)``, and how many that are equal to it are not in the nucleus.
    """
    if top_p <= 0:
        least = ascending[..., :1]
        return least, least.isnan()  # none: what is no number is left to the filter
    remove = _beyond(ascending, top_p)
    least = ascending.gather(-1, remove.sum(-1, keepdim=True))
    return least, (remove & (ascending == least)).sum(-1, keepdim=True)


def _beyond(ascending: Tensor, top_p: float) -> Tensor:
    """Which of ascending logits ``(..., n)`` are not in the nucleus."""
    remove = ascending.softmax(-1).cumsum(-1) <= 1 - top_p
    remove[..., -1].fill_(False)
    return remove


def filter_top_k_top_p(logits: Tensor, top_k: int = 0, top_p: float = 0.0) -> Tensor:
    """Set the logits of unlikely codes to -inf, top-k first and then top-p.

    Top-k removes logits strictly below the k-th largest, so ties at the threshold all stay. Top-p
    sorts what is left in ascending order and removes while the inclusive cumulative probability is
    at most ``1 - top_p``; the largest always stays, and of equal ones the first codes go first.
    What is kept of a row does not depend on other rows.

    Args:
        logits: ``(..., V)``; not modified.
        top_k: 0 keeps all.
        top_p: 0 keeps all, else in (0, 1].

    Raises:
        VarSpacesError: if ``top_k`` is larger than the vocabulary.
    """
    vocab = logits.shape[-1]
    if top_k > vocab:
        raise VarSpacesError(f"top_k {top_k} is larger than the vocabulary of {vocab} codes.")
    largest = None
    if top_k > 0:
        largest = logits.topk(top_k).values
        logits = logits.masked_fill(logits < largest[..., -1:], -math.inf)
    if top_p > 0:
        least, gone = _nucleus(logits, largest, top_p)
        removed = logits < least
        if _is_far(logits) or gone.any():
            equal = logits == least
            removed |= equal & (equal.cumsum(-1) <= gone)
        logits = logits.masked_fill(removed, -math.inf)
    return logits


def _nucleus(logits: Tensor, largest: Tensor | None, top_p: float) -> tuple[Tensor, Tensor]:
    """:func:`_bound` of logits ``(..., V)``, of which the ``k`` largest may be known in order."""
    if largest is None or _is_far(logits):
        return _bound(logits.sort(dim=-1).values, top_p)
    # With no more than k survivors the k largest are already all that top-p has to sort.
    least, gone = _bound(largest.flip(-1), top_p)
    crowded = (logits > -math.inf).sum(-1) > largest.shape[-1]
    if crowded.any():
        least[crowded], gone[crowded] = _bound(logits[crowded].sort(dim=-1).values, top_p)
    return least, gone


def draw_ids(logits: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
    """One draw per position from ``softmax(logits / temperature)``: ``(B, l, V)`` -> ``(B, l)``."""
    return (logits / temperature + noise).argmax(-1)


def smooth_weights(logits: Tensor, noise: Tensor, ratio: float) -> Tensor:
    """Weights of the code vectors in the published ``more_smooth`` path, ``(B, l, V)``.

    ``softmax((l (1 + r) + g) / tau)`` with ``tau = max(0.27 (1 - 0.95 r), 0.005)``.

    Args:
        logits: filtered logits.
        noise: standard Gumbel noise ``g``.
        ratio: ``r = k / (S - 1)``.
    """
    tau = max(0.27 * (1 - 0.95 * ratio), 0.005)
    return ((logits * (1 + ratio) + noise) / tau).softmax(-1)
