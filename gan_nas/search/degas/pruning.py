"""From log-probabilities of operations to DEGAS' generators: the pruning, and the best K exactly.

DEGAS (Doveh & Giryes 2019), sec. 3.2, made unambiguous: the strength of an operation is its
probability under the softmax of its own edge. First, at every map, the strongest pair of an edge
into it and an operation is kept, and all other edges are dropped; of equal ones the direct edge,
then the first operation. Then the strongest operation of the direct edge joins where a residual
won.

The best K are those of highest score. A place's operation adds its log-probability. A residual
adds its own less that of the direct edge's strongest: more than nothing exactly where it won,
so that the best architecture is the pruned one and weaker residuals cost what they lack.
(Summed log-probabilities alone would never keep a residual: each is below zero.)
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from gan_nas.networks.builder import build_generator
from gan_nas.networks.cost import num_parameters, published_macs
from gan_nas.search.best import FREE, Limit, Options, PlaceScores, Price, best_within
from gan_nas.search.best import cheapest as cheapest_of
from gan_nas.spaces.degas import (
    NORMAL_OPS,
    NUM_STAGES,
    UP_OPS,
    DEGASGenerator,
    candidates,
    from_operations,
)

Operations = dict[str, str | None]  # place -> operation, None for a residual that is not there

OPS = candidates(stem_residual=True, final_normal=True)


class ScoredArchitecture(NamedTuple):
    """An architecture and its score."""

    operations: Operations
    score: float


class PlacePrices(NamedTuple):
    """What a generator is made of: the operations of each place, and the rest."""

    ops: Mapping[str, Sequence[Price]]
    base: Price


def prune(scores: PlaceScores) -> Operations:
    """Keep at each map the strongest operation, and the strongest direct one beside a residual.

    `scores` are log-probabilities by place, as in `candidates`; any subset of its places will do.
    """
    pruned: Operations = {}
    for map_places in _maps(scores):
        direct, *residual = ((place, *_strongest(scores[place])) for place in map_places)
        pruned[direct[0]] = OPS[direct[0]][direct[1]]
        for place, op, strength in residual:
            pruned[place] = OPS[place][op] if strength > direct[2] else None
    return pruned


def best_architectures(
    scores: PlaceScores, count: int, prices: PlacePrices | None = None, limit: Limit | None = None
) -> list[ScoredArchitecture]:
    """Return the `count` architectures of highest score, best first; fewer if there are no more.

    With prices and a limit, of those that keep within it. Exact. The first is what `prune` keeps,
    if the limit lets it. Of equal scores, the one whose first half of the network is better comes
    first, and so on within the halves; a single map is better with the stronger direct operation,
    then without residual, then in the order of the operations.
    """
    assert prices is not None or limit is None, "a limit needs prices"
    maps = list(_maps(scores))
    options = [_options(places, scores, prices) for places in maps]
    best = best_within(options, count, prices.base if prices else FREE, limit)
    places = [place for of_map in maps for place in of_map]
    return [
        ScoredArchitecture(
            {p: _operation(p, number) for p, number in zip(places, row, strict=True)}, score
        )
        for score, row in zip(best.scores.tolist(), best.numbers.tolist(), strict=True)
    ]


def cheapest(prices: PlacePrices) -> Price:
    """Return the fewest parameters and the fewest multiply-adds of any, each on its own."""
    needed = [ops for place, ops in prices.ops.items() if not place.endswith("residual")]
    return cheapest_of(prices.base, needed)


def generator_prices(
    sizes: DEGASGenerator,
    resolution: int,
    image_channels: int,
    stem_residual: bool = False,
    final_normal: bool = False,
) -> PlacePrices:
    """Count every operation at every place of generators of these sizes, on the meta device.

    By differences to a generator of skips, in its first stage, where a residual can be left out.
    An up-sampling costs the same on both edges, and every stage has four times the pixels of the
    one before it, hence the multiply-adds.
    """
    plain: Operations = {
        f"{stage}.{name}": op
        for stage in range(NUM_STAGES)
        for name, op in (("normal", "skip_connect"), ("up", UP_OPS[0]))
    }

    def counted(changes: Operations) -> Price:
        genome = from_operations(plain | changes, sizes.width, sizes.latent_dim)
        with torch.device("meta"):
            network = build_generator(genome, resolution, image_channels)
            z = torch.empty(1, genome.latent_dim)
            return Price(num_parameters(network), published_macs(network, z))

    whole = counted({})
    of_first_stage = {
        ops: np.asarray([counted({place: op}) for op in ops]) - whole
        for place, ops in (("0.normal", NORMAL_OPS), ("0.residual", UP_OPS))
    }
    prices = {}
    for place, ops in candidates(stem_residual, final_normal).items():
        stage = NUM_STAGES if place == "final_normal" else int(place[0])
        rows = of_first_stage[ops] * (1, 4**stage)  # type: ignore[index]
        prices[place] = [Price(*row) for row in rows.tolist()]
    ups = [prices[place][0] for place in plain if place.endswith("up")]
    return PlacePrices(
        prices,
        Price(
            whole.parameters - sum(up.parameters for up in ups),
            whole.macs - sum(up.macs for up in ups),
        ),
    )


def _options(places: Sequence[str], scores: PlaceScores, prices: PlacePrices | None) -> Options:
    """List what can make one map: direct operations, with and without each residual one."""
    direct, *residual = (np.asarray(scores[place], np.float64) for place in places)
    none = len(OPS[places[0]])
    # Without a residual first: of equal scores it wins.
    bonus = np.concatenate([[0.0], *(row - direct.max() for row in residual)])
    i, j = (grid.ravel() for grid in np.indices((len(direct), len(bonus))))
    total = direct[i] + bonus[j]
    # By the direct score where rounding makes sums equal, as `prune` compares.
    order = np.lexsort((-bonus[j], -direct[i], -total))
    columns = [i, np.where(j == 0, none, j - 1)][: len(places)]
    cost = np.zeros((2, len(i)), np.int64)
    if prices is not None:
        for place, column in zip(places, columns, strict=True):
            cost += np.asarray([*prices.ops[place], FREE], np.int64)[column].T
    return Options(total[order], cost[:, order], np.stack(columns, 1)[order].astype(np.int32))


def _operation(place: str, number: int) -> str | None:
    """Return an operation by its number: one past the last is none."""
    return OPS[place][number] if number < len(OPS[place]) else None


def _maps(scores: PlaceScores) -> Iterator[list[str]]:
    """Yield the places of the edges into each map, the direct one first."""
    for place in scores:
        if not place.endswith("residual"):
            residual = place.replace("up", "residual")
            yield [place, residual] if place.endswith("up") and residual in scores else [place]


def _strongest(row: Sequence[float]) -> tuple[int, float]:
    best = max(range(len(row)), key=row.__getitem__)
    return best, row[best]
