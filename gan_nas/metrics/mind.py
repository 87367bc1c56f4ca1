"""Sliced Wasserstein distance of features, monge inception distance (MIND, arXiv 2605.06797).

    3 d / (n M) sum over directions m and ranks j of (sort(X u_m)_j - sort(Y u_m)_j)^2

with M unit directions u of features X and Y (n, d): no covariance, so that few images suffice. A
mean shift v alone gives 3 |v|^2 in expectation. Directions are drawn as torch-fidelity draws them.
"""

from math import isfinite

import torch
from torch import Tensor

from gan_nas.errors import Incompatible, RunFailed

NUM_DIRECTIONS = 1000  # torch-fidelity's
CHUNK = 50  # directions that features are projected on at a time


def sliced_distance(
    real: Tensor, fake: Tensor, num_directions: int = NUM_DIRECTIONS, seed: int = 2020
) -> float:
    """Return the distance of features (N, d) and (M, d), in float64.

    Of the larger set as many rows count as the smaller one has, drawn at random.
    """
    random = torch.Generator(device="cpu").manual_seed(seed)
    directions = torch.randn(num_directions, real.shape[1], generator=random, device="cpu")
    size = min(len(real), len(fake))
    few = [
        x if len(x) == size else x[torch.randperm(len(x), generator=random, device="cpu")[:size]]
        for x in (real, fake)
    ]
    return distance_along(few[0], few[1], directions / directions.norm(dim=1, keepdim=True))


def distance_along(real: Tensor, fake: Tensor, directions: Tensor) -> float:
    """Return the distance of as many features (n, d) along unit directions (M, d), in float64."""
    if real.shape[1] != fake.shape[1]:
        raise Incompatible(
            f"features of {fake.shape[1]} dimensions cannot be compared to real ones of "
            f"{real.shape[1]}; make both with the same backbone"
        )
    size, dim = real.shape
    x, y = real.double(), fake.double()
    total = 0.0
    for some in torch.split(directions.double(), CHUNK):
        apart = (x @ some.T).sort(0).values - (y @ some.T).sort(0).values
        total += float(apart.square().sum())
    value = 3 * dim / (size * len(directions)) * total
    if not isfinite(value):
        raise RunFailed("the features to be scored contain NaN or infinity: training has diverged")
    return value
