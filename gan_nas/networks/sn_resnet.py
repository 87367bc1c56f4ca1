"""SN-GAN's residual discriminator (Miyato et al. 2018), and EAGAN's variants of it."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.errors import InvalidInput
from gan_nas.networks.blocks import ResidualBlock
from gan_nas.networks.contract import Networks, SpaceNetwork
from gan_nas.networks.resolution import MAX_RESOLUTION
from gan_nas.networks.slots import Choices, Fill
from gan_nas.networks.spectral import SpectralConv2d, SpectralLinear
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

KERNELS = {"identity": 0, "conv_3x3": 3, "conv_5x5": 5}


class SNResNet(nn.Module):
    """SN-GAN's discriminator for small images, as AutoGAN uses and grows it.

    Miyato et al. 2018. Of the first three blocks only the first `num_active_cells` run,
    the fourth always does: it is trained from the first level on.
    """

    def __init__(
        self,
        width: int,
        image_channels: int,
        outputs: int = 1,
        third_kernels: tuple[int, int] = (3, 3),
    ) -> None:
        super().__init__()
        self.num_active_cells = 3
        self.block1 = ResidualBlock(image_channels, width, SpectralConv2d, is_first=True)
        self.block2 = ResidualBlock(width, width, SpectralConv2d, downsample=True)
        self.block3 = ResidualBlock(width, width, SpectralConv2d, kernels=third_kernels)
        self.block4 = ResidualBlock(width, width, SpectralConv2d)
        self.head = SpectralLinear(width, outputs, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, image channels, S, S) in [-1, 1] to scores (N, outputs), unbounded."""
        x = images
        for block in [self.block1, self.block2, self.block3][: self.num_active_cells]:
            x = block(x)
        x = F.relu(self.block4(x))
        return self.head(x.sum((2, 3)))


class SNResNets(SpaceNetwork[SNResNetDiscriminator]):
    """SN-GAN's discriminators, which have no slots."""

    Network = SNResNet

    def choices(self, genome: SNResNetDiscriminator) -> Sequence[Choices]:
        """Return that there are none."""
        return [{}]

    def build(
        self,
        genome: SNResNetDiscriminator,
        fills: Sequence[Fill],
        resolution: int,
        image_channels: int,
    ) -> SNResNet:
        """Build the network of a width, a number of outputs and a third block."""
        if not 4 <= resolution <= MAX_RESOLUTION:
            raise InvalidInput(f"resolution {resolution}: allowed is 4 to {MAX_RESOLUTION}")
        first, second = (KERNELS[op] for op in genome.third_block)
        return SNResNet(genome.width, image_channels, genome.outputs, (first, second))


NETWORKS = Networks(discriminator=SNResNets())
