"""Sliced Wasserstein distance: the published formula's numbers, and identities."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_nas.errors import Incompatible, RunFailed
from gan_nas.metrics.mind import distance_along, sliced_distance

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "measures_golden.npz")


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[name])


def features(num: int, seed: int, dim: int = 6) -> Tensor:
    random = torch.Generator(device="cpu").manual_seed(seed)
    return torch.randn(num, dim, generator=random, device="cpu", dtype=torch.float64)


@pytest.mark.parametrize("case", [0, 1])
def test_the_published_numbers(case: int) -> None:
    x, y = golden(f"mind{case}_x"), golden(f"mind{case}_y")
    size = min(len(x), len(y))
    found = distance_along(x[:size], y[:size], golden(f"mind{case}_directions"))
    assert found == pytest.approx(float(golden(f"mind{case}_value")), rel=1e-10)


def test_directions_are_torch_fidelitys() -> None:
    found = sliced_distance(golden("mind0_x"), golden("mind0_y"), num_directions=50, seed=2020)
    assert found == pytest.approx(float(golden("mind0_torch_fidelity_seed2020")), rel=1e-4)


def test_equal_samples_are_at_no_distance_in_any_order_and_a_shift_at_three_squares() -> None:
    x = features(50, 0)
    assert sliced_distance(x, x.flip(0)) == pytest.approx(0, abs=1e-20)
    shift = features(1, 1)
    expected = 3 * float(shift.square().sum())
    assert sliced_distance(x, x + shift, num_directions=20_000) == pytest.approx(expected, rel=0.05)


def test_it_is_symmetric_and_takes_as_many_of_the_larger_set() -> None:
    x, y = features(40, 0), features(40, 1) + 1
    assert sliced_distance(x, y) == pytest.approx(sliced_distance(y, x), rel=1e-12)
    assert sliced_distance(x, features(90, 2)) == sliced_distance(x, features(90, 2))
    assert sliced_distance(features(90, 2), x) > 0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(Incompatible, match="5 dimensions"):
        sliced_distance(features(9, 0), features(9, 1, dim=5))
    with pytest.raises(RunFailed, match="NaN"):
        sliced_distance(features(9, 0), features(9, 1) * float("nan"))
