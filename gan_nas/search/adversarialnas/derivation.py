"""From log-probabilities of operations to architectures: the published way, and the best K exactly.

AdversarialNAS (Gao et al. 2020), sec. 3.2: an edge takes its likeliest operation, `none` included.
The authors' code then repairs nodes left without input. The best K are those valid architectures
whose operations have the highest summed log-probability, each edge under its own softmax.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_nas.search.best import Limit, Options, PlaceScores, Price, best_within, combine
from gan_nas.search.best import cheapest as cheapest_of
from gan_nas.spaces.adversarialnas import CellType, candidates, is_valid, live_edges, needs

SoftmaxOver = Literal["operations", "edges"]


class ScoredArchitecture(NamedTuple):
    """An architecture, edge -> operation for each cell, and its summed log-probability."""

    cells: tuple[dict[str, str], ...]
    log_probability: float


def derive_cell(cell: CellType, scores: PlaceScores) -> dict[str, str]:
    """Take the best operation of each edge, then repair as the authors' code does.

    Of the edges that a node needs one of, the one whose `none` scores least gets its best other
    operation; ties go to the first.
    """
    ops = candidates(cell)
    edges = {edge: names[_first_best(scores[edge][: len(names)])] for edge, names in ops.items()}
    for group in needs(edges):  # lazily: a repair may make another one necessary
        if all(edges[edge] == "none" for edge in group):
            edge = min(group, key=lambda edge: scores[edge][0])
            edges[edge] = ops[edge][1 + _first_best(scores[edge][1 : len(ops[edge])])]
    return edges


def derive_published(
    cells: Sequence[CellType],
    normal: NDArray[np.float64],
    others: NDArray[np.float64],
    *,
    softmax_over: SoftmaxOver = "operations",
) -> list[dict[str, str]]:
    """Derive from logits as the authors' files hold them: (cells, 5, 7) and (cells, 2, operations).

    Their discriminators were derived from a softmax of the normal edges over the edges of a cell,
    an oversight that changes about a third of the choices: `softmax_over` edges repeats it.
    """
    shifted = np.exp(normal - normal.max())
    axis = 2 if softmax_over == "operations" else 1
    probabilities = shifted / shifted.sum(axis, keepdims=True)
    derived = []
    for cell, of_normal, of_others in zip(cells, probabilities, others, strict=True):
        rows = {5: iter(of_normal.tolist()), 2: iter(of_others.tolist())}
        kinds = {
            edge: 2 if set(ops).isdisjoint({"none", "conv_1x1"}) else 5
            for edge, ops in candidates(cell).items()
        }
        derived.append(derive_cell(cell, {edge: next(rows[kind]) for edge, kind in kinds.items()}))
    return derived


def log_probability_of(
    cells: Sequence[CellType], chosen: Sequence[Mapping[str, str]], scores: Sequence[PlaceScores]
) -> float:
    """Return the summed score of the operations that an architecture has."""
    return sum(
        row[edge][candidates(cell)[edge].index(op)]
        for cell, ops, row in zip(cells, chosen, scores, strict=True)
        for edge, op in ops.items()
    )


def best_architectures(
    cells: Sequence[CellType], scores: Sequence[PlaceScores], count: int
) -> list[ScoredArchitecture]:
    """Return the `count` valid architectures of highest summed score, best first; fewer if less.

    Exact: a cell of one of the best K is among the best K in its place.
    """
    tables = [_Table(cell, row) for cell, row in zip(cells, scores, strict=True)]
    heads = [table.options(np.flatnonzero(table.valid), count) for table in tables]
    return _found(tables, combine(heads, count))


class CellPrices(NamedTuple):
    """What a generator is made of: cells' operations by edge, skips into each cell, the rest."""

    ops: Sequence[Mapping[str, Sequence[Price]]]
    skips: Sequence[Price]
    base: Price


def best_generators(
    cells: Sequence[CellType],
    scores: Sequence[PlaceScores],
    count: int,
    prices: CellPrices,
    limit: Limit,
) -> list[ScoredArchitecture]:
    """Return the `count` best valid generators that keep within a limit, best first.

    What does not reach the output costs nothing, so the price of a cell depends on whether its
    node 3 is used, by itself or by a later cell: each way to use it is searched apart. Within
    one, cells of equal price compete; combinations of prices that keep within the limit are
    opened in the order of the best score in them, until none can beat what was found. Exact.
    """
    tables = [_Table(cell, row) for cell, row in zip(cells, scores, strict=True)]
    closed: list[tuple[float, list[Options]]] = []  # combinations of prices, by their best score
    for groups in _ways(tables, prices):
        heads = [
            [table.options(of_price, count) for _, of_price in of_cell]
            for table, of_cell in zip(tables, groups, strict=True)
        ]
        parts = [_bests(*one) for one in zip(heads, groups, strict=True)]
        best = best_within(parts, count, prices.base, limit)
        closed += [
            (score, [of_cell[n] for of_cell, n in zip(heads, row, strict=True)])
            for score, row in zip(best.scores.tolist(), best.numbers.tolist(), strict=True)
        ]
    found: Options | None = None
    for bound, group in sorted(closed, key=lambda one: -one[0])[:count]:
        if found and len(found.scores) == count and bound <= found.scores[-1]:
            break
        opened = combine(group, count)
        found = _better(found, opened, count) if found else opened
    return _found(tables, found) if found else []


def cheapest(cells: Sequence[CellType], prices: CellPrices) -> Price:
    """Return the fewest parameters and the fewest multiply-adds of any, each on its own."""
    tables = [_Table(cell, None) for cell in cells]
    totals = [
        cheapest_of(prices.base, [np.stack([price for price, _ in group]) for group in groups])
        for groups in _ways(tables, prices)
    ]
    return Price(*(min(one) for one in zip(*totals, strict=True)))


