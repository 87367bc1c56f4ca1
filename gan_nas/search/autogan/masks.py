"""Limits on parameters and multiply-adds, as masks on the tokens a controller may draw.

A generator's cost is the sum of its cells' and of its stem and to-RGB, so it is known before
anything is built. A token is allowed when some completion of the architecture keeps within all
limits: a prefix counts with its cheapest completion, and what breaks a limit is never drawn.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product

import torch
from torch import Tensor

from gan_nas.networks.autogan import AutoGANUpCell, autogan_choices
from gan_nas.networks.cost import generator_cost, num_parameters, published_macs
from gan_nas.networks.resolution import bottom_width
from gan_nas.networks.slots import fixed
from gan_nas.search.autogan.config import Config
from gan_nas.search.best import FREE, NO_LIMIT, Limit, Price, out_of_reach
from gan_nas.search.method import Task
from gan_nas.spaces.autogan import (
    NUM_CELLS,
    AutoGANGenerator,
    Tokens,
    decode,
    decode_cell,
    enumerate_cells,
    token_sizes,
)


def masks_of(task: Task[Config], limit: Limit) -> "TokenMasks | None":
    """Return which tokens keep within a limit; raises InvalidInput when nothing does."""
    if limit == Limit():
        return None
    sizes = decode((0,) * 14, task.config.derived_width, task.config.latent_dim)
    return TokenMasks(limit, sizes, task.side, task.channels)


class TokenMasks:
    """Which tokens lead to architectures of the AutoGAN space that keep within a limit.

    `sizes` is any generator with the derived width and latent length. Raises InvalidInput when
    nothing fits, naming the smallest possible values.
    """

    def __init__(
        self,
        limit: Limit,
        sizes: AutoGANGenerator,
        resolution: int,
        image_channels: int,
    ) -> None:
        self.limit = limit
        self._most = Price(*(NO_LIMIT if most is None else most for most in limit))
        self._prices = [
            {t: _cell_price(i, t, sizes.width, resolution) for t in enumerate_cells(i)}
            for i in range(NUM_CELLS)
        ]
        smallest = tuple(0 for i in range(NUM_CELLS) for _ in token_sizes(i))
        whole = generator_cost(
            decode(smallest, sizes.width, sizes.latent_dim), resolution, image_channels
        )
        cells = [self._prices[i][(0,) * len(token_sizes(i))] for i in range(NUM_CELLS)]
        self._base = Price(
            whole.parameters - sum(cell.parameters for cell in cells),
            whole.macs - sum(cell.macs for cell in cells),
        )
        # For the cells from i on, the completions no other one beats in both.
        self._rests: list[list[Price]] = [[FREE]]
        for prices in reversed(self._prices):
            sums = [a.plus(b) for a, b in product(set(prices.values()), self._rests[0])]
            self._rests.insert(0, _unbeaten(sums))
        if not self._fits(self._base, 0):
            cheapest = [self._base.plus(rest) for rest in self._rests[0]]
            least = (min(prices) for prices in zip(*cheapest, strict=True))
            raise out_of_reach(limit, sizes.width, Price(*least))
        self._allowed = cache(self._allowed_tokens)

    def price(self, tokens: Sequence[int]) -> Price:
        """Return what a whole vector of 14 tokens costs."""
        total, rest = self._base, tuple(tokens)
        for i in range(NUM_CELLS):
            size = len(token_sizes(i))
            total, rest = total.plus(self._prices[i][rest[:size]]), rest[size:]
        return total

    def can_complete(self, prefix: Tokens) -> bool:
        """Tell whether some architecture that starts with these tokens keeps within the limits."""
        return any(self._allowed(prefix))

    def of(self, prefixes: Sequence[Tokens]) -> Tensor:
        """Return which next tokens are allowed after each prefix: bool (B, choices)."""
        return torch.tensor([self._allowed(prefix) for prefix in prefixes], device="cpu")

    def _allowed_tokens(self, prefix: Tokens) -> tuple[bool, ...]:
        spent, index = self._base, 0
        while len(prefix) >= (size := len(token_sizes(index))):
            spent = spent.plus(self._prices[index][prefix[:size]])
            prefix, index = prefix[size:], index + 1
        place = len(prefix)
        return tuple(
            any(
                self._fits(spent.plus(price), index + 1)
                for tokens, price in self._prices[index].items()
                if tokens[: place + 1] == (*prefix, choice)
            )
            for choice in range(token_sizes(index)[place])
        )

    def _fits(self, spent: Price, next_cell: int) -> bool:
        totals = (spent.plus(rest) for rest in self._rests[next_cell])
        return any(
            total.parameters <= self._most.parameters and total.macs <= self._most.macs
            for total in totals
        )


@cache  # a run looks at its limits several times, and there are 252 cells
def _cell_price(index: int, tokens: Tokens, width: int, resolution: int) -> Price:
    side = bottom_width(resolution, NUM_CELLS) * 2**index
    fill = fixed(autogan_choices(decode_cell(index, tokens), index))
    with torch.device("meta"):
        cell = AutoGANUpCell(index, width, fill, "post")
        skips = [torch.empty(1, width, side // 2**k, side // 2**k) for k in range(index)][::-1]
        macs = published_macs(cell, torch.empty(1, width, side, side), skips)
    return Price(num_parameters(cell), macs)


def _unbeaten(prices: Sequence[Price]) -> list[Price]:
    kept: list[Price] = []
    for price in sorted(set(prices)):  # by parameters, then multiply-adds
        if not kept or price.macs < kept[-1].macs:
            kept.append(price)
    return kept
