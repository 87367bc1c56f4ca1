"""Kernel distance: unbiased MMD^2 with a cubic kernel (Binkowski et al. 2018, sec. 4).

    k(x, y) = (x'y / d + 1)^3

Subsets are drawn as torch-fidelity draws them, so that equal seeds give equal values.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_nas.errors import Incompatible, InvalidInput, RunFailed

NUM_SUBSETS, SUBSET_SIZE = 100, 1000  # torch-fidelity's


class KernelDistance(NamedTuple):
    """Mean and deviation (ddof 0) over subsets; the mean may be slightly negative.

    The deviation is that of one subset, and means nothing where subsets are nearly the whole set.
    """

    mean: float
    deviation: float


def kernel_distance(
    real: Tensor,
    fake: Tensor,
    num_subsets: int = NUM_SUBSETS,
    subset_size: int = SUBSET_SIZE,
    seed: int = 2020,
) -> KernelDistance:
    """Return the distance of features (N, d) and (M, d) on one device, in float64.

    Each subset takes `subset_size` rows of either set without replacement.
    """
    if real.shape[1] != fake.shape[1]:
        raise Incompatible(
            f"features of {fake.shape[1]} dimensions cannot be compared to real ones of "
            f"{real.shape[1]}; make both with the same backbone"
        )
    if num_subsets < 1:
        raise InvalidInput(f"{num_subsets} subsets were asked for; use at least 1")
    smaller = min(len(real), len(fake))
    if not 2 <= subset_size <= smaller:
        raise InvalidInput(
            f"subsets of {subset_size} cannot be drawn from {len(real)} real and {len(fake)} "
            f"generated images; use 2 to {smaller}"
        )
    random = np.random.RandomState(seed)

    def subset(features: Tensor) -> Tensor:
        rows = random.choice(len(features), subset_size, replace=False)
        return features[torch.from_numpy(rows).to(features.device)].double()

    # Generated images first: the distance is symmetric, but the draws follow torch-fidelity.
    mmds = [_mmd2(subset(fake), subset(real)) for _ in range(num_subsets)]
    values = torch.stack(mmds)
    if not bool(values.isfinite().all()):
        raise RunFailed("the features to be scored contain NaN or infinity: training has diverged")
    return KernelDistance(float(values.mean()), float(values.std(correction=0)))


def usable_subset_size(num_real: int, num_fake: int) -> int:
    """Return 1,000 or, where that is more than half of the smaller set, that half.

    Subsets of a whole set are all alike, and their deviation is 0 whatever the noise:
    torch-fidelity refuses sets below the subset's size and prints 1e-15 at it. Halves still differ.
    The distance is unbiased, so that what it estimates does not depend on the size.
    """
    return min(SUBSET_SIZE, min(num_real, num_fake) // 2)


def _mmd2(x: Tensor, y: Tensor) -> Tensor:
    m = len(x)
    within = _off_diagonal_sum(_kernel(x, x)) + _off_diagonal_sum(_kernel(y, y))
    return within / (m * (m - 1)) - 2 * _kernel(x, y).mean()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T).div_(x.shape[1]).add_(1).pow_(3)


def _off_diagonal_sum(kernel: Tensor) -> Tensor:
    return kernel.sum() - kernel.diagonal().sum()
