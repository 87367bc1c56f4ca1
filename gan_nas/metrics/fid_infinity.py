"""Frechet distance extrapolated to infinitely many images (Chong & Forsyth 2020, sec. 4).

The distance of N images is biased by b / N to first order: a straight line through the distances
of subsets, drawn over 1 / N, meets the axis at the unbiased value. The authors space 15 sizes
from N / 10 to N evenly in N; here they are even in 1 / N, where the line is fitted.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.moments import Moments
from gan_nas.streams import stream

NUM_SIZES = 15
SMALLEST = 10  # the smallest subset is a tenth
CHUNK = 5000  # 82 MB of Inception's features


class FidInfinity(NamedTuple):
    """The intercept, its standard error, and the points of the line.

    The standard error is that of the fit: subsets share images, and the reference is finite too.
    """

    distance: float
    standard_error: float
    sizes: list[int]
    distances: list[float]


def fid_infinity(
    features: Tensor, reference: FrechetReference, seed: int, num_sizes: int = NUM_SIZES
) -> FidInfinity:
    """Extrapolate the distance of features (N, d) to `reference`; each size draws a new subset.

    Keep all features: those of a part extrapolate as well, with a larger error. Below zero it
    means zero within the error. Raises InvalidInput when N is too small for the sizes.
    """
    num = len(features)
    if num_sizes < 3:
        raise InvalidInput(f"a line through {num_sizes} sizes has no error; use at least 3")
    if num < SMALLEST * num_sizes:
        raise InvalidInput(
            f"{num} images are too few to extrapolate from {num_sizes} sizes; use at least "
            f"{SMALLEST * num_sizes}"
        )
    sizes = subset_sizes(num, num_sizes)
    distances = []
    for i, size in enumerate(sizes):
        random = stream(seed, "fid infinity", i)
        rows = torch.randperm(num, generator=random, device="cpu")[:size]
        distances.append(reference.distance(_moments(features, rows.to(features.device))))
    intercept, error = _intercept([1 / size for size in sizes], distances)
    return FidInfinity(intercept, error, sizes, distances)


def _moments(features: Tensor, rows: Tensor) -> Moments:
    """Return those of some rows, of which few are held in float64 at a time."""
    first, *others = torch.split(rows, CHUNK)
    moments = Moments.of(features[first])
    for part in others:
        moments = moments.update(features[part])
    return moments


def subset_sizes(num: int, num_sizes: int = NUM_SIZES) -> list[int]:
    """Return sizes from num / 10 up to num, evenly spaced in 1 / size."""
    steps = num_sizes - 1
    return [round(num / (1 + (SMALLEST - 1) * (1 - i / steps))) for i in range(num_sizes)]


def _intercept(x: list[float], y: list[float]) -> tuple[float, float]:
    """Return the least-squares intercept and its standard error (n - 2 degrees of freedom)."""
    n = len(x)
    mean_x, mean_y = math.fsum(x) / n, math.fsum(y) / n
    spread = math.fsum((a - mean_x) ** 2 for a in x)
    slope = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    intercept = mean_y - slope * mean_x
    left = math.fsum((b - intercept - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    return intercept, math.sqrt(left / (n - 2) * (1 / n + mean_x**2 / spread))
