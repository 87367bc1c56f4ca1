"""The best K within limits against scoring and pricing every combination there is."""

import itertools
import logging

import numpy as np
import pytest

from gan_nas.search.best import (
    Limit,
    Options,
    Price,
    best_within,
    cheapest,
    combine,
    say_if_fewer,
)

BASE = Price(3, 5)
Row = tuple[float, tuple[int, ...], Price]


def drawn(seed: int, num_parts: int, ties: bool) -> list[Options]:
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(num_parts):
        size = int(rng.integers(1, 7))
        scores = rng.integers(-3, 1, size) if ties else rng.normal(size=size)
        scores = -np.sort(-scores.astype(float))
        prices = rng.integers(0, 4, (2, size))
        numbers = rng.permutation(size).astype(np.int32)[:, None]
        parts.append(Options(scores, prices, numbers))
    return parts


def rows(options: Options) -> list[Row]:
    columns = options.scores.tolist(), options.numbers.tolist(), options.prices.T.tolist()
    return [(s, tuple(n), Price(*p)) for s, n, p in zip(*columns, strict=True)]


def everything(parts: list[Options], by_halves: bool) -> list[Row]:
    """List all combinations, best first; of equal scores the better first part, or half, leads."""

    def products(parts: list[list[Row]]) -> list[Row]:
        found = [(0.0, (), Price(0, 0))]
        for part in parts:
            pairs = itertools.product(found, part)  # in the order of the first, then the second
            sums = [(s + t, m + n, p.plus(q)) for (s, m, p), (t, n, q) in pairs]
            found = sorted(sums, key=lambda row: -row[0])  # stable
        return found

    listed = [rows(part) for part in parts]
    if not by_halves:
        return products(listed)
    middle = (len(parts) + 1) // 2
    first, second = products(listed[:middle]), products(listed[middle:])
    pairs = [(s + t, m + n, p.plus(q)) for (s, m, p), (t, n, q) in itertools.product(first, second)]
    return sorted(pairs, key=lambda row: -row[0])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("num_parts", [1, 2, 3, 5])
def test_the_best_are_the_first_of_all_that_keep_the_limit(num_parts: int, ties: bool) -> None:
    for seed in range(5):
        parts = drawn(seed, num_parts, ties)
        possible = everything(parts, by_halves=True)
        for limit in (None, Limit(), Limit(9), Limit(None, 10), Limit(8, 11), Limit(2, 2)):
            kept = [row for row in possible if (limit or Limit()).keeps(*BASE.plus(row[2]))]
            for count in (1, 3, 20, 10**4):
                found = best_within(parts, count, BASE, limit)
                assert rows(found) == kept[:count]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("num_parts", [0, 1, 2, 4])
def test_combinations_come_in_order_and_a_shorter_list_is_their_beginning(
    num_parts: int, ties: bool
) -> None:
    for seed in range(5):
        parts = drawn(seed, num_parts, ties)
        possible = everything(parts, by_halves=False)
        assert rows(combine(parts)) == possible
        for count in (1, 2, 7, 50, 10**4):
            assert rows(combine(parts, count)) == possible[:count]


def test_the_cheapest_is_the_least_of_each_kind_on_its_own() -> None:
    parts = [[Price(1, 9), Price(4, 2)], [Price(7, 7)]]
    assert cheapest(BASE, parts) == (3 + 1 + 7, 5 + 2 + 7)
    assert cheapest(BASE, []) == BASE


def test_a_limit_is_kept_by_what_is_equal_to_it() -> None:
    assert Limit(3, 5).keeps(*BASE)
    assert Limit().keeps(*BASE)
    assert not Limit(2).keeps(*BASE)
    assert not Limit(None, 4).keeps(*BASE)


def test_too_few_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        say_if_fewer(5, 5, "why")
        assert not caplog.records
        say_if_fewer(4, 5, "no more keep within the limits")
    assert "only 4 of the 5 architectures asked for were found: no more keep" in caplog.text
