"""The search spaces as sets: tokens, counting, enumeration, sampling, published codes (no torch).

AutoGAN (Gong et al. 2019), sec. 3.1. A cell's tokens are conv, norm, up, shortcut and, after the
first cell, one skip token. Order and numbers are those of the authors' code, where the skip token
comes last and is one categorical over the 2**s subsets of earlier cells (the paper prints s binary
tokens, first): the oldest cell is the most significant bit.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from math import prod
from typing import get_args

from gan_nas.errors import InvalidInput
from gan_nas.genome import (
    AutoGANCell,
    AutoGANGenerator,
    Conv,
    Genome,
    Norm,
    SNResNetDiscriminator,
    Up,
)

CONVS: tuple[Conv, ...] = get_args(Conv)
NORMS: tuple[Norm, ...] = get_args(Norm)
UPS: tuple[Up, ...] = get_args(Up)
SPACES = ("autogan",)
NUM_CELLS = 3

Tokens = tuple[int, ...]


def token_sizes(index: int) -> Tokens:
    """Return the number of choices of each token of cell `index`."""
    sizes = (len(CONVS), len(NORMS), len(UPS), 2)
    return sizes if index == 0 else (*sizes, 2**index)


def num_cells_of(tokens: Sequence[int]) -> int:
    """Return how many whole cells a token vector holds."""
    starts = list(itertools.accumulate(len(token_sizes(i)) for i in range(NUM_CELLS)))
    if len(tokens) not in starts:
        raise InvalidInput(f"a vector of {len(tokens)} tokens ends inside a cell; use {starts}")
    return starts.index(len(tokens)) + 1


def split_tokens(tokens: Sequence[int]) -> list[Tokens]:
    """Cut a token vector of one to three cells into its cells."""
    parts, rest = [], tuple(tokens)
    for index in range(num_cells_of(tokens)):
        size = len(token_sizes(index))
        parts.append(rest[:size])
        rest = rest[size:]
    return parts


def decode_cell(index: int, tokens: Sequence[int]) -> AutoGANCell:
    """Turn the tokens of cell `index` into its model; raises InvalidInput beyond the choices."""
    for place, (token, size) in enumerate(zip(tokens, token_sizes(index), strict=True)):
        if not 0 <= token < size:
            raise InvalidInput(
                f"token {place} of cell {index} is {token}, allowed are 0 to {size - 1}"
            )
    conv, norm, up, shortcut, *skip = tokens
    bits = skip[0] if skip else 0
    return AutoGANCell(
        conv=CONVS[conv],
        norm=NORMS[norm],
        up=UPS[up],
        shortcut=bool(shortcut),
        skips=tuple(j for j in range(index) if bits >> (index - 1 - j) & 1),
    )


def encode_cell(index: int, cell: AutoGANCell) -> Tokens:
    """Turn a cell into its tokens."""
    tokens = (CONVS.index(cell.conv), NORMS.index(cell.norm), UPS.index(cell.up))
    skip = sum(1 << (index - 1 - j) for j in cell.skips)
    return (*tokens, int(cell.shortcut)) if index == 0 else (*tokens, int(cell.shortcut), skip)


def decode(tokens: Sequence[int], width: int, latent_dim: int = 128) -> AutoGANGenerator:
    """Turn the published 14-integer vector into a generator."""
    if num_cells_of(tokens) != NUM_CELLS:
        raise InvalidInput(f"a generator has 14 tokens, these are {len(tokens)}")
    cells = tuple(decode_cell(i, part) for i, part in enumerate(split_tokens(tokens)))
    return AutoGANGenerator(space="autogan", width=width, latent_dim=latent_dim, cells=cells)


def encode(generator: AutoGANGenerator) -> Tokens:
    """Turn a generator into the published 14-integer vector."""
    return tuple(t for i, cell in enumerate(generator.cells) for t in encode_cell(i, cell))


def enumerate_cells(index: int) -> Iterator[Tokens]:
    """Yield the tokens of every possible cell `index`."""
    return itertools.product(*(range(size) for size in token_sizes(index)))


def enumerate_space() -> Iterator[Tokens]:
    """Yield every vector of the space, all 373,248 of them."""
    for cells in itertools.product(*(list(enumerate_cells(i)) for i in range(NUM_CELLS))):
        yield tuple(itertools.chain(*cells))


def count(num_cells: int = NUM_CELLS) -> int:
    """Count the architectures with `num_cells` cells: 36, 2,592 or 373,248."""
    return prod(prod(token_sizes(i)) for i in range(num_cells))


def sample_genomes(
    space: str, count: int, seed: int, width: int = 256, discriminator_width: int = 128
) -> list[Genome]:
    """Draw genomes uniformly from a space; the same seed gives the same genomes."""
    if space not in SPACES:
        raise InvalidInput(f"unknown space {space}; known are {', '.join(SPACES)}")
    draw = random.Random(seed)  # noqa: S311 - architectures are no secrets
    sizes = [size for i in range(NUM_CELLS) for size in token_sizes(i)]
    return [
        Genome(
            generator=decode([draw.randrange(size) for size in sizes], width),
            discriminator=SNResNetDiscriminator(space="sn_resnet", width=discriminator_width),
        )
        for _ in range(count)
    ]
