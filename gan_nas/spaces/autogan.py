"""AutoGAN's space: tokens, counting, enumeration, the published code (no torch).

AutoGAN (Gong et al. 2019), sec. 3.1. A cell's tokens are conv, norm, up, shortcut and, after the
first cell, one skip token. Order and numbers are those of the authors' code, where the skip token
comes last and is one categorical over the 2**s subsets of earlier cells (the paper prints s binary
tokens, first): the oldest cell is the most significant bit.
"""

import itertools
from collections.abc import Iterator, Sequence
from math import prod
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, field_validator

from gan_nas.errors import InvalidInput, shorten
from gan_nas.spaces.drawing import Drawing, Edge, Node, Part
from gan_nas.spaces.schema import DiscriminatorGenome, Frozen, GeneratorGenome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.spaces.space import Places, Space, Value

Conv = Literal["post", "pre"]
Norm = Literal["none", "batch", "instance"]
Up = Literal["bilinear", "nearest", "deconv"]
CONVS: tuple[Conv, ...] = get_args(Conv)
NORMS: tuple[Norm, ...] = get_args(Norm)
UPS: tuple[Up, ...] = get_args(Up)
NUM_CELLS = 3
NUM_TOKENS = 14
# What the tokens of a cell choose, for error messages.
CHOICES = (
    "conv (0 post, 1 pre)",
    "norm (0 none, 1 batch, 2 instance)",
    "up (0 bilinear, 1 nearest, 2 deconv)",
    "shortcut (0 no, 1 yes)",
    "skips (a bit for each earlier cell, the oldest the highest)",
)

Tokens = tuple[int, ...]


class AutoGANCell(Frozen):
    """One up-sampling cell: AutoGAN (Gong et al. 2019), sec. 3.1."""

    conv: Conv = Field(description="pre- or post-activation convolution blocks")
    norm: Norm = Field(description="normalisation in both blocks")
    up: Up = Field(description="up-sampling of the block, the shortcut and the incoming skips")
    shortcut: bool = Field(description="whether a 1x1 convolution joins input and output")
    skips: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        max_length=8, description="earlier cells whose middle features are added, ascending"
    )

    @property
    def words(self) -> str:
        """Say the cell in a few words, for tables."""
        norm = {"none": "", "batch": " batch-norm", "instance": " instance-norm"}[self.norm]
        shortcut = " shortcut" if self.shortcut else ""
        skips = f" skips {','.join(map(str, self.skips))}" if self.skips else ""
        return f"{self.conv}{norm} {self.up}{shortcut}{skips}"


class AutoGANGenerator(GeneratorGenome):
    """A generator of AutoGAN's space: linear stem, three cells, to-RGB."""

    space: Literal["autogan"]
    legend: ClassVar[str] = (
        "Cells, from the smallest images up: pre or post, activation before or after each "
        "convolution; the norm, if any; nearest, bilinear or deconv, how the side is doubled; "
        "shortcut, the cell's input is added to its output; skips 0,1, those earlier cells' "
        "features are added."
    )

    cells: tuple[AutoGANCell, ...] = Field(min_length=3, max_length=3)
    skip_tap: Literal["post", "pre"] = Field(
        default="post",
        description="where a cell's skip feature is read: after its own skips were added, as in "
        "the published code (post), or before, as drawn in Fig. 2 (pre)",
    )

    @property
    def words(self) -> list[str]:
        """Say each cell in a few words, for tables."""
        return [cell.words for cell in self.cells]

    @property
    def drawing(self) -> Drawing:
        """Return the cells as graphs: node 1 takes up skips and hands on its own."""
        parts = [_part(cell, index, self.skip_tap) for index, cell in enumerate(self.cells)]
        return Drawing(tuple(parts), max(len(e.op) for part in parts for e in part.edges))

    @field_validator("cells")
    @classmethod
    def _skips_come_from_earlier_cells(
        cls, cells: tuple[AutoGANCell, ...]
    ) -> tuple[AutoGANCell, ...]:
        for index, cell in enumerate(cells):
            if list(cell.skips) != sorted(set(cell.skips) & set(range(index))):
                allowed = (
                    f"earlier cells, each once and ascending, from {list(range(index))}"
                    if index
                    else "none, as no cell is earlier"
                )
                raise ValueError(
                    f"cell {index} has skips {shorten(list(cell.skips))}, allowed are {allowed}"
                )
        return cells


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
            position = place + 1 + sum(len(token_sizes(i)) for i in range(index))
            raise InvalidInput(
                f"token {place} of cell {index} is {token}, allowed are 0 to {size - 1}: it is "
                f"number {position} of {NUM_TOKENS} and chooses {CHOICES[place]}"
            )
    conv, norm, up, shortcut, *skip = tokens
    return AutoGANCell(
        conv=CONVS[conv],
        norm=NORMS[norm],
        up=UPS[up],
        shortcut=bool(shortcut),
        skips=_skips(index, skip[0] if skip else 0),
    )


