import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_nas.metrics.frechet import FrechetReference, frechet_distance, triangular_root
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.statistics import Statistics

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
        (gaussian(A), gaussian(A, [3.0, 4.0]), 25),
    ],
    ids=["1d", "diagonal", "scaled", "2x2", "orthogonal", "rank one", "no covariance", "equal"],
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
    for a, b in ((real, fake), (fake, real)):
        assert frechet_distance(gaussian(a), gaussian(b)) == pytest.approx(expected, rel=1e-7)


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


@pytest.mark.parametrize(
    ("num", "dim"), [(200, 1), (200, 16), (10, 16), (2, 16), (30, 64), (129, 128), (1000, 128)]
)
def test_the_triangular_root_is_one_of_any_covariance(num: int, dim: int) -> None:
    for covariance in (Moments.of(sample(num, dim, 0)).covariance, torch.zeros(dim, dim).double()):
        root = triangular_root(covariance)
        assert torch.equal(root, root.tril())
        scale = float(covariance.abs().max()) * 1e-13 * dim
        torch.testing.assert_close(root @ root.T, covariance, rtol=0, atol=scale)


@pytest.mark.parametrize(("num", "num_fake"), [(30, 20), (30, 300), (300, 20)])
def test_fewer_images_than_dimensions_give_the_nuclear_norm(num: int, num_fake: int) -> None:
    """tr (S1 S2)^(1/2) is the sum of the singular values of X1 X2', both centred and scaled."""
    x, y = sample(num, 64, 0), sample(num_fake, 64, 1)
    a, b = ((z - z.mean(0)) / math.sqrt(len(z) - 1) for z in (x, y))
    nuclear = float(torch.linalg.svdvals(a @ b.T).sum())
    expected = float((x.mean(0) - y.mean(0)).square().sum() + a.square().sum() + b.square().sum())
    distance = frechet_distance(Moments.of(x), Moments.of(y))
    assert distance == pytest.approx(expected - 2 * nuclear, rel=1e-7)


@pytest.mark.parametrize("num", [2, 50, 5000])
def test_a_collapsed_generator_is_at_the_distance_of_its_point(num: int) -> None:
    real, point = sample(300, 16, 0), sample(1, 16, 1)
    fake = Moments.of(point.expand(num, -1))
    expected = (real.mean(0) - point).square().sum() + Moments.of(real).covariance.trace()
    for a, b in ((Moments.of(real), fake), (fake, Moments.of(real))):
        assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-9)
    assert frechet_distance(fake, fake) == pytest.approx(0, abs=1e-20)


def test_statistics_serve_as_moments_do() -> None:
    real, fake = Moments.of(sample(100, 8, 0)), Moments.of(sample(50, 8, 1))
    reference = FrechetReference(Statistics(None, real.mean, real.covariance))
    assert reference.count is None
    assert reference.distance(fake) == frechet_distance(real, fake)
    assert reference.distance(Statistics.of(fake)) == frechet_distance(real, fake)


def test_the_moments_are_left_as_they_were() -> None:
    real, fake = Moments.of(sample(50, 8, 0)), Moments.of(sample(50, 8, 1))
    statistics = Statistics.of(fake)
    scatter, covariance = real.scatter.clone(), statistics.covariance.clone()
    FrechetReference(real).distance(statistics)
    assert torch.equal(real.scatter, scatter)
    assert torch.equal(statistics.covariance, covariance)
