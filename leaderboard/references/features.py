"""Features of real images, computed once per extractor and reference and kept in a file."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leaderboard.references.base import RealFeatures, Reference, need_enough
from var_spaces.paths import write_file

if TYPE_CHECKING:
    import torch

    from leaderboard.extractors.base import Extractor


def real_features(
    reference: Reference, extractor: Extractor, folder: Path, device: torch.device
) -> RealFeatures:
    """Features, mean and covariance of a reference.

    Args:
        folder: where they are kept.

    Raises:
        VarSpacesError: if it has fewer than two images.
    """
    name = f"{extractor.identity} {reference.identity}"
    path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.npy"
    if path.exists():
        features = np.load(path)
    else:
        network = extractor.load(device)
        parts = [network(images) for images in reference.images()]
        need_enough(sum(map(len, parts)), "real")
        features = np.concatenate(parts)
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, features)
        write_file(path, buffer.getvalue())
    known = reference.statistics(extractor)
    mean, covariance = known or statistics(features)
    return RealFeatures(features, mean, covariance)


def statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``(d,)`` and covariance ``(d, d)`` with N - 1, float64, of features ``(N, d)``.

    Raises:
        VarSpacesError: for fewer than two, which have no covariance.
    """
    need_enough(len(features), "drawn or real")
    features = np.asarray(features, np.float64)
    return features.mean(axis=0), np.cov(features, rowvar=False).reshape(features.shape[1], -1)
