"""AdversarialNAS' space: an operation on every edge of a cell's graph (no torch).

AdversarialNAS (Gao et al. 2020), sec. 3.1, Fig. 2. Nodes are numbered from 0, a cell's
input. Order of edges and operations are those of the authors' files: a generator is a matrix of
3 cells x 7 edges of operation numbers, a discriminator of 4 x 7. An operation `none` leaves its
edge out; a node that is left without any input is no architecture.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import prod
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from gan_nas.errors import InvalidInput
from gan_nas.spaces.drawing import ABSENT, Drawing, Edge, Node, Part
from gan_nas.spaces.schema import DiscriminatorGenome, Frozen, GeneratorGenome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.spaces.space import Places, PlaceValues, Space

if TYPE_CHECKING:
    from gan_nas.spaces.frameworks import Framework

NormalOp = Literal[
    "none", "identity", "conv_1x1", "conv_3x3", "conv_5x5", "dil_conv_3x3", "dil_conv_5x5"
]
UpOp = Literal["nearest", "bilinear", "deconv"]
DownOp = Literal["avg_pool", "max_pool", "conv_3x3", "conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
EntryOp = Literal["conv_1x1", "conv_3x3", "conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]

SHORT = {
    "identity": "id",
    "conv_1x1": "1x1",
    "conv_3x3": "3x3",
    "conv_5x5": "5x5",
    "dil_conv_3x3": "dil3x3",
    "dil_conv_5x5": "dil5x5",
}

NUM_UP_CELLS, NUM_DOWN_CELLS = 3, 4
LATENT_DIM = 120

CellType = type["Cell"]
Matrix = Sequence[Sequence[int]]  # a row for each cell, a column for each edge
Alternatives = tuple[str, ...]  # edges of which at least one is needed


class Cell(Frozen):
    """What the cells share: a field is an edge, its alias FROM-TO."""

    @property
    def edges(self) -> dict[str, str]:
        """Return the operation on each edge, in the authors' order."""
        return self.model_dump()

    @property
    def words(self) -> str:
        """Say the cell in a few words, for tables: the edges that are not none, ops shortened."""
        kept = {edge: op for edge, op in self.edges.items() if op != "none"}
        return ", ".join(f"{edge} {SHORT.get(op, op)}" for edge, op in kept.items())

    @model_validator(mode="after")
    def _has_inputs(self) -> Self:
        for group in needs(self.edges):
            if all(self.edges[edge] == "none" for edge in group):
                edges = f"edge {group[0]} is" if len(group) == 1 else f"{' and '.join(group)} are"
                raise ValueError(f"node {group[0][-1]} of a cell has no input: {edges} none")
        return self


class UpCell(Cell):
    """A generator's cell: nodes 1 and 2 double the size of the input, 4 is the output.

    Node 3 also takes up the skips from earlier cells and hands on its own; they are not searched.
    """

    edge_0_1: UpOp = Field(alias="0-1")
    edge_0_2: UpOp = Field(alias="0-2")
    edge_1_3: NormalOp = Field(alias="1-3")
    edge_2_3: NormalOp = Field(alias="2-3")
    edge_1_4: NormalOp = Field(alias="1-4")
    edge_2_4: NormalOp = Field(alias="2-4")
    edge_3_4: NormalOp = Field(alias="3-4")


class DownCell(Cell):
    """A discriminator's cell: the edges to node 4, the output, halve the size of nodes 2 and 3."""

    edge_0_1: NormalOp = Field(alias="0-1")
    edge_0_2: NormalOp = Field(alias="0-2")
    edge_0_3: NormalOp = Field(alias="0-3")
    edge_1_2: NormalOp = Field(alias="1-2")
    edge_1_3: NormalOp = Field(alias="1-3")
    edge_2_4: DownOp = Field(alias="2-4")
    edge_3_4: DownOp = Field(alias="3-4")


