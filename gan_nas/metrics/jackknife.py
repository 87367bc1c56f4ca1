"""The deviation of a measure of N images from those images alone (Tukey 1958, Efron & Stein 1981).

    s^2 = (G - 1) / G  sum_g (v_g - mean v)^2,   v_g: the measure without group g of G

In expectation the sum is at least the variance of the measure of N - N / G images, for any measure
that is symmetric in them, linear or not; the factor brings it to N. Nothing is drawn twice: copies
of an image, as a bootstrap draws them, would be neighbours of each other, and lower the rank of a
covariance.
"""

from collections.abc import Callable, Mapping
from math import sqrt
from statistics import fmean

import torch
from torch import Tensor

from gan_nas.metrics.moments import Moments
from gan_nas.streams import stream

NUM_GROUPS = 10


def group_of_each(num: int, seed: int) -> Tensor:
    """Return the group, 0 to 9, of each of `num` images: drawn, since sets may be sorted."""
    order = torch.randperm(num, generator=stream(seed, "jackknife"), device="cpu")
    return order % min(NUM_GROUPS, num)


def moments_without_each(features: Tensor, groups: Tensor) -> list[Moments]:
    """Return the moments of features (N, d) without each of at least two groups."""
    parts = [Moments.of(features[groups == group]) for group in range(int(groups.max()) + 1)]
    left_out = []
    for out in range(len(parts)):
        first, *others = (part for group, part in enumerate(parts) if group != out)
        for part in others:
            first = first.merge(part)
        left_out.append(first)
    return left_out


def jackknife(groups: Tensor, without: Callable[[int], Mapping[str, float]]) -> dict[str, float]:
    """Return the deviations of measures by name; `without` makes them without one group."""
    rows = [without(group) for group in range(int(groups.max()) + 1)]
    deviations = {}
    for name in rows[0]:
        mean = fmean(row[name] for row in rows)
        squares = sum((row[name] - mean) ** 2 for row in rows)
        deviations[name] = sqrt((len(rows) - 1) / len(rows) * squares)
    return deviations
