"""The residual block of SN-GAN's discriminator and of WGAN-GP's and CT-GAN's critic."""

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.layers import MakeConv


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut around them, with or without halving the size.

    `conv` makes the convolutions, plain or spectrally normalised, of the `kernels` 3x3 unless said
    otherwise; 0 leaves the first one out. The first block's input is the image: no activation comes
    before its convolutions, and its shortcut sees the halved image.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        conv: MakeConv,
        *,
        downsample: bool = False,
        is_first: bool = False,
        kernels: tuple[int, int] = (3, 3),
    ) -> None:
        super().__init__()
        self.is_first = is_first
        first, second = kernels
        self.conv1 = conv(in_channels, channels, first) if first else nn.Identity()
        self.conv2 = conv(channels, channels, second)
        self.shortcut = conv(in_channels, channels, 1) if downsample or is_first else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to half or the same size."""
        h = self.conv1(x if self.is_first else F.relu(x))
        h = self.conv2(F.relu(h))
        if self.shortcut is None:
            return x + h
        h = F.avg_pool2d(h, 2)  # (N, C, H / 2, W / 2)
        if self.is_first:
            return h + self.shortcut(F.avg_pool2d(x, 2))
        return h + F.avg_pool2d(self.shortcut(x), 2)
