from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.metrics.manifold import Neighbours, manifold_scores

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "metrics_golden.npz", allow_pickle=False)
REAL, FAKE = torch.from_numpy(GOLDEN["f1_real"]), torch.from_numpy(GOLDEN["f1_fake"])


def sample(num: int, dim: int, seed: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(num, dim, generator=generator)


def test_scores_are_those_of_the_published_implementations() -> None:
    assert manifold_scores(REAL, FAKE, Neighbours(3, 3)) == pytest.approx(
        (0.21, 0.578, 0.13, 0.188), rel=1e-9
    )


@pytest.mark.parametrize("num_neighbours", [1, 5])
@pytest.mark.parametrize("offset", [0, 1000])
def test_scores_are_the_definitions(num_neighbours: int, offset: float) -> None:
    real, fake = (sample(n, 3, n).double() + offset for n in (40, 30))

    def distances(a: Tensor, b: Tensor) -> Tensor:
        return (a[:, None] - b).norm(dim=2)

    real_radii, fake_radii = (
        distances(x, x).sort(1).values[:, num_neighbours] for x in (real, fake)
    )
    between = distances(real, fake)
    in_real, in_fake = between <= real_radii[:, None], between <= fake_radii
    expected = (
        in_real.any(0).double().mean(),
        in_fake.any(1).double().mean(),
        in_real.sum() / (num_neighbours * 30),
        in_real.any(1).double().mean(),
    )
    assert manifold_scores(real, fake, Neighbours(num_neighbours, num_neighbours)) == pytest.approx(
        list(map(float, expected))
    )


def test_scores_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = manifold_scores(REAL, FAKE)
    for chunk in (1, 7, 399, 100_000):
        monkeypatch.setattr("gan_nas.metrics.manifold.CHUNK", chunk)
        assert manifold_scores(REAL, FAKE) == expected


@pytest.mark.parametrize("copies", [1, 3, 10])
def test_identical_sets_score_one_even_where_points_coincide(copies: int) -> None:
    x = (sample(60, 16, 0) * 50 + 300).repeat(copies, 1)
    scores = manifold_scores(x, x)
    assert (scores.precision, scores.recall, scores.coverage) == (1, 1, 1)
    assert scores.density >= 1


def test_a_collapsed_generator_has_precision_or_not_and_nearly_no_recall() -> None:
    inside = manifold_scores(REAL, REAL[:1].expand(100, -1))
    assert inside.precision == 1
    assert inside.recall == pytest.approx(1 / len(REAL))
    assert 0 < inside.coverage < 0.1
    outside = manifold_scores(REAL, REAL[:1].expand(100, -1) + 100)
    assert outside == (0, 0, 0, 0)


def test_invariant_to_motions_and_scale() -> None:
    rotation, _ = torch.linalg.qr(sample(16, 16, 2).double())
    expected = manifold_scores(REAL, FAKE)
    x, y = REAL.double(), FAKE.double()
    for a, b in ((x @ rotation, y @ rotation), (x + 5, y + 5), (3 * x, 3 * y), (x.flip(0), y)):
        assert manifold_scores(a, b) == pytest.approx(expected)


def test_each_pair_of_measures_has_its_own_neighbours_those_of_its_paper_by_default() -> None:
    three, five = (manifold_scores(REAL, FAKE, Neighbours(k, k)) for k in (3, 5))
    assert three != five
    expected = (three.precision, three.recall, five.density, five.coverage)
    assert manifold_scores(REAL, FAKE) == manifold_scores(REAL, FAKE, Neighbours(3, 5)) == expected
    swapped = (five.precision, five.recall, three.density, three.coverage)
    assert manifold_scores(REAL, FAKE, Neighbours(5, 3)) == swapped


@pytest.mark.parametrize("num_neighbours", [0, -1, 9])
def test_impossible_neighbours_are_refused(num_neighbours: int) -> None:
    with pytest.raises(InvalidInput, match="use 1 to 8"):
        manifold_scores(REAL[:9], FAKE[:20], Neighbours(num_neighbours, num_neighbours))
