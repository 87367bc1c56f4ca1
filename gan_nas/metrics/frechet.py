"""Frechet distance between the Gaussians of two sets of features (Heusel et al. 2017, eq. 6).

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

Only the trace of the root is needed, and it equals the sum of the roots of the eigenvalues of the
symmetric R' S2 R with R R' = S1: no matrix root, no complex numbers, no regularisation.
"""

import torch
from torch import Tensor

from gan_nas.errors import RunFailed
from gan_nas.metrics.moments import Moments


class FrechetReference:
    """The real side of the distance, its root R = Q sqrt(w) computed once, on the CPU."""

    def __init__(self, moments: Moments) -> None:
        self.count = moments.count
        self.mean, covariance = _checked(moments)
        self.trace = covariance.trace()
        values, vectors = torch.linalg.eigh(covariance)
        # Rounding makes null directions slightly negative; they are null.
        self.root = vectors * values.clamp_min(0).sqrt()

    def distance(self, fake: Moments) -> float:
        """Return the distance to `fake`, which may have collapsed to one point."""
        mean, covariance = _checked(fake)
        values = torch.linalg.eigvalsh(self.root.T @ covariance @ self.root)
        trace = self.trace + covariance.trace()
        difference = (mean - self.mean).square().sum()
        distance = float(difference + trace - 2 * values.clamp_min(0).sqrt().sum())
        assert distance >= -1e-6 * float(trace), f"Frechet distance {distance} is negative"
        return max(distance, 0.0)


def frechet_distance(real: Moments, fake: Moments) -> float:
    """Return the Frechet distance of two samples; 0 for equal ones."""
    return FrechetReference(real).distance(fake)


def _checked(moments: Moments) -> tuple[Tensor, Tensor]:
    mean, covariance = moments.mean.cpu(), moments.covariance.cpu()
    if not bool(mean.isfinite().all() & covariance.isfinite().all()):
        raise RunFailed("the features to be scored contain NaN or infinity: training has diverged")
    return mean, covariance
