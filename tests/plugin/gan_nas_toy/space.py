"""A space of two to four cells, each a convolution and an activation (no torch)."""

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from gan_nas.spaces.drawing import Drawing, Edge, Node, Part
from gan_nas.spaces.schema import DiscriminatorGenome, Frozen, GeneratorGenome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.spaces.space import Places, Space

Conv = Literal["conv_1x1", "conv_3x3", "conv_5x5"]
Activation = Literal["relu", "tanh", "linear"]


class ToyCell(Frozen):
    """A cell, which doubles the size before it convolves."""

    conv: Conv
    activation: Activation


class ToyGenerator(GeneratorGenome):
    """A generator: linear stem, cells, to-RGB. One of its cells is not linear."""

    space: Literal["toy"]
    cells: tuple[ToyCell, ...] = Field(min_length=2, max_length=4)

    @property
    def num_cells(self) -> int:
        """Return how often the size is doubled."""
        return len(self.cells)

    @property
    def words(self) -> list[str]:
        """Say each cell in two words."""
        return [f"{cell.conv} {cell.activation}" for cell in self.cells]

    @property
    def drawing(self) -> Drawing:
        """Return a chain."""
        return Drawing(tuple(map(_part, range(self.num_cells), self.cells)), len("conv_1x1"))

    @model_validator(mode="after")
    def _is_not_linear(self) -> Self:
        if all(cell.activation == "linear" for cell in self.cells):
            raise ValueError("all cells are linear: one needs an activation")
        return self


class ToySpace(Space[ToyGenerator]):
    """The generators of two cells, and those of as many cells as a given one."""

    name = "toy"
    Generator = ToyGenerator
    sizes = ("width", "latent_dim", "num_cells")

    def example(self, width: int) -> ToyGenerator:
        """Return the smallest."""
        cells = (ToyCell(conv="conv_1x1", activation="relu"),) * 2
        return ToyGenerator(space="toy", width=width, latent_dim=16, cells=cells)

    def places(self, generator: ToyGenerator) -> Places:
        """Return what each cell chooses."""
        choices = {"conv": get_args(Conv), "activation": get_args(Activation)}
        return {
            f"cells.{index}.{name}": values
            for index in range(generator.num_cells)
            for name, values in choices.items()
        }

    def discriminator(self, width: int) -> DiscriminatorGenome:
        """Return SN-GAN's."""
        return SNResNetDiscriminator(space="sn_resnet", width=width)


SPACE = ToySpace()


def _part(index: int, cell: ToyCell) -> Part:
    before, after = 2.0**index, 2.0 ** (index + 1)
    nodes = (Node("0", before), Node("1", after), Node("2", after))
    where = f"cells.{index}"
    edges = (
        Edge("0", "1", cell.conv, f"{where}.conv", f"cell {index}"),
        Edge("1", "2", cell.activation, f"{where}.activation"),
    )
    return Part(f"cell {index}", nodes, edges)
