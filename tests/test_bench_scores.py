from gan_nas.bench_scores import time_frechet


def test_every_way_to_the_distance_is_timed_and_right() -> None:
    rows = time_frechet(dim=32, repeats=1)
    assert [row.what for row in rows] == [
        "gan-nas",
        "gan-nas, new reference",
        "torch-fidelity",
        "scipy.linalg.sqrtm",
    ]
    assert all(row.relative_error < 1e-7 for row in rows)
    assert all(row.cpu_seconds > 0 for row in rows)
