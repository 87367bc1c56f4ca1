"""SN-GAN's residual discriminator (Miyato et al. 2018)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.errors import InvalidInput
from gan_nas.networks.contract import Networks, SpaceNetwork
from gan_nas.networks.ops import Reordered, conv3x3_then_halve
from gan_nas.networks.resolution import MAX_RESOLUTION
from gan_nas.networks.slots import Choices, Fill
from gan_nas.networks.spectral import SpectralConv2d, SpectralLinear
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator


class SNResNet(nn.Module):
    """SN-GAN's discriminator for small images, as AutoGAN uses and grows it.

    Miyato et al. 2018. Of the first three blocks only the first `num_active_cells` run,
    the fourth always does: it is trained from the first stage on.
    """

    def __init__(self, width: int, image_channels: int) -> None:
        super().__init__()
        self.num_active_cells = 3
        self.block1 = FirstDownBlock(image_channels, width)
        self.block2 = DownBlock(width, downsample=True)
        self.block3 = DownBlock(width, downsample=False)
        self.block4 = DownBlock(width, downsample=False)
        self.head = SpectralLinear(width, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, image channels, S, S) in [-1, 1] to scores (N, 1), unbounded."""
        x = images
        for block in [self.block1, self.block2, self.block3][: self.num_active_cells]:
            x = block(x)
        x = F.relu(self.block4(x))
        return self.head(x.sum((2, 3)))  # type: ignore[no-any-return]


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
        """Build the network of a width."""
        if not 4 <= resolution <= MAX_RESOLUTION:
            raise InvalidInput(f"resolution {resolution}: allowed is 4 to {MAX_RESOLUTION}")
        return SNResNet(genome.width, image_channels)


NETWORKS = Networks(discriminator=SNResNets())


class FirstDownBlock(Reordered):
    """SN-GAN's first discriminator block: no activation on the image, halves the size."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = SpectralConv2d(in_channels, channels, 3)
        self.conv2 = SpectralConv2d(channels, channels, 3)
        self.shortcut = SpectralConv2d(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, image channels, H, W) to (N, C, H / 2, W / 2)."""
        h = _convolve_and_halve(self.conv2, F.relu(self.conv1(x)), self.published_order)
        return h + self.shortcut(F.avg_pool2d(x, 2))  # type: ignore[no-any-return]


class DownBlock(Reordered):
    """SN-GAN's residual discriminator block, with or without halving the size."""

    def __init__(self, channels: int, downsample: bool) -> None:
        super().__init__()
        self.conv1 = SpectralConv2d(channels, channels, 3)
        self.conv2 = SpectralConv2d(channels, channels, 3)
        self.shortcut = SpectralConv2d(channels, channels, 1) if downsample else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to half or the same size."""
        h = F.relu(self.conv1(F.relu(x)))
        if self.shortcut is None:
            return x + self.conv2(h)  # type: ignore[no-any-return]
        h = _convolve_and_halve(self.conv2, h, self.published_order)
        if self.published_order:
            return h + F.avg_pool2d(self.shortcut(x), 2)
        return h + self.shortcut(F.avg_pool2d(x, 2))  # type: ignore[no-any-return]


def _convolve_and_halve(conv: SpectralConv2d, x: Tensor, published_order: bool) -> Tensor:
    if published_order:
        return F.avg_pool2d(conv(x), 2)
    return conv3x3_then_halve(x, conv.normalised_weight(), conv.bias)
