"""Frechet distance between the Gaussians of two sets of features (Heusel et al. 2017, eq. 6).

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

Only the trace of the root is needed, and it equals the sum of the roots of the eigenvalues of the
symmetric R' S2 R with R R' = S1: no matrix root, no complex numbers, no regularisation.
A triangular R makes that product, at condition 1e6, a thousand times more exact than R = Q sqrt(w).
All of it is PyTorch's: SciPy brings a BLAS with threads of its own, as many as there are cores,
which beside another process took 330 ms for what takes 1 ms alone (d = 256).
"""

import torch
from torch import Tensor

from gan_nas.errors import Incompatible, RunFailed
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.statistics import Statistics

Gaussian = Moments | Statistics


class FrechetReference:
    """The real side of the distance, its triangular root computed once, on the CPU.

    `count` is the number of real images, None where a file of statistics does not tell.
    """

    def __init__(self, real: Gaussian) -> None:
        self.count = real.count
        self.mean, covariance = _checked(real)
        self.trace = covariance.trace()
        self.root = triangular_root(covariance)

    def distance(self, fake: Gaussian) -> float:
        """Return the distance to `fake`, which may have collapsed to one point.

        Raises Incompatible when the features have another dimension, RunFailed on NaN.
        """
        if len(fake.mean) != len(self.mean):
            raise Incompatible(
                f"features of {len(fake.mean)} dimensions cannot be compared to a reference of "
                f"{len(self.mean)}; make the reference with the same backbone"
            )
        mean, covariance = _checked(fake)
        trace = self.trace + covariance.trace()
        difference = (mean - self.mean).square().sum()
        distance = float(difference + trace - 2 * trace_of_root(self.root, covariance))
        assert distance >= -1e-6 * float(trace), f"Frechet distance {distance} is negative"
        return max(distance, 0.0)


def frechet_distance(real: Gaussian, fake: Gaussian) -> float:
    """Return the Frechet distance of two samples; 0 for equal ones."""
    return FrechetReference(real).distance(fake)


def triangular_root(covariance: Tensor) -> Tensor:
    """Return the lower triangular L (d, d) with L L' = covariance, singular or not."""
    root: Tensor
    root, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:  # then it is backward stable, however small the pivots (Higham 2002, ch. 10)
        return root
    values, vectors = torch.linalg.eigh(covariance)
    # Rounding makes null directions slightly negative; they are null.
    _, root = torch.linalg.qr((vectors * values.clamp_min(0).sqrt()).T, mode="r")
    return root.T


def trace_of_root(root: Tensor, covariance: Tensor) -> Tensor:
    """Return tr (L L' S)^(1/2) for the triangular root L and a covariance S, both on the CPU."""
    values: Tensor = torch.linalg.eigvalsh(root.T @ covariance @ root)
    return values.clamp_min(0).sqrt().sum()


def _checked(gaussian: Gaussian) -> tuple[Tensor, Tensor]:
    mean, covariance = gaussian.mean.cpu(), gaussian.covariance.cpu()
    if not bool(mean.isfinite().all() & covariance.isfinite().all()):
        raise RunFailed("the features to be scored contain NaN or infinity: training has diverged")
    return mean, covariance
