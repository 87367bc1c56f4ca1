"""The repulsive loss of MMD-GAN (Wang et al. 2019): two sets of scores compared by a kernel.

The kernel is k(a, b) = exp(-|a - b|^2 / 2), a single Gaussian of width 1, as in the code of Wang et
al. and of MMD-AdversarialNAS (Pulakurthi et al. 2024, network.py). Scores are (N, K): a vector of K
outputs an image. A mean over pairs i != j leaves out an image beside itself, so that N must be 2 or
more.
"""

from collections.abc import Iterable
from math import inf

import torch
from torch import Tensor

WIDEST_BOUND = 32.0  # where MMD-AdversarialNAS' code stops doubling it


def repulsive_discriminator_loss(
    real: Tensor, fake: Tensor, upper_bound: float | None = 4.0, lower_bound: float = 0.25
) -> Tensor:
    """Return E_{i != j}[k_u(D(x_i), D(x_j))] - E_{i != j}[k_l(D(G(z_i)), D(G(z_j)))].

    The bounded repulsive loss of Wang et al. 2019 (their math_func.py: rmb): the scores of real
    images are driven apart, those of fakes together. k_u takes the squared distance to be at most
    `upper_bound` (None: whatever it is, their rep), k_l at least `lower_bound` (0: likewise); pairs
    beyond them have no gradient.
    """
    of_real = _squared_distances(real, real).clamp(max=upper_bound or inf)
    of_fake = _squared_distances(fake, fake).clamp(min=lower_bound)
    return _mean_of_pairs(of_real) - _mean_of_pairs(of_fake)


def repulsive_generator_loss(real: Tensor, fake: Tensor, *, cross_diagonal: bool = True) -> Tensor:
    """Return E[k(D(x_i), D(x_j))] + E[k(D(G(z_i)), D(G(z_j)))] - 2 E[k(D(x_i), D(G(z_j)))].

    The squared maximum mean discrepancy of the scores (Gretton et al. 2012), its first two means
    over i != j, without bounds. Where there are more images of one kind, those beyond
    the other's number are left out. The last mean is over all pairs, as MMD-AdversarialNAS' code
    has it; without `cross_diagonal` over i != j, as Wang et al.'s.
    """
    num = min(len(real), len(fake))
    real, fake = real[:num], fake[:num]
    cross = _squared_distances(real, fake)
    of_cross = _kernel(cross).mean() if cross_diagonal else _mean_of_pairs(cross)
    of_real, of_fake = (_mean_of_pairs(_squared_distances(x, x)) for x in (real, fake))
    return of_real + of_fake - 2 * of_cross


def widened(bound: float, distances: Iterable[float], patience: int) -> float:
    """Return the upper bound after these distances of scores, the earliest first.

    It doubles, up to 32, after `patience` scores in a row without a lower distance: the code of
    MMD-AdversarialNAS (MGPU_train_arch.py).
    """
    best, left = inf, patience
    for distance in distances:
        if distance < best:
            best, left = distance, patience
            continue
        left -= 1
        if left == 0:
            bound, left = min(2 * bound, max(bound, WIDEST_BOUND)), patience
    return bound


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return |a_i - b_j|^2 for all pairs, (N, N); from differences, which cancel nothing."""
    return (a.unsqueeze(1) - b).square().sum(2)


def _kernel(squared_distances: Tensor) -> Tensor:
    return torch.exp(-squared_distances / 2)


def _mean_of_pairs(squared_distances: Tensor) -> Tensor:
    """Return the mean of the kernel over i != j."""
    similar, num = _kernel(squared_distances), len(squared_distances)
    mean: Tensor = (similar.sum() - similar.diagonal().sum()) / (num * (num - 1))
    return mean
