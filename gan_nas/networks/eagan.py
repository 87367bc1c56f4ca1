"""EAGAN's discriminators, whose cells may keep their size (Ying et al. 2022, second stage)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.adversarialnas import adversarialnas_choices, edge_ops
from gan_nas.networks.blocks import ResidualBlock
from gan_nas.networks.contract import Networks, SpaceNetwork
from gan_nas.networks.mixing import UNWEIGHTED, add, weighted_sum
from gan_nas.networks.resolution import bottom_width
from gan_nas.networks.slots import Choices, Fill
from gan_nas.networks.spectral import SpectralConv2d, SpectralLinear
from gan_nas.spaces.adversarialnas import candidates
from gan_nas.spaces.eagan import NUM_CELLS, EAGANCell, EAGANDiscriminator


class EAGANDownCell(nn.Module):
    """EAGAN's Down-Cell: all convolutions are spectrally normalised.

    A ReLU comes before each but that of edge 0-3 (the authors' code).
    """

    def __init__(self, channels: int, fill: Fill) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                edge: fill(
                    edge,
                    edge_ops(
                        names,
                        SpectralConv2d,
                        channels,
                        channels,
                        stride=2 if edge.endswith("4") else 1,
                    ),
                )
                for edge, names in candidates(EAGANCell).items()
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H / 2, W / 2), or to the same size."""
        x1 = self.along("0-1", x)
        x2 = add(self.along("0-2", x), self.along("1-2", x1))
        x3 = add(self.along("0-3", x, rectify=False), self.along("1-3", x1))
        x4 = add(self.along("2-4", x2), self.along("3-4", x3))
        assert x4 is not None, "a valid cell has an output"
        return x4

    def along(self, edge: str, x: Tensor | None, *, rectify: bool = True) -> Tensor | None:
        """Return what an edge makes of the node that it leaves."""
        return weighted_sum(self.edges[edge], x, UNWEIGHTED, rectify=rectify)


class EAGANDiscriminatorNetwork(nn.Module):
    """SN-GAN's first block, EAGAN's cells and a linear head; `fills` holds one for each cell."""

    def __init__(self, fills: Sequence[Fill], width: int, image_channels: int) -> None:
        super().__init__()
        self.block1 = ResidualBlock(image_channels, width, SpectralConv2d, is_first=True)
        self.cells = nn.ModuleList(EAGANDownCell(width, fill) for fill in fills)
        self.head = SpectralLinear(width, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, image channels, S, S) in [-1, 1] to scores (N, 1), unbounded."""
        x = self.block1(images)
        for cell in self.cells:
            x = cell(x)
        return self.head(F.relu(x).sum((2, 3)))


class EAGANNetworks(SpaceNetwork[EAGANDiscriminator]):
    """EAGAN's discriminators; in a search one operation of an edge is active."""

    Network = EAGANDiscriminatorNetwork

    def choices(self, genome: EAGANDiscriminator) -> Sequence[Choices]:
        """Return what stands on each cell's edges."""
        return adversarialnas_choices(genome.cells)

    def build(
        self,
        genome: EAGANDiscriminator,
        fills: Sequence[Fill],
        resolution: int,
        image_channels: int,
    ) -> EAGANDiscriminatorNetwork:
        """Build a network that halves the size in its first block and in cells that do."""
        bottom_width(resolution, 1 + sum(cell.halves for cell in genome.cells))  # or refuses it
        return EAGANDiscriminatorNetwork(fills, genome.width, image_channels)

    def build_supernet(
        self, genome: EAGANDiscriminator, resolution: int, image_channels: int
    ) -> nn.Module:
        """Return the network of all discriminators of a width; some halve in every cell."""
        bottom_width(resolution, 1 + NUM_CELLS)
        return super().build_supernet(genome, resolution, image_channels)

    def parts(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the cells."""
        return list(network.get_submodule("cells").children())


NETWORKS = Networks(discriminator=EAGANNetworks())
