"""What generators cost, part by part, and the best of them within a limit: both exact."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from gan_nas.networks.cost import generator_price
from gan_nas.search.adversarialnas.derivation import (
    CellPrices,
    best_architectures,
    best_generators,
    cheapest,
)
from gan_nas.search.adversarialnas.prices import generator_prices
from gan_nas.search.best import Limit, Price
from gan_nas.spaces.adversarialnas import (
    SPACE,
    UP_CELLS,
    AdversarialNASGenerator,
    UpCell,
    candidates,
    is_valid,
    live_edges,
)

OPS = candidates(UpCell)
SIDE, CHANNELS, WIDTH = 16, 1, 5
UNLIKELY = -1000.0
Edges = Mapping[str, str]
Rows = dict[str, list[float]]


def drawn(number: int, seed: int = 0, **changes: Any) -> list[AdversarialNASGenerator]:
    draw = random.Random(seed)
    content = [SPACE.sample(draw, WIDTH).model_dump() | changes for _ in range(number)]
    return [AdversarialNASGenerator.model_validate(one) for one in content]


def edges_of(genome: AdversarialNASGenerator) -> list[dict[str, str]]:
    return [cell.edges for cell in genome.cells]


def with_dead_nodes(genome: AdversarialNASGenerator, first: int) -> AdversarialNASGenerator:
    """Let nodes 1 and 3 of the cells from `first` on reach nothing, whatever leads to them."""
    cells = edges_of(genome)
    for edges in cells[first:]:
        edges |= {"1-4": "none", "2-4": "conv_3x3", "3-4": "none"}
    return AdversarialNASGenerator.model_validate(genome.model_dump() | {"cells": tuple(cells)})


def log_probabilities(seed: int) -> list[Rows]:
    rng = np.random.default_rng(seed)
    return [
        {edge: np.log(rng.dirichlet([1.0] * len(ops))).tolist() for edge, ops in OPS.items()}
        for _ in UP_CELLS
    ]


def score(row: Rows, edges: Edges) -> float:
    return sum(row[edge][OPS[edge].index(op)] for edge, op in edges.items())


def cell_price(prices: CellPrices, index: int, edges: Edges, node_3_is_used: bool) -> Price:
    live = live_edges(edges, node_3_is_used)
    parts = [prices.ops[index][edge][OPS[edge].index(edges[edge])] for edge in live]
    if node_3_is_used:
        parts.append(prices.skips[index])
    return Price(sum(p.parameters for p in parts), sum(p.macs for p in parts))


def price(prices: CellPrices, cells: Sequence[Edges]) -> Price:
    """Sum up what reaches the output; a node 3 does through its own edge 3-4 or a later cell's."""
    parts = [prices.base]
    for index, edges in enumerate(cells):
        node_3_is_used = any(cell["3-4"] != "none" for cell in cells[index:])
        parts.append(cell_price(prices, index, edges, node_3_is_used))
    return Price(sum(p.parameters for p in parts), sum(p.macs for p in parts))


@pytest.fixture(scope="module")
def prices() -> CellPrices:
    return generator_prices(drawn(1)[0], SIDE, CHANNELS)


@pytest.mark.parametrize(
    ("side", "channels", "changes"),
    [(16, 1, {}), (32, 3, {"width": 8}), (48, 3, {"num_latent_parts": 2})],
)
def test_the_prices_of_the_parts_sum_up_to_the_cost(
    side: int, channels: int, changes: dict[str, Any]
) -> None:
    genomes = drawn(5, side, **changes)
    genomes += [with_dead_nodes(genomes[i], i % 3) for i in range(3)]
    found = generator_prices(genomes[0], side, channels)
    for genome in genomes:
        assert price(found, edges_of(genome)) == generator_price(genome, side, channels)


