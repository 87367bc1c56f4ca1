import pytest

from gan_nas.bench.scores import PAIRS, Pair, few_samples, time_frechet


def test_every_way_to_every_distance_is_timed_and_right() -> None:
    rows = time_frechet(dim=32, repeats=1, pairs=PAIRS)
    ways = ["gan-nas", "gan-nas, new reference", "torch-fidelity", "scipy.linalg.sqrtm"]
    assert [(row.pair, row.what) for row in rows] == [(pair, way) for pair in PAIRS for way in ways]
    assert all(row.cpu_seconds > 0 for row in rows)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("dim", [8, 33, 100])
def test_ours_has_the_exact_distance(pair: Pair, dim: int) -> None:
    for row in time_frechet(dim, seed=1, repeats=1, pairs=[pair]):
        # Null directions cost the others the root of the rounding.
        assert row.relative_error < (1e-7 if row.what.startswith("gan-nas") else 1e-5), row


def test_few_samples_leave_the_covariances_singular() -> None:
    real, fake, distance = few_samples(40, 0)
    assert (real.count, fake.count) == (21, 20)
    assert distance > 0
