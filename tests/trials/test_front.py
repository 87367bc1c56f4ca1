"""Pareto fronts of two objectives."""

from math import inf
from random import Random

import pytest

from gan_nas.trials.front import Point, crowded_order, crowding, sorted_fronts


def drawn(seed: int) -> list[Point]:
    random = Random(seed)
    return [Point(random.randrange(8), random.randrange(8)) for _ in range(30)]


@pytest.mark.parametrize("seed", range(5))
def test_fronts_are_layers_of_which_none_dominates_an_earlier_one(seed: int) -> None:
    points = drawn(seed)
    fronts = sorted_fronts(points)
    assert sorted(i for front in fronts for i in front) == list(range(len(points)))
    for number, front in enumerate(fronts):
        others = [i for later in fronts[number:] for i in later]
        for i in front:
            assert not any(points[j].dominates(points[i]) for j in others)
            if number:
                assert any(points[j].dominates(points[i]) for j in fronts[number - 1])


@pytest.mark.parametrize("seed", range(5))
def test_the_ends_of_a_front_are_never_crowded_and_scale_does_not_matter(seed: int) -> None:
    points = drawn(seed)
    front = [points[i] for i in sorted_fronts(points)[0]]
    alone = crowding(front)
    for axis in (0, 1):
        for extreme in (min, max):
            end = extreme(point[axis] for point in front)
            ends = [a for a, point in zip(alone, front, strict=True) if point[axis] == end]
            assert inf in ends
    scaled = [Point(1000 * x + 7, y / 1000) for x, y in front]
    assert crowding(scaled) == pytest.approx(alone)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_is_by_fronts_and_by_who_is_alone(seed: int) -> None:
    points = drawn(seed)
    order = crowded_order(points)
    fronts = sorted_fronts(points)
    numbers = [next(n for n, front in enumerate(fronts) if i in front) for i in order]
    assert numbers == sorted(numbers)
    alone = crowding([points[i] for i in fronts[0]])
    ranked = [alone[fronts[0].index(i)] for i in order[: len(alone)]]
    assert ranked == sorted(ranked, reverse=True)


def test_whoever_stands_in_a_gap_is_less_crowded() -> None:
    front = [Point(0, 10), Point(1, 9), Point(2, 8), Point(6, 4), Point(10, 0)]
    alone = crowding(front)
    # Deb et al. 2002, sec. III-B: the sides of the cuboid between both neighbours.
    assert alone == [inf, 0.2 + 0.2, 0.5 + 0.5, 0.8 + 0.8, inf]


def test_failed_trials_are_behind_all_others_and_break_nothing() -> None:
    points = [Point(inf, inf), Point(1, 1), Point(inf, inf)]
    assert sorted_fronts(points) == [[1], [0, 2]]
    assert crowding([points[0], points[2]]) == [inf, inf]
