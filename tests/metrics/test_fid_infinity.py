import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.metrics.fid_infinity import fid_infinity, subset_sizes
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.statistics import Statistics

DIM = 16
STANDARD = FrechetReference(
    Statistics(None, torch.zeros(DIM).double(), torch.eye(DIM, dtype=torch.float64))
)


def sample(num: int, seed: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(num, DIM, generator=generator, dtype=torch.float64) * scale


def test_sizes_run_from_a_tenth_to_all_evenly_in_their_inverse() -> None:
    sizes = subset_sizes(50_000)
    assert len(sizes) == 15
    assert (sizes[0], sizes[-1]) == (5_000, 50_000)
    steps = np.diff([1 / size for size in sizes])
    np.testing.assert_allclose(steps, steps.mean(), rtol=2e-3)  # sizes are whole


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_the_bias_of_few_images_is_removed(scale: float) -> None:
    """The exact distance of N(0, s^2 I) to N(0, I) is d (s - 1)^2."""
    exact = DIM * (scale - 1) ** 2
    results = [fid_infinity(sample(1000, seed, scale), STANDARD, seed) for seed in range(8)]
    extrapolated = np.mean([result.distance for result in results])
    plain = np.mean([result.distances[-1] for result in results])
    assert plain > exact
    assert abs(extrapolated - exact) < 0.3 * (plain - exact)


def test_the_line_is_numpys() -> None:
    result = fid_infinity(sample(500, 0), STANDARD, 0)
    x = 1 / np.array(result.sizes)
    (_, intercept), covariance = np.polyfit(x, result.distances, 1, cov=True)
    assert result.distance == pytest.approx(intercept, rel=1e-9)
    assert result.standard_error == pytest.approx(math.sqrt(covariance[1, 1]), rel=1e-9)


def test_the_last_point_is_the_distance_of_all() -> None:
    x = sample(300, 0)
    result = fid_infinity(x, STANDARD, 0)
    assert result.distances[-1] == pytest.approx(STANDARD.distance(Moments.of(x)), rel=1e-9)


def test_equal_seeds_give_equal_values() -> None:
    x = sample(300, 0)
    assert fid_infinity(x, STANDARD, 1) == fid_infinity(x, STANDARD, 1)
    assert fid_infinity(x, STANDARD, 1) != fid_infinity(x, STANDARD, 2)


def test_a_collapsed_generator_has_one_distance_at_every_size() -> None:
    result = fid_infinity(sample(1, 0).expand(200, -1), STANDARD, 0)
    assert result.distance == pytest.approx(result.distances[0])
    assert result.standard_error == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("num", "num_sizes"), [(149, 15), (1000, 2), (1, 3)])
def test_too_few_images_or_sizes_are_refused(num: int, num_sizes: int) -> None:
    with pytest.raises(InvalidInput, match="use at least"):
        fid_infinity(sample(num, 0), STANDARD, 0, num_sizes)