class FirstDownCell(Cell):
    """A discriminator's first cell: its edges from the image change the number of channels."""

    edge_0_1: EntryOp = Field(alias="0-1")
    edge_0_2: EntryOp = Field(alias="0-2")
    edge_0_3: EntryOp = Field(alias="0-3")
    edge_1_2: NormalOp = Field(alias="1-2")
    edge_1_3: NormalOp = Field(alias="1-3")
    edge_2_4: DownOp = Field(alias="2-4")
    edge_3_4: DownOp = Field(alias="3-4")


UP_CELLS = (UpCell,) * NUM_UP_CELLS
DOWN_CELLS = (FirstDownCell, *(DownCell,) * (NUM_DOWN_CELLS - 1))


class AdversarialNASGenerator(GeneratorGenome):
    """A generator of AdversarialNAS' space: a part of the latents into each cell, three Up-Cells.

    The authors' CIFAR-10 generators have three latent parts, their STL-10 generator two.
    """

    legend: ClassVar[str] = (
        "Cells, from the smallest images up, edge by edge: 0-1 leads from node 0, the cell's "
        "input, to node 1; nodes 1 and 2 double the side, 4 is the output; edges that meet are "
        "added. 3x3: a convolution; dil: dilated; id: nothing is done; edges that are none are "
        "left out."
    )

    space: Literal["adversarialnas"]
    cells: tuple[UpCell, ...] = Field(min_length=NUM_UP_CELLS, max_length=NUM_UP_CELLS)
    num_latent_parts: Literal[1, 2, 3] = Field(
        default=3,
        description="equal parts of the latent vector; part i joins the input of cell i by a "
        "linear layer of its own",
    )

    @property
    def words(self) -> list[str]:
        """Say each cell in a few words, for tables."""
        return [cell.words for cell in self.cells]

    @property
    def summary(self) -> list[str]:
        """Say what operations there are; the graphs are better drawn."""
        ops = Counter(op for cell in self.cells for op in cell.edges.values() if op != ABSENT)
        return [f"{ops.total()} edges: " + ", ".join(f"{n} {op}" for op, n in ops.most_common())]

    @property
    def latents(self) -> str:
        """Say how long the latent vector is, and in how many parts it is split."""
        return f"{self.latent_dim} in {self.num_latent_parts} parts"

    @property
    def drawing(self) -> Drawing:
        """Return the cells as graphs; each takes up skips of all cells before it in node 3."""
        return drawing_of(self.cells, [2.0**i for i in range(NUM_UP_CELLS + 1)])

    @model_validator(mode="after")
    def _latents_can_be_split(self) -> Self:
        if self.latent_dim % self.num_latent_parts:
            raise ValueError(
                f"latent_dim {self.latent_dim} cannot be split in {self.num_latent_parts} equal "
                f"parts; use a multiple of {self.num_latent_parts}"
            )
        return self


class AdversarialNASDiscriminator(DiscriminatorGenome):
    """A discriminator of AdversarialNAS' space: four Down-Cells, each of which halves the size."""

    space: Literal["adversarialnas"]
    cells: tuple[FirstDownCell, DownCell, DownCell, DownCell]

    @property
    def framework(self) -> "Framework":
        """Return the authors' framework."""
        return "hinge-sn"

    @property
    def drawing(self) -> Drawing:
        """Return the cells as graphs."""
        return drawing_of(self.cells, [0.5**i for i in range(NUM_DOWN_CELLS + 1)])


def candidates(cell: CellType) -> dict[str, tuple[str, ...]]:
    """Return the operations to choose from on each edge of a cell, in the authors' order."""
    fields = cell.model_fields.values()
    return {str(field.alias): get_args(field.annotation) for field in fields}


def needs(edges: Mapping[str, str]) -> Iterator[Alternatives]:
    """Yield the sets of edges of which each must keep one that is not `none`.

    They are the authors' repairs: nodes 3 and 4 of an Up-Cell have an input, so have 2 and 3 of a
    Down-Cell, and so has its node 1 when it has an output.
    """
    if "2-3" in edges:
        yield "1-3", "2-3"
        yield "1-4", "2-4", "3-4"
    else:
        yield "0-2", "1-2"
        yield "0-3", "1-3"
        if edges["1-2"] != "none" or edges["1-3"] != "none":
            yield ("0-1",)


