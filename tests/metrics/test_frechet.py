import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_nas.errors import RunFailed
from gan_nas.metrics.frechet import FrechetReference, frechet_distance
from gan_nas.metrics.moments import Moments

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics_golden.npz", allow_pickle=False)


def golden(name: str) -> Moments:
    return Moments.of(torch.from_numpy(GOLDEN[name]))


def gaussian(covariance: object, mean: object = None) -> Moments:
    """Moments with exactly this covariance: two images, ddof 1."""
    scatter = torch.as_tensor(covariance, dtype=torch.float64)
    centre = torch.zeros(len(scatter)) if mean is None else torch.as_tensor(mean)
    return Moments(2, centre.double(), scatter)


def sample(num: int, dim: int, seed: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    return torch.randn(num, dim, generator=generator, dtype=torch.float64) @ mixing + seed


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        ("f1_real", "f1_fake", "exp_fid_f1"),
        ("f2_real", "f2_fake", "exp_fid_f2_rank_deficient"),
        ("f3_real", "f3_fake", "exp_fid_f3_large_offset"),
        ("f4_real", "f4_fake", "exp_fid_f4_dead_and_duplicate_units"),
        ("f1_real", "f5_fake_collapsed", "exp_fid_f5_collapsed_fake_vs_f1_real"),
    ],
)
def test_the_distance_is_that_of_the_published_implementations(
    real: str, fake: str, expected: str
) -> None:
    distance = frechet_distance(golden(real), golden(fake))
    assert distance == pytest.approx(float(GOLDEN[expected]), rel=1e-7)


@pytest.mark.parametrize("name", ["f1_real", "f2_real", "f3_real", "f4_fake", "f5_fake_collapsed"])
def test_identical_samples_are_at_distance_zero(name: str) -> None:
    distance = frechet_distance(golden(name), golden(name))
    assert 0 <= distance <= 1e-6 * float(golden(name).covariance.trace())


def rank_one(u: list[float]) -> list[list[float]]:
    return [[a * b for b in u] for a in u]


A = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
B = torch.tensor([[5.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        # One dimension: (m1 - m2)^2 + (s1 - s2)^2.
        (gaussian([[4.0]], [1.0]), gaussian([[9.0]], [3.0]), 4 + 1),
        (
            gaussian(np.diag([1.0, 4.0, 9.0])),
            gaussian(np.diag([2.0, 3.0, 0.0])),
            (1 - math.sqrt(2)) ** 2 + (2 - math.sqrt(3)) ** 2 + 9,
        ),
        (gaussian(GOLDEN["g3_S"]), gaussian(4 * GOLDEN["g3_S"]), float(np.trace(GOLDEN["g3_S"]))),
        # tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det AB)) for 2 x 2.
        (
            gaussian(A),
            gaussian(B),
            float(A.trace() + B.trace())
            - 2 * math.sqrt((A @ B).trace() + 2 * math.sqrt(float((A @ B).det()))),
        ),
        (gaussian(np.diag([3.0, 2.0, 0, 0])), gaussian(np.diag([0, 0, 1.0, 4.0])), 10),
        (gaussian(rank_one([1.0, 2.0, 0])), gaussian(rank_one([-2.0, 1.0, 0])), 10),
        (gaussian(np.zeros((3, 3))), gaussian(np.eye(3), [0.0, 0.0, 3.0]), 12),
    ],
    ids=["1d", "diagonal", "scaled", "2x2", "orthogonal", "rank one", "no covariance"],
)
def test_closed_forms(real: Moments, fake: Moments, expected: float) -> None:
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-7)
    assert frechet_distance(fake, real) == pytest.approx(expected, rel=1e-7)


def test_a_nearly_singular_covariance_against_none_is_its_trace() -> None:
    values = np.logspace(0, -14, 32)
    rotation, _ = np.linalg.qr(np.random.RandomState(0).randn(32, 32))
    real = gaussian(rotation * values @ rotation.T)
    assert frechet_distance(real, gaussian(4 * real.covariance)) == pytest.approx(
        values.sum(), rel=1e-6
    )


@pytest.mark.parametrize("dim", [16, 256, pytest.param(2048, marks=pytest.mark.slow)])
def test_optimal_transport_gives_the_distance_in_any_dimension(dim: int) -> None:
    """S2 = T S1 T with T = I + k u u': the distance is k^2 u' S1 u, although nothing commutes."""
    random = np.random.RandomState(1)
    values, k = np.logspace(0, -6, dim), 0.7
    u = random.randn(dim)
    u /= np.linalg.norm(u)
    transport = np.eye(dim) + k * np.outer(u, u)
    real, fake = np.diag(values), transport @ np.diag(values) @ transport
    expected = k**2 * float(u @ (values * u))
    assert frechet_distance(gaussian(real), gaussian(fake)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dim", [1, 3, 16, 64])
def test_symmetric_invariant_to_motions_and_quadratic_in_scale(dim: int) -> None:
    x, y = sample(200, dim, 0), sample(150, dim, 1)
    distance = frechet_distance(Moments.of(x), Moments.of(y))
    rotation, _ = torch.linalg.qr(sample(dim, dim, 2))
    for a, b, expected in (
        (y, x, distance),
        (x @ rotation + 5, y @ rotation + 5, distance),
        (3 * x, 3 * y, 9 * distance),
    ):
        assert frechet_distance(Moments.of(a), Moments.of(b)) == pytest.approx(expected, rel=1e-7)
    assert distance >= float((x.mean(0) - y.mean(0)).square().sum()) * (1 - 1e-9)


def test_equal_covariances_leave_the_squared_distance_of_means() -> None:
    x = sample(100, 8, 0)
    shift = torch.arange(8.0, dtype=torch.float64)
    distance = frechet_distance(Moments.of(x), Moments.of(x + shift))
    assert distance == pytest.approx(float(shift.square().sum()), rel=1e-9)


def test_one_reference_serves_many_distances() -> None:
    real = Moments.of(sample(100, 8, 0))
    reference = FrechetReference(real)
    for seed in (1, 2):
        fake = Moments.of(sample(50, 8, seed))
        assert reference.distance(fake) == frechet_distance(real, fake)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_features_that_are_not_finite_fail_the_run(value: float) -> None:
    good, bad = sample(20, 4, 0), sample(20, 4, 1)
    bad[3, 2] = value
    for real, fake in ((good, bad), (bad, good)):
        with pytest.raises(RunFailed, match="NaN or infinity"):
            frechet_distance(Moments.of(real), Moments.of(fake))


def test_the_distance_ignores_the_default_device() -> None:
    expected = frechet_distance(golden("f1_real"), golden("f1_fake"))
    with torch.device("meta"):
        assert frechet_distance(golden("f1_real"), golden("f1_fake")) == expected
