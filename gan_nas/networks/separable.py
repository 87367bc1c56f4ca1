"""AdversarialNAS' up-sampling operations: scale or spread, then convolve 1x1."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.ops import Interpolate


class UpSamplingConv(nn.Module):
    """AdversarialNAS' interpolation: scale by two, ReLU, 1x1 convolution.

    The paper says bilinear interpolation has no weights; in the code, and in the published number
    of parameters, it has this convolution.
    """

    def __init__(self, channels: int, mode: str) -> None:
        super().__init__()
        self.up = Interpolate(mode, 2)
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        return self.conv(F.relu(self.up(x)))  # type: ignore[no-any-return]


class SeparableDeconvolution(nn.Module):
    """AdversarialNAS' transposed convolution: ReLU, depthwise 3x3 of stride 2, 1x1; no biases."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.ConvTranspose2d(
            channels, channels, 3, 2, padding=1, output_padding=1, groups=channels, bias=False
        )
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        return self.pointwise(self.spread(F.relu(x)))  # type: ignore[no-any-return]

    def spread(self, x: Tensor) -> Tensor:
        """Double the size of each channel.

        On a CPU always in float32: bfloat16 takes 60 times as long there (torch 2.15).
        """
        if x.device.type != "cpu":
            return self.depthwise(x)  # type: ignore[no-any-return]
        with torch.autocast("cpu", enabled=False):
            return self.depthwise(x.to(self.depthwise.weight.dtype)).to(x.dtype)  # type: ignore[no-any-return]
