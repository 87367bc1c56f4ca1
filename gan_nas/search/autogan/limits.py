"""Limits on parameters and multiply-adds, as masks on the tokens a controller may draw.

A generator's cost is the sum of its cells' and of its stem and to-RGB, so it is known before
anything is built. A token is allowed when some completion of the architecture keeps within all
limits: a prefix counts with its cheapest completion, and what breaks a limit is never drawn.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.networks.autogan import AutoGANUpCell, autogan_choices
from gan_nas.networks.cost import generator_cost, num_parameters, published_macs
from gan_nas.networks.resolution import bottom_width
from gan_nas.networks.slots import fixed
from gan_nas.spaces.autogan import (
    NUM_CELLS,
    AutoGANGenerator,
    Tokens,
    decode,
    decode_cell,
    enumerate_cells,
    token_sizes,
)


class Price(NamedTuple):
    """Parameters and multiply-adds at the derived width and full resolution."""

    parameters: int
    macs: int

    def plus(self, other: "Price") -> "Price":
        """Add up."""
        return Price(self.parameters + other.parameters, self.macs + other.macs)


class Limits:
    """Which architectures of the AutoGAN space keep within limits; None is no limit.

    `sizes` is any generator with the derived width and latent length. Raises InvalidInput when
    nothing fits, naming the smallest possible values.
    """

    def __init__(
        self,
        max_params: int | None,
        max_macs: int | None,
        sizes: AutoGANGenerator,
        resolution: int,
        image_channels: int,
    ) -> None:
        given = ((max_params, "parameters"), (max_macs, "multiply-adds"))
        self.words = " and ".join(f"{limit:,} {what}" for limit, what in given if limit is not None)
        infinite = 1 << 62
        self.limit = Price(
            infinite if max_params is None else max_params,
            infinite if max_macs is None else max_macs,
        )
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
        self._rests: list[list[Price]] = [[Price(0, 0)]]
        for prices in reversed(self._prices):
            sums = [a.plus(b) for a, b in product(set(prices.values()), self._rests[0])]
            self._rests.insert(0, _unbeaten(sums))
        if not self._fits(self._base, 0):
            cheapest = [self._base.plus(rest) for rest in self._rests[0]]
            raise InvalidInput(
                f"no architecture keeps within {self.words} at width {sizes.width}; the smallest "
                "possible are "
                f"{min(p.parameters for p in cheapest):,} parameters and "
                f"{min(p.macs for p in cheapest):,} multiply-adds"
            )
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

    def masks(self, prefixes: Sequence[Tokens]) -> Tensor:
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
            total.parameters <= self.limit.parameters and total.macs <= self.limit.macs
            for total in totals
        )


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
