"""DEGAS' pruning by its properties; the best K against scoring every architecture there is."""

import itertools
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gan_nas.networks.cost import generator_price
from gan_nas.search.best import Limit, Price
from gan_nas.search.degas.pruning import (
    PlacePrices,
    ScoredArchitecture,
    best_architectures,
    cheapest,
    generator_prices,
    prune,
)
from gan_nas.spaces.degas import (
    NORMAL_OPS,
    SPACE,
    UP_OPS,
    DEGASGenerator,
    DEGASSpace,
    candidates,
    from_operations,
    operations,
)

WIDTH, SIDE, CHANNELS = 4, 16, 1
VARIANTS = list(itertools.product((False, True), repeat=2))
SMALL = {"0.up": UP_OPS, "1.normal": NORMAL_OPS, "1.up": UP_OPS, "1.residual": UP_OPS}

Rows = dict[str, list[float]]
Ops = Mapping[str, str | None]


def drawn(
    seed: int, places: Mapping[str, tuple[str, ...]], spread: float = 1.0, ties: bool = False
) -> Rows:
    """Draw log-probabilities of each place's operations; with `ties`, of few values."""
    rng = np.random.default_rng(seed)
    logits = {place: rng.normal(size=len(ops)) * spread for place, ops in places.items()}
    if ties:
        return {place: (-np.abs(row).round()).tolist() for place, row in logits.items()}
    return {p: (row - np.log(np.exp(row).sum())).tolist() for p, row in logits.items()}


def all_pairs(rows: Rows, up: str, residual: str) -> list[tuple[float, bool, int]]:
    """List (strength, is a residual, operation) of every operation of both edges into a map."""
    edges = ((False, rows[up]), (True, rows[residual]))
    return [(p, is_residual, i) for is_residual, row in edges for i, p in enumerate(row)]


def score(rows: Rows, ops: Ops) -> float:
    """Score an architecture: the definition, place by place."""
    total = 0.0
    for place, op in ops.items():
        if op is not None:
            names = candidates(stem_residual=True, final_normal=True)[place]
            total += rows[place][names.index(op)]
            if place.endswith("residual"):
                total -= max(rows[place.replace("residual", "up")])
    return total


def price(prices: PlacePrices, ops: Ops) -> Price:
    names = candidates(stem_residual=True, final_normal=True)
    parts = [prices.ops[p][names[p].index(op)] for p, op in ops.items() if op is not None]
    parts.append(prices.base)
    return Price(sum(part.parameters for part in parts), sum(part.macs for part in parts))


def everything(rows: Rows, prices: PlacePrices) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Score and price all architectures of the rows' places, in a grid of one axis a place."""
    total, cost = np.zeros(()), np.asarray(prices.base, np.int64)
    for place, row in rows.items():
        values, of_ops = np.asarray(row), np.asarray(prices.ops[place], np.int64)
        if place.endswith("residual"):
            values = np.append(values - max(rows[place.replace("residual", "up")]), 0.0)
            of_ops = np.append(of_ops, [[0, 0]], 0)
        total = total[..., None] + values
        cost = cost[..., None, :] + of_ops
    return total.ravel(), cost.reshape(-1, 2)


def check(rows: Rows, found: list[ScoredArchitecture], num: int) -> None:
    """Hold what holds for every list of architectures: distinct, best first, scored."""
    assert len({str(one.operations) for one in found}) == len(found) == num
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    for one in found:
        assert list(one.operations) == list(rows)
        assert one.score == pytest.approx(score(rows, one.operations), rel=1e-12, abs=1e-12)


@pytest.fixture(scope="module")
def prices() -> PlacePrices:
    return generator_prices(sizes(), SIDE, CHANNELS, stem_residual=True, final_normal=True)


def sizes(**changes: Any) -> DEGASGenerator:
    generator = SPACE.sample(random.Random(0), WIDTH).model_dump() | changes
    return DEGASGenerator.model_validate(generator)


@pytest.mark.parametrize(("stem_residual", "final_normal"), VARIANTS)
@pytest.mark.parametrize("ties", [False, True])
def test_every_map_keeps_what_the_rule_says(
    stem_residual: bool, final_normal: bool, ties: bool
) -> None:
    places = candidates(stem_residual, final_normal)
    residuals = 0
    for seed in range(100):
        rows = drawn(seed, places, ties=ties)
        ops = prune(rows)
        assert list(ops) == list(places)
        for place, names in places.items():
            row = rows[place]
            if not place.endswith("residual"):  # normal maps have one operation, others a direct
                assert ops[place] == names[row.index(max(row))]
                continue
            up = place.replace("residual", "up")
            pairs = all_pairs(rows, up, place)
            _, residual_wins, best = max(pairs, key=lambda pair: (pair[0], not pair[1], -pair[2]))
            assert ops[place] == (names[best] if residual_wins else None)
            residuals += residual_wins
        assert operations(from_operations(ops, WIDTH)).items() >= ops.items()
    assert 20 < residuals < 100 * (2 + stem_residual) - 20


