"""Layers that several spaces share."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ToRGB(nn.Module):
    """Batch norm, ReLU, 3x3 convolution, tanh."""

    def __init__(self, channels: int, image_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, image_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, S, S) to images in [-1, 1]."""
        return torch.tanh(self.conv(F.relu(self.norm(x))))


class MakeConv(Protocol):
    """What makes a convolution padded to keep the size at stride 1."""

    def __call__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, dilation: int
    ) -> nn.Module:
        """Return the convolution."""
        ...


def plain_conv(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, dilation: int
) -> nn.Module:
    """Make an ordinary convolution."""
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation)
