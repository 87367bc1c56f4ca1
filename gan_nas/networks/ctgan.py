"""CT-GAN's critic (Wei et al. 2018): a residual network without normalisation, with dropout."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.blocks import ResidualBlock
from gan_nas.networks.contract import Networks, SpaceNetwork
from gan_nas.networks.layers import plain_conv
from gan_nas.networks.resolution import bottom_width
from gan_nas.networks.slots import Choices, Fill
from gan_nas.spaces.ctgan import CTGANCritic


class Verdict(NamedTuple):
    """What a critic thinks of images: scores (N, 1), unbounded, and the features (N, C) before."""

    scores: Tensor
    features: Tensor


class Critic(nn.Module):
    """CT-GAN's critic for small images; without dropout it is WGAN-GP's.

    The authors' code (CT_gan_cifar_resnet.py). `dropout` are the rates after the second, third
    and fourth block. Dropout is on whenever a stream of random numbers is handed in, in training
    and at any other time. No image depends on another one of its batch.
    """

    def __init__(self, width: int, image_channels: int, dropout: Sequence[float]) -> None:
        super().__init__()
        self.dropout = tuple(dropout)
        self.block1 = ResidualBlock(image_channels, width, plain_conv, is_first=True)
        self.block2 = ResidualBlock(width, width, plain_conv, downsample=True)
        self.block3 = ResidualBlock(width, width, plain_conv)
        self.block4 = ResidualBlock(width, width, plain_conv)
        self.head = nn.Linear(width, 1)

    def forward(self, images: Tensor, random: torch.Generator | None = None) -> Tensor:
        """Map images (N, image channels, S, S) in [-1, 1] to scores (N, 1), unbounded.

        Dropout masks are drawn from `random`, on the images' device; None drops nothing.
        """
        return self.verdict(self.look(images), random).scores

    def look(self, images: Tensor) -> Tensor:
        """Map images (N, image channels, S, S) to (N, C, S / 4, S / 4): all before any dropout."""
        return self.block2(self.block1(images))

    def verdict(self, h: Tensor, random: torch.Generator | None = None) -> Verdict:
        """Map what `look` returned to scores and features."""
        first, second, third = self.dropout
        h = _drop(h, first, random)
        h = _drop(self.block3(h), second, random)
        h = _drop(self.block4(h), third, random)
        features = F.relu(h).mean((2, 3))  # (N, C)
        return Verdict(self.head(features), features)


class Critics(SpaceNetwork[CTGANCritic]):
    """CT-GAN's critics, which have no slots."""

    Network = Critic

    def choices(self, genome: CTGANCritic) -> Sequence[Choices]:
        """Return that there are none."""
        return [{}]

    def build(
        self, genome: CTGANCritic, fills: Sequence[Fill], resolution: int, image_channels: int
    ) -> Critic:
        """Build the network of a width and dropout rates."""
        bottom_width(resolution, 2)  # refuses what cannot be halved twice
        return Critic(genome.width, image_channels, genome.dropout)


NETWORKS = Networks(discriminator=Critics())


def _drop(h: Tensor, rate: float, random: torch.Generator | None) -> Tensor:
    """Set a share `rate` of the values to zero and scale the others up.

    Drawn in float32, and image after image: the same masks in every precision.
    """
    if random is None or not rate:
        return h
    kept = torch.empty_like(h, dtype=torch.float32).uniform_(generator=random) >= rate
    return h * (kept.to(h.dtype) / (1 - rate))
