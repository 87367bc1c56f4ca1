"""How the toy space's generators compute."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.contract import Networks, SpaceNetwork
from gan_nas.networks.layers import ToRGB
from gan_nas.networks.resolution import bottom_width
from gan_nas.networks.slots import Choices, Fill
from gan_nas_toy.space import ToyGenerator

KERNELS = {"conv_1x1": 1, "conv_3x3": 3, "conv_5x5": 5}


class ToyNetwork(nn.Module):
    """Linear stem, cells, to-RGB."""

    def __init__(
        self, fill: Fill, genome: ToyGenerator, bottom_width: int, image_channels: int
    ) -> None:
        super().__init__()
        self.latent_dim, self.bottom_width = genome.latent_dim, bottom_width
        self.stem = nn.Linear(genome.latent_dim, genome.width * bottom_width**2)
        self.cells = nn.ModuleList(Cell(i, genome.width, fill) for i in range(genome.num_cells))
        self.to_rgb = ToRGB(genome.width, image_channels)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents (N, latent_dim) to images (N, image channels, S, S) in [-1, 1]."""
        x = self.stem(z).unflatten(1, (-1, self.bottom_width, self.bottom_width))
        for cell in self.cells:
            x = cell(x)
        return self.to_rgb(x)


class Cell(nn.Module):
    """Up-sampling, a convolution, an activation."""

    def __init__(self, index: int, channels: int, fill: Fill) -> None:
        super().__init__()
        convs = {
            name: partial(nn.Conv2d, channels, channels, size, padding=size // 2)
            for name, size in KERNELS.items()
        }
        activations = {"relu": nn.ReLU, "tanh": nn.Tanh, "linear": nn.Identity}
        self.conv = fill(f"{index}.conv", convs)
        self.activation = fill(f"{index}.activation", activations)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        return self.activation(self.conv(F.interpolate(x, scale_factor=2)))


class ToyNetworks(SpaceNetwork[ToyGenerator]):
    """The toy space's generators, each one part."""

    Network = ToyNetwork

    def choices(self, genome: ToyGenerator) -> Sequence[Choices]:
        """Return what each cell chooses."""
        chosen: dict[str, str] = {}
        for index, cell in enumerate(genome.cells):
            chosen |= {f"{index}.conv": cell.conv, f"{index}.activation": cell.activation}
        return [chosen]

    def build(
        self, genome: ToyGenerator, fills: Sequence[Fill], resolution: int, image_channels: int
    ) -> ToyNetwork:
        """Build a network that doubles the size in each cell."""
        side = bottom_width(resolution, genome.num_cells)
        return ToyNetwork(fills[0], genome, side, image_channels)


NETWORKS = Networks(generator=ToyNetworks())
