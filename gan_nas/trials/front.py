"""Pareto fronts of two objectives, both to be small (Deb et al. 2002, sec. III)."""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple


class Point(NamedTuple):
    """Two objectives."""

    x: float
    y: float

    def dominates(self, other: "Point") -> bool:
        """Tell whether it is nowhere worse and somewhere better."""
        return self != other and self.x <= other.x and self.y <= other.y


def sorted_fronts(points: Sequence[Point]) -> list[list[int]]:
    """Return the numbers of the points of each front, in their order; the first is undominated."""
    left, fronts = list(range(len(points))), []
    while left:
        front = [i for i in left if not any(points[j].dominates(points[i]) for j in left)]
        fronts.append(front)
        left = [i for i in left if i not in front]
    return fronts


def crowded_order(points: Sequence[Point]) -> list[int]:
    """Return the numbers of points by front and, in a front, the most alone first."""
    order: list[int] = []
    for front in sorted_fronts(points):
        alone = crowding([points[i] for i in front])
        places = sorted(range(len(front)), key=lambda place: -alone[place])
        order += [front[place] for place in places]
    return order


def crowding(front: Sequence[Point]) -> list[float]:
    """Return how far apart both neighbours of each point are, in shares of the front's extent.

    Summed over the objectives; infinity at the ends. An objective that is constant adds nothing.
    """
    distances = [0.0] * len(front)
    for axis in (0, 1):
        order = sorted(range(len(front)), key=lambda i: front[i][axis])
        lowest, highest = front[order[0]][axis], front[order[-1]][axis]
        distances[order[0]] = distances[order[-1]] = inf
        if not 0 < highest - lowest < inf:
            continue
        for before, i, after in zip(order, order[1:], order[2:], strict=False):
            distances[i] += (front[after][axis] - front[before][axis]) / (highest - lowest)
    return distances
