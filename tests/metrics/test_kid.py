from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.metrics.kid import kernel_distance, usable_subset_size

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics_golden.npz", allow_pickle=False)
REAL, FAKE = torch.from_numpy(GOLDEN["kid_real"]), torch.from_numpy(GOLDEN["kid_fake"])


def sample(num: int, dim: int, seed: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(num, dim, generator=generator)


def test_one_full_subset_gives_the_published_implementations_value() -> None:
    mean, deviation = kernel_distance(REAL, FAKE, num_subsets=1, subset_size=400)
    assert mean == pytest.approx(float(GOLDEN["exp_kid_full400"]), rel=1e-12)
    assert deviation == 0


@pytest.mark.parametrize(("num_subsets", "size", "seed"), [(10, 100, 2020), (3, 399, 0), (5, 2, 1)])
def test_subsets_are_torch_fidelitys(num_subsets: int, size: int, seed: int) -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    metric = kid_features_to_metric(
        FAKE.double(),
        REAL.double(),
        kid_subsets=num_subsets,
        kid_subset_size=size,
        rng_seed=seed,
        verbose=False,
    )
    mean, deviation = kernel_distance(REAL, FAKE, num_subsets, size, seed)
    assert mean == pytest.approx(metric["kernel_inception_distance_mean"], rel=1e-9)
    assert deviation == pytest.approx(metric["kernel_inception_distance_std"], rel=1e-9)


def test_symmetric_and_invariant_to_rotation_and_order() -> None:
    x, y = sample(80, 8, 0).double(), sample(80, 8, 1).double() + 1
    rotation, _ = torch.linalg.qr(sample(8, 8, 2).double())
    expected = kernel_distance(x, y, 1, 80).mean
    for a, b in ((y, x), (x @ rotation, y @ rotation), (x.flip(0), y)):
        assert kernel_distance(a, b, 1, 80).mean == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("num_subsets", "size"), [(0, 10), (1, 401), (1, 1), (1, 0), (-1, 10)])
def test_impossible_subsets_are_refused(num_subsets: int, size: int) -> None:
    with pytest.raises(InvalidInput, match=r"subsets (of|were)"):
        kernel_distance(REAL, FAKE, num_subsets, size)


@pytest.mark.parametrize(
    ("num_real", "num_fake", "size"),
    [(10_000, 10_000, 1000), (2000, 5000, 1000), (1999, 5000, 999), (10_000, 60, 30), (5, 9, 2)],
)
def test_subsets_are_at_most_half_of_the_smaller_set(
    num_real: int, num_fake: int, size: int
) -> None:
    assert usable_subset_size(num_real, num_fake) == usable_subset_size(num_fake, num_real) == size


@pytest.mark.parametrize("num", [4, 100])
def test_the_deviation_of_usable_subsets_is_that_of_one_subset_of_other_images(num: int) -> None:
    """Where the whole set is the subset it is rounding."""
    real, fakes = sample(4000, 8, 0), [sample(num, 8, seed) for seed in range(1, 41)]
    size = usable_subset_size(len(real), num)
    told = [kernel_distance(real, fake, subset_size=size).deviation for fake in fakes]
    one = stdev(kernel_distance(real, fake, 1, size, seed).mean for seed, fake in enumerate(fakes))
    assert 0.5 < fmean(told) / one < 1.5
    whole = kernel_distance(sample(num, 8, 0), fakes[0], subset_size=num)
    assert whole.deviation < 1e-12
