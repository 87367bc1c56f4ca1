"""EAGAN's discriminators: a fixed first block, then three Down-Cells, which may keep their size.

EAGAN (Ying et al. 2022, "EAGAN: Efficient Two-stage Evolutionary Architecture Search for GANs";
code marsggbo/EAGAN at 975ff13), second stage. They are searched for one generator, of whatever
space. Operations and nodes are AdversarialNAS'; other than there the first block is SN-GAN's, and
edge 0-3, a shortcut, has no ReLU before its convolution. A cell whose edges to the output are both
`identity` keeps its size: its output is node 2 + node 3. No torch.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from gan_nas.errors import InvalidInput
from gan_nas.spaces.adversarialnas import Cell, DownOp, Matrix, NormalOp, candidates, drawing_of
from gan_nas.spaces.drawing import ABSENT, Drawing
from gan_nas.spaces.schema import DiscriminatorGenome
from gan_nas.spaces.space import Architectures, Places, PlaceValues, Value

if TYPE_CHECKING:
    from gan_nas.spaces.frameworks import Framework

SizeOp = Literal[DownOp, "identity"]
KEEP = "identity"
NOTE = "Of eagan's discriminators a fixed block comes first; identity to node 4 keeps the size."
DOWN_OPS: tuple[str, ...] = get_args(DownOp)
NUM_CELLS = 3
# AutoGAN's second block, that halves: conv_3x3 twice, averaged, and a shortcut averaged likewise.
HALVING = (3, 0, 3, 0, 2, 0, 0)


class EAGANCell(Cell):
    """A discriminator's cell: edges 2-4 and 3-4 both halve the size, or both are identity."""

    edge_0_1: NormalOp = Field(alias="0-1")
    edge_0_2: NormalOp = Field(alias="0-2")
    edge_1_2: NormalOp = Field(alias="1-2")
    edge_1_3: NormalOp = Field(alias="1-3")
    edge_0_3: NormalOp = Field(alias="0-3")
    edge_2_4: SizeOp = Field(alias="2-4")
    edge_3_4: SizeOp = Field(alias="3-4")

    @property
    def halves(self) -> bool:
        """Tell whether the output has half the size of the input."""
        return self.edge_2_4 != KEEP

    @model_validator(mode="after")
    def _is_one_of_theirs(self) -> Self:
        if self.edge_0_1 == ABSENT:
            raise ValueError("node 1 of a cell has no input: edge 0-1 is none")
        if (self.edge_2_4 == KEEP) != (self.edge_3_4 == KEEP):
            raise ValueError(
                f"edges 2-4 and 3-4 of a cell are {self.edge_2_4} and {self.edge_3_4}: both halve "
                "the size, or both are identity, which keeps it"
            )
        return self


class EAGANDiscriminator(DiscriminatorGenome):
    """A discriminator of EAGAN's second stage: SN-GAN's first block, which halves, three cells."""

    legend: ClassVar[str] = (
        "Cells of the discriminator, from the largest images down, after a fixed block, edge by "
        "edge: 0-1 leads from node 0, the cell's input, to node 1; 4 is the output, and edges to "
        "it halve the side or are both id, which keeps it; edges that meet are added. 3x3: a "
        "convolution; dil: dilated; id: nothing is done; edges that are none are left out."
    )

    space: Literal["eagan"]
    cells: tuple[EAGANCell, EAGANCell, EAGANCell]

    @property
    def framework(self) -> "Framework":
        """Return the authors' framework."""
        return "hinge-sn"

    @property
    def summary(self) -> list[str]:
        """Say each cell in a few words."""
        return [cell.words for cell in self.cells]

    @property
    def drawing(self) -> Drawing:
        """Return the cells as graphs; node 0 of the first is the output of the fixed block."""
        scales = [0.5]
        for cell in self.cells:
            scales.append(scales[-1] / (2 if cell.halves else 1))
        return drawing_of(self.cells, scales)._replace(note=NOTE)