@pytest.mark.parametrize(("stem_residual", "final_normal"), VARIANTS)
@pytest.mark.parametrize("spread", [1e-9, 1.0, 10.0])
def test_the_best_architecture_is_the_pruned_one(
    stem_residual: bool, final_normal: bool, spread: float
) -> None:
    """Also where scores differ by so little that their sums are equal in floating point."""
    places = candidates(stem_residual, final_normal)
    for seed, ties in itertools.product(range(2), (False, True)):
        rows = drawn(seed, places, spread, ties)
        assert best_architectures(rows, 1)[0].operations == prune(rows)


def test_a_difference_that_vanishes_in_the_sum_still_counts() -> None:
    rows = drawn(0, candidates())
    up, residual = rows["1.up"], rows["1.residual"]
    residual[2] = np.nextafter(max(up), 0)  # stronger by one unit in the last place
    residual[:2] = residual[3:] = [-9.0] * 2
    up.pop(0)
    up.append(np.nextafter(max(up), -9))
    for place in ("0.up", "2.up", "2.residual"):
        rows[place] = [-1e3, -1e3 + 1e-13, -1e3, -1e3]
    ops = prune(rows)
    assert ops["1.residual"] is not None
    assert best_architectures(rows, 1)[0].operations == ops


def test_asking_for_more_than_there_are_returns_all() -> None:
    rows = drawn(3, SMALL)
    check(rows, best_architectures(rows, 10**6), 4 * 9 * 4 * 5)
    check({"0.up": rows["0.up"]}, best_architectures({"0.up": rows["0.up"]}, 9), 4)


@pytest.mark.parametrize("ties", [False, True])
def test_the_best_of_the_whole_space_are_the_best_of_all(prices: PlacePrices, ties: bool) -> None:
    """With and without limits: all 1,166,400 architectures are scored and priced."""
    rows = drawn(5, candidates(), ties=ties)
    total, cost = everything(rows, prices)
    assert len(total) == SPACE.count()
    assert best_architectures(rows, 100, prices, Limit()) == best_architectures(rows, 100)
    low, middle = np.quantile(cost, [0.001, 0.3], axis=0).astype(int).tolist()
    for limit in (Limit(), Limit(low[0]), Limit(None, low[1]), Limit(*middle), Limit(*low)):
        most = [np.iinfo(np.int64).max if m is None else m for m in limit]
        expected = np.sort(total[(cost <= most).all(1)])[::-1][:100]
        found = best_architectures(rows, 100, prices, limit)
        check(rows, found, len(expected))
        np.testing.assert_allclose([one.score for one in found], expected, atol=1e-9)
        assert all(limit.keeps(*price(prices, one.operations)) for one in found)


@pytest.mark.parametrize(("stem_residual", "final_normal"), VARIANTS)
def test_the_prices_of_the_parts_sum_up_to_the_cost(
    stem_residual: bool, final_normal: bool
) -> None:
    side, channels, like = (48, 3, sizes(width=6)) if final_normal else (16, 1, sizes())
    found = generator_prices(like, side, channels, stem_residual, final_normal)
    places = candidates(stem_residual, final_normal)
    assert list(found.ops) == list(places)
    draw = random.Random(side)
    for _ in range(5):
        genome = DEGASSpace(stem_residual, final_normal).sample(draw, like.width)
        ops = {place: op for place, op in operations(genome).items() if place in places}
        assert price(found, ops) == generator_price(genome, side, channels)


@pytest.mark.parametrize(("stem_residual", "final_normal"), [(False, False), (True, True)])
def test_no_generator_is_smaller_than_the_cheapest(stem_residual: bool, final_normal: bool) -> None:
    found = generator_prices(sizes(), SIDE, CHANNELS, stem_residual, final_normal)
    least = cheapest(found)
    # Skips, and a 1x1 convolution with its batch norm and bias in each up-sampling.
    assert least.parameters == found.base.parameters + 3 * (WIDTH**2 + WIDTH + 2 * WIDTH)
    rows = drawn(9, candidates(stem_residual, final_normal))
    smallest = best_architectures(rows, 10, found, Limit(*least))
    assert smallest
    assert {price(found, one.operations) for one in smallest} == {least}
    for below in (Limit(least.parameters - 1, None), Limit(None, least.macs - 1)):
        assert best_architectures(rows, 1, found, below) == []


def test_the_published_width_has_the_published_range_of_parameters() -> None:
    """0.32 to 3.66 million, from the weights of the operations alone."""
    found = generator_prices(sizes(width=128), 32, 3)
    largest = {
        place: ops[int(np.argmax([one.parameters for one in found.ops[place]]))]
        for place, ops in candidates().items()
    }
    assert cheapest(found).parameters == pytest.approx(0.32e6, rel=0.02)
    assert price(found, largest).parameters == pytest.approx(3.66e6, rel=0.02)