def is_valid(edges: Mapping[str, str]) -> bool:
    """Tell whether every node that needs an input has one."""
    return all(any(edges[edge] != "none" for edge in group) for group in needs(edges))


def live_edges(edges: Mapping[str, str], node_3_is_used: bool) -> set[str]:
    """Return the edges whose results reach the cell's output.

    `node_3_is_used` tells of an Up-Cell whether its edge 3-4 or a later cell uses its node 3.
    """
    live = {edge for edge, op in edges.items() if op != "none"}
    if "2-3" in edges:
        if not node_3_is_used:
            live -= {"1-3", "2-3"}
        inputs = {"0-1": {"1-3", "1-4"}, "0-2": {"2-3", "2-4"}}
    else:
        inputs = {"0-1": {"1-2", "1-3"}}
    return live - {edge for edge, outputs in inputs.items() if not outputs & live}


def decode_generator(
    matrix: Matrix, width: int, latent_dim: int = LATENT_DIM, num_latent_parts: int = 3
) -> AdversarialNASGenerator:
    """Turn a published 3x7 matrix into a generator; raises InvalidInput for what is none."""
    content = {"space": "adversarialnas", "width": width, "latent_dim": latent_dim}
    content |= {"num_latent_parts": num_latent_parts, "cells": _decode(UP_CELLS, matrix)}
    return AdversarialNASGenerator.model_validate(content)


def decode_discriminator(matrix: Matrix, width: int) -> AdversarialNASDiscriminator:
    """Turn a published 4x7 matrix into a discriminator; raises InvalidInput for what is none.

    In the first row, the first three numbers count among the five operations possible there.
    """
    content = {"space": "adversarialnas", "width": width, "cells": _decode(DOWN_CELLS, matrix)}
    return AdversarialNASDiscriminator.model_validate(content)


def encode(genome: AdversarialNASGenerator | AdversarialNASDiscriminator) -> list[list[int]]:
    """Turn a generator or discriminator into its published matrix."""
    return [
        [candidates(type(cell))[edge].index(op) for edge, op in cell.edges.items()]
        for cell in genome.cells
    ]


def count(cells: Sequence[CellType] = UP_CELLS) -> int:
    """Count what cells can be built: 3.46e15 generators, 4.88e22 discriminators (DOWN_CELLS).

    As in the paper, architectures with a node that lacks an input are counted.
    """
    return prod(len(ops) for cell in cells for ops in candidates(cell).values())


class AdversarialNASSpace(Space[AdversarialNASGenerator]):
    """AdversarialNAS' space: seven edges in each of three Up-Cells."""

    name = "adversarialnas"
    Generator = AdversarialNASGenerator
    Discriminator = AdversarialNASDiscriminator
    sizes = ("width", "latent_dim", "num_latent_parts")

    def example(self, width: int) -> AdversarialNASGenerator:
        """Return a generator that has every edge."""
        matrix = [["none" in ops for ops in candidates(cell).values()] for cell in UP_CELLS]
        return decode_generator(matrix, width)

    def places(self, generator: AdversarialNASGenerator) -> Places:
        """Return the operations of each edge, in the authors' order."""
        return {
            f"cells.{index}.{edge}": ops
            for index, cell in enumerate(UP_CELLS)
            for edge, ops in candidates(cell).items()
        }

    def discriminator(self, width: int) -> DiscriminatorGenome:
        """Return AutoGAN's, against which the authors train what they find."""
        return SNResNetDiscriminator(space="sn_resnet", width=width)

    def sample(self, random: Random, width: int) -> AdversarialNASGenerator:
        """Draw a generator uniformly from the valid ones, cell by cell."""
        cells = tuple(UpCell.model_validate(_sample_edges(random, cell)) for cell in UP_CELLS)
        return AdversarialNASGenerator(
            space="adversarialnas", width=width, latent_dim=LATENT_DIM, cells=cells
        )

    def repair(
        self, generator: AdversarialNASGenerator, values: PlaceValues, random: Random
    ) -> AdversarialNASGenerator:
        """Give a node without input an edge, as the authors' code does.

        Theirs takes the likeliest of those that may enter it; without likelihoods one is drawn.
        """
        repaired = dict(values)
        for index, cell in enumerate(UP_CELLS):
            ops = candidates(cell)
            edges = {edge: str(values[f"cells.{index}.{edge}"]) for edge in ops}
            for group in needs(edges):
                if all(edges[edge] == ABSENT for edge in group):
                    edge = random.choice(group)
                    edges[edge] = random.choice([op for op in ops[edge] if op != ABSENT])
            repaired |= {f"cells.{index}.{edge}": op for edge, op in edges.items()}
        return self.changed(generator, repaired)


