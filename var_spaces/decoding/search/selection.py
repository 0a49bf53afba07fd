"""Who lives on in a search: potentials, resampling, and clusters of what images look like.

Formulas of TTS-VAR (https://arxiv.org/abs/2507.18537) and its public code.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

RESTARTS, ITERATIONS = 10, 100


# --- resampling -------------------------------------------------------------------------------


def potential(kind: str, now: Tensor, history: Tensor, strength: float, top: int = 1) -> Tensor:
    """Logarithm of the weight of every candidate, ``(N,)``.

    Args:
        kind: "value", "diff" (to the scale before), "sum" or "max" over all scales, or "top": the
            sum of the ``top`` largest.
        now: rewards at this scale, ``(N,)``.
        history: rewards at all scales before, ``(N, k)``.
        strength: the factor lambda on the reward.
    """
    rewards = torch.cat((history, now[:, None]), dim=1)
    match kind:
        case "value":
            value = now
        case "diff":
            value = now - history[:, -1] if history.shape[1] else now
        case "sum":
            value = rewards.sum(1)
        case "max":
            value = rewards.amax(1)
        case "top":
            value = rewards.topk(min(top, rewards.shape[1]), dim=1).values.sum(1)
    return strength * value


def probabilities(potentials: Tensor) -> Tensor:
    """Resampling probabilities ``(N,)`` of log-weights; the largest finite one is scaled to 1."""
    finite = potentials[potentials.isfinite()]
    largest = finite.max() if len(finite) else 0.0
    weights = sanitise((potentials - largest).exp())
    return weights / weights.sum()


def sanitise(weights: Tensor) -> Tensor:
    """Weights ``(N,)`` that can be drawn from, whatever a reward model gave (rules of the code)."""
    if weights.sum() <= 0:
        weights = (weights > 0).to(weights)
    if weights.isnan().any():
        weights = (~weights.isnan()).to(weights)
    if weights.isinf().any():
        weights = weights.isinf().to(weights)
    if weights.sum() <= 0:
        weights = torch.ones_like(weights)
    return weights


def resample(chances: Tensor, gumbel: Tensor) -> Tensor:
    """Parents ``(M,)`` drawn with replacement by ``chances (N,)``, with noise ``(M, N)``."""
    return (chances.log() + gumbel.to(chances)).argmax(1)


# --- clustering -------------------------------------------------------------------------------


def cluster_vectors(kind: str, patches: Tensor) -> Tensor:
    """One vector per image from features ``(N, L, D)`` of its patches.

    Args:
        kind: "pca" gives ``(N, L)``: patches along the image's own main direction; "pca-all" the
            same with one mean and direction for all images; "pool" the mean ``(N, D)``.

    The sign of a direction is arbitrary in the public code and changes the clusters; here the
    largest score in magnitude is positive.
    """
    patches = patches.float()
    if kind == "pool":
        return patches.mean(1)
    if kind == "pca-all":
        flat = patches.flatten(0, 1)
        return _along_main(flat[None])[0].view(patches.shape[:2])
    return _along_main(patches)


def _along_main(points: Tensor) -> Tensor:
    """Scores ``(B, L)`` of ``points (B, L, D)`` on their first principal direction."""
    centred = points - points.mean(1, keepdim=True)
    direction = torch.linalg.svd(centred, full_matrices=False).Vh[:, 0]
    scores = (centred @ direction[..., None])[..., 0]
    largest = scores.gather(1, scores.abs().argmax(1, keepdim=True))
    return torch.where(largest < 0, -scores, scores)


def representatives(vectors: Tensor, clusters: int) -> Tensor:
    """Of every k-means cluster the image closest to its centre, ``(clusters,)``.

    Where there are fewer different images than clusters, some are chosen more than once.
    """
    labels, centres = k_means(vectors, clusters)
    distance = torch.cdist(vectors.double(), centres)
    own = labels[:, None] == torch.arange(clusters, device=labels.device)
    alone = own.any(0)  # clusters that nobody is in take the closest image of all
    return torch.where(own | ~alone, distance, torch.inf).argmin(0)


def k_means(vectors: Tensor, clusters: int) -> tuple[Tensor, Tensor]:
    """Lloyd's k-means with k-means++ seeding, the best of ten starts; deterministic.

    Returns:
        Cluster of every vector ``(N,)`` and the centres ``(clusters, D)`` float64.
    """
    x = vectors.double()
    random = np.random.Generator(np.random.PCG64(0))
    best = None
    for _ in range(RESTARTS):
        centres = _seeds(x, clusters, random)
        for _ in range(ITERATIONS):
            labels = torch.cdist(x, centres).argmin(1)
            member = torch.nn.functional.one_hot(labels, clusters).to(x)
            count = member.sum(0)[:, None]
            moved = torch.where(count > 0, member.T @ x / count.clamp_min(1), centres)
            if torch.equal(moved, centres):
                break
            centres = moved
        inertia = (x - centres[labels]).square().sum()
        if best is None or inertia < best[0]:
            best = inertia, labels, centres
    return best[1], best[2]


def _seeds(x: Tensor, clusters: int, random: np.random.Generator) -> Tensor:
    """k-means++: every next centre is a point, drawn by its squared distance to those so far."""
    chosen = [int(random.integers(len(x)))]
    while len(chosen) < clusters:
        distance = torch.cdist(x, x[chosen]).amin(1).square().cpu().numpy()
        total = distance.sum()
        chances = distance / total if total > 0 else None
        chosen.append(int(random.choice(len(x), p=chances)))
    return x[chosen]