class _Table:
    """All cells of a kind as arrays: operation numbers, scores, validity, what is alive."""

    def __init__(self, cell: CellType, scores: PlaceScores | None) -> None:
        self.ops = candidates(cell)
        sizes = [len(names) for names in self.ops.values()]
        self.numbers = np.indices(sizes, dtype=np.int8).reshape(len(sizes), -1)
        self.scores = np.zeros(self.numbers.shape[1])
        if scores is not None:
            for edge, numbers in zip(self.ops, self.numbers, strict=True):
                self.scores += np.asarray(scores[edge])[numbers]
        # Which edges are `none` decides validity and life: few patterns stand for all cells.
        self.pattern = np.zeros(self.numbers.shape[1], np.int64)
        for bit, (names, numbers) in enumerate(zip(self.ops.values(), self.numbers, strict=True)):
            if "none" in names:
                self.pattern |= (numbers == names.index("none")).astype(np.int64) << bit
        self.valid = self._of_pattern(is_valid)
        self.uses_node_3 = self._of_pattern(lambda edges: edges.get("3-4") == "kept")

    def priced(
        self, prices: Mapping[str, Sequence[Price]], skips: Price, node_3_is_used: bool
    ) -> NDArray[np.int64]:
        """Return the price of every cell, (number of cells, 2)."""
        total = np.zeros((self.numbers.shape[1], 2), np.int64)
        for edge, numbers in zip(self.ops, self.numbers, strict=True):
            live = self._of_pattern(partial(_lives, edge, node_3_is_used))
            total += np.asarray(prices[edge], np.int64)[numbers] * live[:, None]
        if node_3_is_used:
            total += np.asarray(skips)
        return total

    def options(self, chosen: NDArray[np.int64], count: int) -> Options:
        """Return the best `count` of the chosen cells, in order; ties in theirs. Free of price."""
        head = chosen[np.argsort(-self.scores[chosen], kind="stable")[:count]]
        return Options(
            self.scores[head], np.zeros((2, len(head)), np.int64), head.astype(np.int32)[:, None]
        )

    def edges(self, index: int) -> dict[str, str]:
        """Return the operations of a cell."""
        numbers = self.numbers[:, index].tolist()
        return {e: names[n] for (e, names), n in zip(self.ops.items(), numbers, strict=True)}

    def _of_pattern(self, tell: Callable[[dict[str, str]], bool]) -> NDArray[np.bool_]:
        known = np.zeros(1 << len(self.ops), np.bool_)
        for pattern in np.unique(self.pattern).tolist():
            edges = {e: "none" if pattern >> i & 1 else "kept" for i, e in enumerate(self.ops)}
            known[pattern] = tell(edges)
        return known[self.pattern]


Group = tuple[NDArray[np.int64], NDArray[np.int64]]  # a price, and the cells that have it


def _lives(edge: str, node_3_is_used: bool, edges: dict[str, str]) -> bool:
    return edge in live_edges(edges, node_3_is_used)


def _ways(tables: Sequence[_Table], prices: CellPrices) -> Iterator[list[list[Group]]]:
    """Yield, for each way to use the cells' nodes 3, the groups of equal price of each cell."""
    known: dict[tuple[int, bool, bool], list[Group]] = {}
    for used in itertools.product((False, True), repeat=len(tables)):
        way = []
        for index, table in enumerate(tables):
            alive = any(used[index:])
            key = index, used[index], alive
            if key not in known:
                chosen = np.flatnonzero(table.valid & (table.uses_node_3 == used[index]))
                priced = table.priced(prices.ops[index], prices.skips[index], alive)[chosen]
                known[key] = _groups(chosen, priced)
            way.append(known[key])
        yield way


def _groups(cells: NDArray[np.int64], priced: NDArray[np.int64]) -> list[Group]:
    """Group cells by their price (number of cells, 2)."""
    columns = [np.unique(column, return_inverse=True) for column in priced.T]
    (parameters, first), (macs, second) = columns
    pairs, member = np.unique(first * len(macs) + second, return_inverse=True)
    order = np.argsort(member, kind="stable")
    ends = np.cumsum(np.bincount(member))[:-1]
    unique = np.stack([parameters[pairs // len(macs)], macs[pairs % len(macs)]], 1)
    return list(zip(unique, np.split(cells[order], ends), strict=True))


def _bests(heads: Sequence[Options], groups: Sequence[Group]) -> Options:
    """Return the best cell of each group of equal price, best first, by the group's number."""
    scores = np.array([head.scores[0] for head in heads])
    order = np.argsort(-scores, kind="stable")
    prices = np.stack([price for price, _ in groups], 1)
    return Options(scores[order], prices[:, order], order.astype(np.int32)[:, None])


def _better(one: Options, other: Options, count: int) -> Options:
    """Return the best `count` of two lists, those of the first where equal."""
    scores = np.concatenate([one.scores, other.scores])
    order = np.argsort(-scores, kind="stable")[:count]
    return Options(
        scores[order],
        np.concatenate([one.prices, other.prices], 1)[:, order],
        np.concatenate([one.numbers, other.numbers])[order],
    )


def _found(tables: Sequence[_Table], best: Options) -> list[ScoredArchitecture]:
    return [
        ScoredArchitecture(
            tuple(t.edges(number) for t, number in zip(tables, row, strict=True)), score
        )
        for score, row in zip(best.scores.tolist(), best.numbers.tolist(), strict=True)
    ]


def _first_best(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)
