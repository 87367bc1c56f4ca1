"""What generators cost, part by part, and the best of them within a limit: both exact."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from gan_nas.networks.builder import build_generator
from gan_nas.networks.cost import generator_cost, num_parameters, published_macs
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
NO_LIMIT = Limit(None, None)
UNLIKELY = -1000.0
Edges = Mapping[str, str]
Rows = dict[str, list[float]]


def drawn(number: int, seed: int = 0, **changes: Any) -> list[AdversarialNASGenerator]:
    draw = random.Random(seed)
    content = [SPACE.sample(draw, WIDTH).model_dump() | changes for _ in range(number)]
    return [AdversarialNASGenerator.model_validate(one) for one in content]


def edges_of(genome: AdversarialNASGenerator) -> list[dict[str, str]]:
    return [cell.edges for cell in genome.cells]


def generator(cells: Sequence[Edges], like: AdversarialNASGenerator) -> AdversarialNASGenerator:
    return AdversarialNASGenerator.model_validate(like.model_dump() | {"cells": tuple(cells)})


def unused_node_3(genome: AdversarialNASGenerator, first: int) -> AdversarialNASGenerator:
    """Leave edge 3-4 out of the cells from `first` on; their node 4 keeps an input."""
    cells = edges_of(genome)
    for edges in cells[first:]:
        edges["3-4"] = "none"
        if edges["1-4"] == edges["2-4"] == "none":
            edges["2-4"] = "conv_3x3"
    return generator(cells, genome)


def log_probabilities(seed: int) -> list[Rows]:
    rng = np.random.default_rng(seed)
    return [
        {edge: np.log(rng.dirichlet([1.0] * len(ops))).tolist() for edge, ops in OPS.items()}
        for _ in UP_CELLS
    ]


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


def counted(genome: AdversarialNASGenerator, side: int, channels: int) -> Price:
    """Count a built generator, as `generator_cost` does, but nothing else."""
    with torch.device("meta"):
        network = build_generator(genome, side, channels)
        z = torch.empty(1, genome.latent_dim)
        return Price(num_parameters(network), published_macs(network, z))


def keeps(cost: Price, limit: Limit) -> bool:
    return all(most is None or one <= most for one, most in zip(cost, limit, strict=True))


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
    genomes = drawn(7, side, **changes)
    genomes += [unused_node_3(genomes[i], i % 3) for i in range(3)]
    found = generator_prices(genomes[0], side, channels)
    for genome in genomes:
        assert price(found, edges_of(genome)) == counted(genome, side, channels)
    cost = generator_cost(genomes[0], side, channels)
    assert counted(genomes[0], side, channels) == Price(cost.parameters, cost.macs)


def test_what_does_not_reach_the_output_is_free(prices: CellPrices) -> None:
    alive = {
        "0-1": "bilinear",
        "0-2": "nearest",
        "1-3": "conv_3x3",
        "2-3": "none",
        "1-4": "none",
        "2-4": "conv_3x3",
        "3-4": "conv_1x1",
    }
    dead = alive | {"3-4": "none"}  # nodes 1 and 3 reach nothing
    bigger = dead | {"0-1": "deconv", "1-3": "conv_5x5"}
    assert price(prices, [alive, alive, dead]) == price(prices, [alive, alive, bigger])
    assert price(prices, [dead, dead, dead]) == price(prices, [bigger, bigger, bigger])
    used_later = [price(prices, [cell, alive, dead]) for cell in (dead, bigger)]
    assert used_later[0].parameters < used_later[1].parameters  # by the skips into cell 1
    for cells in ([alive, alive, bigger], [bigger, bigger, bigger], [bigger, alive, dead]):
        assert price(prices, cells) == counted(generator(cells, drawn(1)[0]), SIDE, CHANNELS)


def test_without_limits_nothing_changes(prices: CellPrices) -> None:
    rows = log_probabilities(0)
    found = best_generators(UP_CELLS, rows, 20, prices, NO_LIMIT)
    assert found == best_architectures(UP_CELLS, rows, 20)


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
        np.array([sum(row[e][OPS[e].index(op)] for e, op in one.items()) for one in of_cell])
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
    for limit in (Limit(low[0], None), Limit(None, low[1]), Limit(*middle)):
        most = [np.iinfo(np.int64).max if m is None else m for m in limit]
        expected = np.sort(total[(cost <= most).all(-1)])[::-1][:25]
        assert len(expected) == 25
        found = best_generators(UP_CELLS, rows, 25, prices, limit)
        np.testing.assert_allclose([one.log_probability for one in found], expected, rtol=1e-12)
        assert all(keeps(price(prices, one.cells), limit) for one in found)
        assert len({str(one.cells) for one in found}) == 25


def test_limits_only_filter_the_list_of_the_best(prices: CellPrices) -> None:
    rows = log_probabilities(3)
    free = best_architectures(UP_CELLS, rows, 1500)
    costs = [price(prices, one.cells) for one in free]
    tight = Limit(*(int(np.quantile(one, 0.2)) for one in zip(*costs, strict=True)))
    kept = [one for one, cost in zip(free, costs, strict=True) if keeps(cost, tight)]
    assert 10 < len(kept) < 500
    assert best_generators(UP_CELLS, rows, 10, prices, tight) == kept[:10]
    cost = generator_cost(generator(kept[0].cells, drawn(1)[0]), SIDE, CHANNELS)
    assert keeps(Price(cost.parameters, cost.macs), tight)


def test_an_architecture_with_large_dead_operations_keeps_a_limit_of_its_live_ones(
    prices: CellPrices,
) -> None:
    rows = log_probabilities(4)
    for edge, large in (("1-3", "conv_5x5"), ("2-3", "conv_5x5"), ("3-4", "none")):
        rows[2][edge] = [0.0 if op == large else -9.0 for op in OPS[edge]]
    (best,) = best_architectures(UP_CELLS, rows, 1)
    assert [best.cells[2][edge] for edge in ("1-3", "2-3", "3-4")] == ["conv_5x5"] * 2 + ["none"]
    exactly = Limit(*price(prices, best.cells))
    assert best_generators(UP_CELLS, rows, 1, prices, exactly) == [best]
    cheaper = exactly._replace(macs=exactly.macs - 1)  # type: ignore[operator]
    assert best_generators(UP_CELLS, rows, 1, prices, cheaper) != [best]


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
