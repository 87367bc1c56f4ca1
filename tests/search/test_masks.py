"""Limits are exact: what is drawn keeps them, and everything that keeps them can be drawn."""

import random

import pytest
import torch

from gan_nas.networks.cost import generator_price
from gan_nas.search.autogan.masks import TokenMasks
from gan_nas.search.best import Limit
from gan_nas.spaces.autogan import NUM_CELLS, decode, token_sizes

SIZES = decode((0,) * 14, 16)
RESOLUTION, CHANNELS = 16, 1


@pytest.fixture(scope="module")
def free() -> TokenMasks:
    return TokenMasks(Limit(), SIZES, RESOLUTION, CHANNELS)


def draw(rng: random.Random) -> tuple[int, ...]:
    return tuple(rng.randrange(n) for i in range(NUM_CELLS) for n in token_sizes(i))


def test_a_price_is_the_counted_cost_of_the_network(free: TokenMasks) -> None:
    rng = random.Random(0)
    for _ in range(6):
        tokens = draw(rng)
        assert free.price(tokens) == generator_price(decode(tokens, 16), RESOLUTION, CHANNELS)


@pytest.mark.parametrize(
    ("params", "macs"),
    [(None, None), (23_000, None), (None, 1_650_000), (24_000, 1_700_000)],
)
def test_what_follows_the_masks_keeps_the_limits_and_nothing_else_is_forbidden(
    params: int | None, macs: int | None
) -> None:
    masks = TokenMasks(Limit(params, macs), SIZES, RESOLUTION, CHANNELS)
    rng = random.Random(2)
    for _ in range(100):
        tokens: tuple[int, ...] = ()
        while len(tokens) < 14:
            (mask,) = masks.of([tokens])
            assert mask.any()
            tokens += (rng.choice(torch.nonzero(mask)[:, 0].tolist()),)
        price = masks.price(tokens)
        assert price.parameters <= (params or price.parameters)
        assert price.macs <= (macs or price.macs)
    for _ in range(300):
        tokens = draw(rng)
        price = masks.price(tokens)
        fits = price.parameters <= (params or 1 << 60) and price.macs <= (macs or 1 << 60)
        reachable = all(bool(masks.of([tokens[:i]])[0, tokens[i]]) for i in range(14))
        assert fits == reachable
