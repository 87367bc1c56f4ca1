"""Which genome is best over several seeds: means, deviations and Tukey's range test."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from gan_nas.spaces.published import published_genome
from gan_nas.trials.comparison import is_clear, ranked
from gan_nas.trials.trial import Outcome, Trial

GENOMES = [published_genome(f"autogan-cifar10-top{place}") for place in (1, 2, 3)]


def outcomes(*distances: list[float | None], images: int = 100) -> list[Outcome]:
    """Return those of genomes with as many seeds as there are distances; None has failed."""
    return [
        Outcome(
            trial=Trial(genome=genome, images=images, seed=seed),
            status="diverged" if distance is None else "completed",
            distance=distance,
        )
        for genome, row in zip(GENOMES, distances, strict=False)
        for seed, distance in enumerate(row)
    ]


def test_of_two_genomes_the_test_is_students_on_logarithms() -> None:
    a, b = [1.0, 1.2, 1.1], [1.4, 1.5, 1.2]
    first, second = ranked(outcomes(b, a))
    assert (first.id, second.id) == (GENOMES[1].genome_id, GENOMES[0].genome_id)
    assert first.mean == pytest.approx(np.mean(a))
    assert first.deviation == pytest.approx(np.std(a, ddof=1))
    assert first.p_value is None
    assert second.p_value == pytest.approx(ttest_ind(np.log(a), np.log(b)).pvalue, rel=1e-4)


def test_equal_genomes_seldom_have_a_clear_winner_and_distant_ones_have_one() -> None:
    random = np.random.default_rng(0)
    clear = [
        is_clear(ranked(outcomes(*np.exp(random.normal(0, 0.1, (3, 3))).tolist())))
        for _ in range(60)
    ]
    assert np.mean(clear) < 0.08  # though the best was picked afterwards
    distant = [
        np.exp(random.normal(0, 0.1, (3, 3)) + np.arange(3)[:, None]).tolist() for _ in range(5)
    ]
    assert all(is_clear(ranked(outcomes(*rows))) for rows in distant)


def test_who_failed_comes_after_who_did_not_and_who_was_trained_shorter_last() -> None:
    rows = ranked(outcomes([3.0, 3.0], [1.0, None], [None, None]))
    assert [(row.completed, row.failed) for row in rows] == [(2, 0), (1, 1), (0, 2)]
    short = outcomes([0.1, 0.1], images=50)
    longer = outcomes([9.0, 9.0], [5.0, 5.1])[2:]
    assert [row.images for row in ranked(short + longer)] == [100, 50]
    assert not is_clear(ranked(short + longer))


def test_with_a_seed_each_nothing_is_clear_and_alone_a_genome_is() -> None:
    assert not is_clear(ranked(outcomes([1.0], [9.0])))
    assert is_clear(ranked(outcomes([1.0, 1.1])))


@pytest.mark.parametrize(("other", "clear"), [(1.0, False), (2.0, True)])
def test_seeds_without_noise_are_compared_as_they_are(other: float, clear: bool) -> None:
    assert is_clear(ranked(outcomes([1.0, 1.0], [other, other]))) is clear