SPACE = AdversarialNASSpace()


def sample_discriminator(draw: Random, width: int) -> AdversarialNASDiscriminator:
    """Draw a discriminator uniformly from the valid ones."""
    cells = [_sample_edges(draw, cell) for cell in DOWN_CELLS]
    content = {"space": "adversarialnas", "width": width, "cells": tuple(cells)}
    return AdversarialNASDiscriminator.model_validate(content)


def drawing_of(cells: Sequence[Cell], scales: Sequence[float]) -> Drawing:
    """Return cells as graphs; `scales` are the sides of the first one's input and of all outputs.

    To that of the network's first map.
    """
    parts = [
        _part(cell, index, *sides)
        for index, (cell, sides) in enumerate(zip(cells, pairwise(scales), strict=True))
    ]
    return Drawing(tuple(parts), op_columns=max(map(len, SHORT)))


def _part(cell: Cell, index: int, before: float, after: float) -> Part:
    """Return a cell's graph, its edges sorted by the node they enter; skips enter node 3."""
    title, is_up = f"cell {index}", isinstance(cell, UpCell)
    resized = "1234" if is_up else "4"
    nodes = tuple(Node(name, after if name in resized else before) for name in "01234")
    edges = []
    for edge, op in cell.edges.items():
        source, target = edge.split("-")
        edges.append(Edge(source, target, op, f"cells.{index}.{edge}"))
    if is_up:
        edges += [Edge("3", "3", "skip", part=earlier) for earlier in range(index)]
    first, *others = sorted(edges, key=lambda edge: edge.target)
    return Part(title, nodes, (first._replace(label=title), *others))


def _decode(cells: Sequence[CellType], matrix: Matrix) -> tuple[dict[str, str], ...]:
    if len(matrix) != len(cells) or any(len(row) != 7 for row in matrix):
        shape = f"{len(matrix)}x{len(matrix[0]) if len(matrix) else 0}"
        raise InvalidInput(f"a matrix of {len(cells)}x7 is needed, this one is {shape}")
    return tuple(
        _decode_cell(index, cell, row)
        for index, (cell, row) in enumerate(zip(cells, matrix, strict=True))
    )


def _decode_cell(index: int, cell: CellType, row: Sequence[int]) -> dict[str, str]:
    edges = {}
    for (edge, ops), number in zip(candidates(cell).items(), row, strict=True):
        if not 0 <= number < len(ops):
            raise InvalidInput(
                f"edge {edge} of cell {index} is {number}, allowed are 0 to {len(ops) - 1}"
            )
        edges[edge] = ops[int(number)]
    if not is_valid(edges):
        raise InvalidInput(f"row {index} leaves a node of its cell without any input")
    return edges


def _sample_edges(draw: Random, cell: CellType) -> dict[str, Any]:
    while True:
        edges = {edge: draw.choice(ops) for edge, ops in candidates(cell).items()}
        if is_valid(edges):
            return edges