def test_the_best_within_limits_are_the_best_of_all_that_keep_them(prices: CellPrices) -> None:
    """Two operations an edge leave 2 million generators: price and score all of them."""
    rng = np.random.default_rng(1)
    rows = log_probabilities(1)
    cells: list[list[Edges]] = []
    for row in rows:
        for edge, values in row.items():
            kept = {0, 4} if edge == "3-4" else set(rng.permutation(len(values))[:2].tolist())
            values[:] = [v if i in kept else UNLIKELY for i, v in enumerate(values)]
        likely = [[op for op, v in zip(OPS[e], row[e], strict=True) if v > UNLIKELY] for e in OPS]
        grid = np.stack(np.meshgrid(*likely, indexing="ij"), -1).reshape(-1, len(OPS))
        possible = [dict(zip(OPS, ops, strict=True)) for ops in grid.tolist()]
        cells.append([edges for edges in possible if is_valid(edges)])
    scores = [
        np.array([score(row, one) for one in of_cell])
        for row, of_cell in zip(rows, cells, strict=True)
    ]
    total = scores[0][:, None, None] + scores[1][:, None] + scores[2]
    uses = [np.array([one["3-4"] != "none" for one in of_cell]) for of_cell in cells]
    is_used = [
        uses[0][:, None, None] | uses[1][:, None] | uses[2],
        (uses[1][:, None] | uses[2])[None],
        uses[2][None, None],
    ]
    cost = np.zeros((*total.shape, 2), np.int64) + prices.base
    shapes = [(-1, 1, 1, 2), (1, -1, 1, 2), (1, 1, -1, 2)]
    for index, (of_cell, used, shape) in enumerate(zip(cells, is_used, shapes, strict=True)):
        alive, not_alive = (
            np.array([cell_price(prices, index, one, is_alive) for one in of_cell]).reshape(shape)
            for is_alive in (True, False)
        )
        cost += np.where(used[..., None], alive, not_alive)
    low, middle = np.quantile(cost.reshape(-1, 2), [0.001, 0.3], axis=0).astype(int).tolist()
    assert best_generators(UP_CELLS, rows, 25, prices, Limit()) == (
        best_architectures(UP_CELLS, rows, 25)
    )
    for limit in (Limit(), Limit(low[0], None), Limit(None, low[1]), Limit(*middle)):
        most = [np.iinfo(np.int64).max if m is None else m for m in limit]
        expected = np.sort(total[(cost <= most).all(-1)])[::-1][:25]
        assert len(expected) == 25
        found = best_generators(UP_CELLS, rows, 25, prices, limit)
        np.testing.assert_allclose([one.log_probability for one in found], expected, rtol=1e-12)
        summed = [sum(map(score, rows, one.cells)) for one in found]
        np.testing.assert_allclose(summed, expected, rtol=1e-12)
        assert all(limit.keeps(*price(prices, one.cells)) for one in found)
        assert len({str(one.cells) for one in found}) == 25


def test_the_smallest_generator_is_what_it_must_be_and_no_limit_below_it_can_be_kept(
    prices: CellPrices,
) -> None:
    least = cheapest(UP_CELLS, prices)
    # A 1x1 convolution after up-sampling in each cell, then the identity to node 4.
    pixels = sum((SIDE >> i) ** 2 for i in range(3))
    assert least.parameters == prices.base.parameters + 3 * (WIDTH**2 + WIDTH)
    assert least.macs == prices.base.macs + WIDTH**2 * pixels
    drawn_costs = [price(prices, edges_of(genome)) for genome in drawn(300)]
    assert least.parameters < min(cost.parameters for cost in drawn_costs)
    assert least.macs < min(cost.macs for cost in drawn_costs)
    rows = log_probabilities(5)
    found = best_generators(UP_CELLS, rows, 10, prices, Limit(*least))
    assert len(found) == 10
    assert {price(prices, one.cells) for one in found} == {least}
    for below in (Limit(least.parameters - 1, None), Limit(None, least.macs - 1)):
        assert best_generators(UP_CELLS, rows, 1, prices, below) == []
