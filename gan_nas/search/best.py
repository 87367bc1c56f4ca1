"""What is best within limits: prices of the parts of a generator, limits on their sum, the best K.

An architecture is a choice for each of several parts; its score and its price are the sums of
theirs. There may be billions of them, and their best K are found exactly.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_nas.errors import InvalidInput

logger = logging.getLogger(__name__)

PlaceScores = Mapping[str, Sequence[float]]  # place -> a number for each of its operations
NO_LIMIT = np.iinfo(np.int64).max


class Price(NamedTuple):
    """What an operation, a cell or a network costs."""

    parameters: int
    macs: int

    def plus(self, other: "Price") -> "Price":
        """Add up."""
        return Price(self.parameters + other.parameters, self.macs + other.macs)


FREE = Price(0, 0)


class Limit(NamedTuple):
    """The most a generator may cost; None is no limit."""

    parameters: int | None = None
    macs: int | None = None

    def keeps(self, parameters: int, macs: int) -> bool:
        """Tell whether a cost is within."""
        return all(
            most is None or spent <= most
            for most, spent in zip(self, (parameters, macs), strict=True)
        )

    @property
    def words(self) -> str:
        """Say what was asked for."""
        names = ("parameters", "multiply-adds")
        given = zip(self, names, strict=True)
        return " and ".join(f"{most:,} {name}" for most, name in given if most is not None)


def say_if_fewer(found: int, asked: int, why: str) -> None:
    """Warn in one sentence when a search or its derivation ends with fewer than were asked for."""
    if found < asked:
        logger.warning(
            "only %d of the %d architectures asked for were found: %s", found, asked, why
        )


def out_of_reach(limit: Limit, width: int, least: Price) -> InvalidInput:
    """Return the error for a limit that no generator of the derived width keeps.

    `least` are the fewest parameters and the fewest multiply-adds of any, each on its own.
    """
    return InvalidInput(
        f"no generator of width {width} keeps within {limit.words}: the smallest have "
        f"{least.parameters:,} parameters, or {least.macs:,} multiply-adds; raise the limit or "
        "lower derived_width"
    )


class Options(NamedTuple):
    """Ways to decide some parts, best first."""

    scores: NDArray[np.float64]  # (options,)
    prices: NDArray[np.int64]  # (2, options)
    numbers: NDArray[np.int32]  # (options, parts): which choice each part has


def cheapest(base: Price, parts: Iterable[Sequence[Price] | NDArray[np.int64]]) -> Price:
    """Return the fewest parameters and the fewest multiply-adds of any, each on its own.

    `parts` are the prices of what can stand in each part.
    """
    least = sum((np.asarray(part).min(0) for part in parts), np.asarray(base))
    return Price(*least.tolist())


def combine(parts: Sequence[Options], count: int | None = None) -> Options:
    """Return all ways to decide several parts, or the best `count`.

    Of equal sums the one with the better first part leads, and so on.
    """
    whole = Options(np.zeros(1), np.zeros((2, 1), np.int64), np.zeros((1, 0), np.int32))
    for part in parts:
        i, j = _pairs(len(whole.scores), len(part.scores), count)
        total = whole.scores[i] + part.scores[j]
        order = np.argsort(-total, kind="stable")[:count]
        i, j = i[order], j[order]
        whole = Options(
            total[order],
            whole.prices.take(i, 1) + part.prices.take(j, 1),
            np.concatenate([whole.numbers[i], part.numbers[j]], 1),
        )
    return whole


def best_within(
    parts: Sequence[Options], count: int, base: Price = FREE, limit: Limit | None = None
) -> Options:
    """Return the best `count` ways that keep, with `base`, within a limit; fewer if less. Exact.

    Of equal sums the one whose first half of the parts is better leads, and so on within halves.

    Each half of the parts has thousands of ways, which are sorted. For every second half, best
    first, the first halves that fit with it are taken from the best on, until not even the best of
    all could enter the list.
    """
    middle = (len(parts) + 1) // 2
    first, second = combine(parts[:middle]), combine(parts[middle:])
    most = [NO_LIMIT if one is None else one for one in limit or Limit()]
    left = (np.asarray(most) - base)[:, None] - second.prices  # for the first: (2, second halves)
    least = -np.inf  # score that enters the list
    found = np.empty((0, 3))  # rows of score, first half, second half
    waiting: list[NDArray[np.float64]] = []
    for index, score in enumerate(second.scores.tolist()):
        if first.scores[0] + score < least:
            break
        fits = np.flatnonzero((first.prices <= left[:, index, None]).all(0))[:count]
        total = first.scores[fits] + score
        rows = np.stack([total, fits, np.full(len(fits), index)], 1)[total >= least]
        if len(rows):
            waiting.append(rows)
        if sum(map(len, waiting)) >= count:
            found, waiting = _best_rows([found, *waiting], count), []
            least = found[-1, 0]
    rows = _best_rows([found, *waiting], count)
    i, j = rows[:, 1].astype(np.int64), rows[:, 2].astype(np.int64)
    return Options(
        rows[:, 0],
        first.prices.take(i, 1) + second.prices.take(j, 1),
        np.concatenate([first.numbers[i], second.numbers[j]], 1),
    )


def _pairs(
    num_first: int, num_second: int, count: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of two sorted lists that may be among the best `count`, in their order.

    Before pair (i, j) come all of the (i + 1) (j + 1) that are no worse in both.
    """
    if count is None:
        count = num_first * num_second
    numbers = np.arange(min(num_first, count))
    lengths = np.minimum(num_second, count // (numbers + 1))
    first = np.repeat(numbers, lengths)
    return first, np.arange(len(first)) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _best_rows(parts: Sequence[NDArray[np.float64]], count: int) -> NDArray[np.float64]:
    """Return the `count` rows of highest first column; of equal ones, lowest in the others."""
    rows = np.concatenate(parts)
    return rows[np.lexsort((rows[:, 2], rows[:, 1], -rows[:, 0]))[:count]]