def encode_cell(index: int, cell: AutoGANCell) -> Tokens:
    """Turn a cell into its tokens."""
    tokens = (CONVS.index(cell.conv), NORMS.index(cell.norm), UPS.index(cell.up))
    skip = sum(1 << (index - 1 - j) for j in cell.skips)
    return (*tokens, int(cell.shortcut)) if index == 0 else (*tokens, int(cell.shortcut), skip)


def decode(tokens: Sequence[int], width: int, latent_dim: int = 128) -> AutoGANGenerator:
    """Turn the published 14-integer vector into a generator."""
    if len(tokens) != NUM_TOKENS:
        raise InvalidInput(
            f"a generator has {NUM_TOKENS} tokens, these are {len(tokens)}: conv, norm, up and "
            "shortcut of each cell and, of the second and third, skips"
        )
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


class AutoGANSpace(Space[AutoGANGenerator]):
    """AutoGAN's space: 373,248 generators of three cells."""

    name = "autogan"
    Generator = AutoGANGenerator
    sizes = ("width", "latent_dim", "skip_tap")

    def example(self, width: int) -> AutoGANGenerator:
        """Return the generator of zeros."""
        return decode([0] * NUM_TOKENS, width)

    def places(self, generator: AutoGANGenerator) -> Places:
        """Return the tokens' choices, in the authors' order."""
        places: dict[str, tuple[Value, ...]] = {}
        for index in range(NUM_CELLS):
            cell = f"cells.{index}"
            places |= {f"{cell}.conv": CONVS, f"{cell}.norm": NORMS, f"{cell}.up": UPS}
            places[f"{cell}.shortcut"] = (False, True)
            if index:
                places[f"{cell}.skips"] = tuple(_skips(index, t) for t in range(2**index))
        return places

    def discriminator(self, width: int) -> DiscriminatorGenome:
        """Return SN-GAN's."""
        return SNResNetDiscriminator(space="sn_resnet", width=width)


SPACE = AutoGANSpace()


def _skips(index: int, token: int) -> tuple[int, ...]:
    """Return the earlier cells that a skip token of cell `index` stands for."""
    return tuple(j for j in range(index) if token >> (index - 1 - j) & 1)


def _part(cell: AutoGANCell, index: int, skip_tap: str) -> Part:
    scale = float(2**index)
    nodes = (Node("0", scale), Node("1", 2 * scale), Node("2", 2 * scale))
    norm = "" if cell.norm == "none" else f" {cell.norm}-norm"
    block = f"{cell.conv}{norm}"
    tap = " before skips" if skip_tap == "pre" else ""
    edges = [Edge("0", "1", f"{block} {cell.up} conv_3x3")]
    edges += [Edge("1", "1", f"{cell.up} conv_1x1{tap}", part=j) for j in cell.skips]
    edges.append(Edge("1", "2", f"{block} conv_3x3"))
    if cell.shortcut:
        edges.append(Edge("0", "2", f"{cell.up} conv_1x1"))
    return Part(f"cell {index}", nodes, tuple(edges))
