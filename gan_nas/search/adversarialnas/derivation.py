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

from gan_nas.search.best import Limit
from gan_nas.spaces.adversarialnas import CellType, candidates, is_valid, live_edges, needs

SoftmaxOver = Literal["operations", "edges"]
Scores = Mapping[str, Sequence[float]]  # edge -> a number for each of its operations


class Found(NamedTuple):
    """An architecture, edge -> operation for each cell, and its summed log-probability."""

    cells: tuple[dict[str, str], ...]
    log_probability: float


class Price(NamedTuple):
    """What an operation, a cell or a network costs."""

    parameters: int
    macs: int


def derive_cell(cell: CellType, scores: Scores) -> dict[str, str]:
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
    cells: Sequence[CellType], chosen: Sequence[Mapping[str, str]], scores: Sequence[Scores]
) -> float:
    """Return the summed score of the operations that an architecture has."""
    return sum(
        row[edge][candidates(cell)[edge].index(op)]
        for cell, ops, row in zip(cells, chosen, scores, strict=True)
        for edge, op in ops.items()
    )


def best_architectures(
    cells: Sequence[CellType], scores: Sequence[Scores], count: int
) -> list[Found]:
    """Return the `count` valid architectures of highest summed score, best first; fewer if less.

    Exact: a cell of one of the best K is among the best K in its place.
    """
    tables = [_Table(cell, row) for cell, row in zip(cells, scores, strict=True)]
    heads = [table.best(np.flatnonzero(table.valid), count) for table in tables]
    return [_found(tables, *one) for one in _best_products(tables, heads, count)]


class Prices(NamedTuple):
    """What a generator is made of: cells' operations by edge, skips into each cell, the rest."""

    ops: Sequence[Mapping[str, Sequence[Price]]]
    skips: Sequence[Price]
    base: Price


def best_within(
    cells: Sequence[CellType],
    scores: Sequence[Scores],
    count: int,
    prices: Prices,
    limit: Limit,
) -> list[Found]:
    """Return the `count` best valid generators that keep within a limit, best first.

    What does not reach the output costs nothing, so the price of a cell depends on whether its
    node 3 is used, by itself or by a later cell: each way to use it is searched apart. Within
    one, cells of equal price compete; combinations of prices that keep within the limit are
    opened in the order of the best score in them, until none can beat what was found. Exact.
    """
    tables = [_Table(cell, row) for cell, row in zip(cells, scores, strict=True)]
    found: list[tuple[float, tuple[int, ...]]] = []
    for groups in _ways(tables, prices):
        found += _best_of_groups(tables, groups, count, prices.base, limit)
        found = sorted(found, key=lambda one: -one[0])[:count]
    return [_found(tables, *one) for one in found]


def cheapest(cells: Sequence[CellType], prices: Prices) -> Price:
    """Return the fewest parameters and the fewest multiply-adds of any, each on its own."""
    tables = [_Table(cell, None) for cell in cells]
    totals = [
        np.asarray(prices.base) + sum(np.stack([p for p, _ in group]).min(0) for group in groups)
        for groups in _ways(tables, prices)
    ]
    parameters, macs = np.stack(totals).min(0).tolist()
    return Price(parameters, macs)


class _Table:
    """All cells of a kind as arrays: operation numbers, scores, validity, what is alive."""

    def __init__(self, cell: CellType, scores: Scores | None) -> None:
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

    def best(self, chosen: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return the best `count` of the chosen cells, in order; ties in theirs."""
        return chosen[np.argsort(-self.scores[chosen], kind="stable")[:count]]

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


def _ways(tables: Sequence[_Table], prices: Prices) -> Iterator[list[list[Group]]]:
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


def _best_of_groups(
    tables: Sequence[_Table],
    groups: Sequence[Sequence[Group]],
    count: int,
    base: Price,
    limit: Limit,
) -> list[tuple[float, tuple[int, ...]]]:
    """Return the best `count` combinations within the limit: scores and cell numbers."""
    heads = [
        [table.best(cells, count) for _, cells in of_cell]
        for table, of_cell in zip(tables, groups, strict=True)
    ]
    best = [
        np.array([table.scores[head[0]] for head in of_cell])
        for table, of_cell in zip(tables, heads, strict=True)
    ]
    most = np.array([np.iinfo(np.int64).max if m is None else m for m in limit])
    bounds: list[tuple[float, tuple[int, ...]]] = []
    prices = [np.stack([price for price, _ in of_cell]) for of_cell in groups]
    pairs = prices[1][:, None] + prices[2][None]  # (groups, groups, 2)
    for first, price in enumerate(prices[0]):
        fits = np.argwhere((pairs + price + np.asarray(base) <= most).all(-1))
        bound = best[0][first] + best[1][fits[:, 0]] + best[2][fits[:, 1]]
        kept = np.argsort(-bound, kind="stable")[:count]
        bounds += [(float(bound[i]), (first, *fits[i].tolist())) for i in kept]
    found: list[tuple[float, tuple[int, ...]]] = []
    for bound, chosen in sorted(bounds, key=lambda one: -one[0])[:count]:
        if len(found) == count and bound <= found[-1][0]:
            break
        opened = [of_cell[i] for of_cell, i in zip(heads, chosen, strict=True)]
        found += _best_products(tables, opened, count)
        found = sorted(found, key=lambda one: -one[0])[:count]
    return found


def _best_products(
    tables: Sequence[_Table], heads: Sequence[NDArray[np.int64]], count: int
) -> list[tuple[float, tuple[int, ...]]]:
    """Combine one cell of each list and return the best `count`: scores and cell numbers."""
    found: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for table, head in zip(tables, heads, strict=True):
        sums = np.array([score for score, _ in found])[:, None] + table.scores[head][None]
        order = np.argsort(-sums, axis=None, kind="stable")[:count]
        pairs = zip(
            *(places.tolist() for places in np.unravel_index(order, sums.shape)), strict=True
        )
        found = [(float(sums[i, j]), (*found[i][1], int(head[j]))) for i, j in pairs]
    return found


def _found(tables: Sequence[_Table], score: float, numbers: Sequence[int]) -> Found:
    cells = tuple(table.edges(number) for table, number in zip(tables, numbers, strict=True))
    return Found(cells, score)


def _first_best(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)