class EAGANDiscriminators(Architectures[EAGANDiscriminator]):
    """What the second stage searches: seven edges in each of three cells.

    Edges 2-4 and 3-4 are two places, of which one follows the other where a cell begins or ceases
    to keep its size; the published code left an operation behind there.
    """

    name = "eagan"

    def example(self, width: int) -> EAGANDiscriminator:
        """Return SN-GAN's block that halves, three times."""
        return decode((HALVING,) * NUM_CELLS, width)

    def places(self, network: EAGANDiscriminator) -> Places:
        """Return the operations of each edge, in the authors' order."""
        del network
        return {
            f"cells.{index}.{edge}": ops
            for index in range(NUM_CELLS)
            for edge, ops in candidates(EAGANCell).items()
        }

    def count(self) -> int:
        """Count them: 2.40e17; as in the papers, cells with a node that lacks an input count."""
        ops = len(get_args(NormalOp))
        return int(ops**5 * (len(DOWN_OPS) ** 2 + 1)) ** NUM_CELLS

    def sample(self, random: Random, width: int) -> EAGANDiscriminator:
        """Draw one, cell by cell: uniformly but that edge 2-4 decides whether the size is kept.

        That is one of its seven operations; among all valid cells it would be one of 37.
        """
        example = self.example(width)
        places = self.places(example)
        values: dict[str, Value] = {}
        for index in range(NUM_CELLS):
            own = [place for place in places if place.startswith(f"cells.{index}.")]
            while True:
                cell = {place: random.choice(places[place]) for place in own}
                cell |= _followed(cell, f"cells.{index}.2-4", random)
                if self.is_valid(example, cell):
                    break
            values |= cell
        return self.changed(example, values)

    def repair(
        self, network: EAGANDiscriminator, values: PlaceValues, random: Random
    ) -> EAGANDiscriminator:
        """Let edge 3-4 follow 2-4, then give each node without input an edge, which is drawn."""
        repaired = dict(values)
        for index in range(NUM_CELLS):
            repaired |= _followed(repaired, f"cells.{index}.2-4", random)
        inputs = {
            place: [op for op in ops if op != ABSENT]
            for place, ops in self.places(network).items()
            if ABSENT in ops
        }
        for index in range(NUM_CELLS):
            for group in (("0-1",), ("0-2", "1-2"), ("1-3", "0-3")):
                entering = [f"cells.{index}.{edge}" for edge in group]
                if all(repaired[place] == ABSENT for place in entering):
                    place = random.choice(entering)
                    repaired[place] = random.choice(inputs[place])
        return self.changed(network, repaired)

    def neighbours(self, network: EAGANDiscriminator) -> Iterator[EAGANDiscriminator]:
        """Yield every valid one that differs at one place, or in whether a cell halves."""
        yield from super().neighbours(network)
        for index, cell in enumerate(network.cells):
            pairs = [(KEEP, KEEP)] if cell.halves else [(a, b) for a in DOWN_OPS for b in DOWN_OPS]
            for pair in pairs:
                values = zip((f"cells.{index}.2-4", f"cells.{index}.3-4"), pair, strict=True)
                yield self.changed(network, dict(values))

    def mutate(self, network: EAGANDiscriminator, random: Random) -> EAGANDiscriminator:
        """Draw a place and another operation there, uniformly; of 2-4 and 3-4 one may follow."""
        own, places = self.values(network), self.places(network)
        while True:
            place = random.choice(list(places))
            changed = {place: random.choice([op for op in places[place] if op != own[place]])}
            changed |= _followed(own | changed, place, random)
            if self.is_valid(network, changed):
                return self.changed(network, changed)

    def graft(
        self, a: EAGANDiscriminator, b: EAGANDiscriminator, random: Random
    ) -> EAGANDiscriminator | None:
        """Return a with b's operation at one place; both of 2-4 and 3-4 if one alone cannot be."""
        ours, theirs = self.values(a), self.values(b)
        places = [place for place, value in ours.items() if theirs[place] != value]
        random.shuffle(places)
        for place in places:
            taken = {place: theirs[place]}
            if (other := _beside(place)) and KEEP in (ours[place], theirs[place]):
                taken[other] = theirs[other]
            if self.is_valid(a, taken):
                return self.changed(a, taken)
        return None


SPACE = EAGANDiscriminators()


def decode(matrix: Matrix, width: int) -> EAGANDiscriminator:
    """Turn a published 3x7 matrix into a discriminator; raises InvalidInput for what is none.

    The numbers are those of AdversarialNAS' operations; -1 in both last columns keeps the size.
    """
    return EAGANDiscriminator.model_validate(
        {
            "space": "eagan",
            "width": width,
            "cells": tuple(_edges(index, row) for index, row in enumerate(matrix)),
        }
    )


def _edges(index: int, row: Sequence[int]) -> dict[str, str]:
    edges = {}
    for (edge, ops), number in zip(candidates(EAGANCell).items(), row, strict=True):
        ends = edge.endswith("4")
        named = dict(enumerate(DOWN_OPS)) | {-1: KEEP} if ends else dict(enumerate(ops))
        if number not in named:
            raise InvalidInput(
                f"edge {edge} of cell {index} is {number}, allowed are {min(named)} to {max(named)}"
            )
        edges[edge] = named[number]
    return edges


def _beside(place: str) -> str | None:
    """Return the other of a cell's two edges to its output, None for another edge."""
    cell, _, edge = place.rpartition(".")
    other = {"2-4": "3-4", "3-4": "2-4"}.get(edge)
    return f"{cell}.{other}" if other else None


def _followed(values: PlaceValues, place: str, random: Random) -> dict[str, Value]:
    """Return what the edge beside 2-4 or 3-4 must become, if anything, to keep the size as well."""
    other = _beside(place)
    if other is None or (values[place] == KEEP) == (values[other] == KEEP):
        return {}
    return {other: KEEP if values[place] == KEEP else random.choice(DOWN_OPS)}
