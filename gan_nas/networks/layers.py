"""Layers that several spaces share."""

from functools import cache
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.slots import selected
from gan_nas.networks.spectral import without_autocast


def to_map(x: Tensor, side: int, like: Tensor) -> Tensor:
    """Bring a stem's output (N, C * side * side) to (N, C, side, side), laid out as weights are."""
    x = torch.unflatten(x, 1, (-1, side, side))
    if like.is_contiguous(memory_format=torch.channels_last):
        x = x.contiguous(memory_format=torch.channels_last)
    return x


class ToRGB(nn.Module):
    """Batch norm, ReLU, 3x3 convolution, tanh."""

    def __init__(self, channels: int, image_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, image_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, S, S) to images in [-1, 1]."""
        return torch.tanh(self.conv(F.relu(self.norm(x))))


class Interpolate(nn.Module):
    """Scale height and width by a whole factor."""

    def __init__(self, mode: str, factor: int) -> None:
        super().__init__()
        self.mode, self.factor = mode, factor

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, factor H, factor W)."""
        align_corners = None if self.mode == "nearest" else False
        by_matrices = not x.is_cpu and torch.are_deterministic_algorithms_enabled()
        if self.mode == "bilinear" and by_matrices:
            return bilinear_by_matrices(x, self.factor)
        return F.interpolate(
            x, scale_factor=self.factor, mode=self.mode, align_corners=align_corners
        )


def bilinear_by_matrices(x: Tensor, factor: int) -> Tensor:
    """Scale (N, C, H, W) bilinearly as `F.interpolate` does, to rounding: (N, C, f H, f W).

    A product with a matrix along either side. On a GPU the gradient of PyTorch's kernel is a sum in
    an order left to chance, and what it falls back on to avoid that is slow.
    """
    num, channels, height, width = x.shape
    across, down = (_linear_weights(n, factor, x.device).to(x.dtype) for n in (width, height))
    x = x.movedim(1, 3)  # how images lie in memory in channels_last
    with without_autocast(x.device):  # which knows products, and not interpolation
        x = across.expand(num * height, -1, -1).bmm(x.reshape(num * height, width, channels))
        x = down.expand(num, -1, -1).bmm(x.reshape(num, height, -1))
    return x.view(num, factor * height, factor * width, channels).movedim(3, 1)


@cache  # for good: what a GPU has recorded reads them
def _linear_weights(size: int, factor: int, device: torch.device) -> Tensor:
    """Return the matrix (factor * size, size) that scales a line."""
    with torch.no_grad():
        each = torch.eye(size, dtype=torch.float64, device=device)[None]
        return F.interpolate(each, scale_factor=factor, mode="linear")[0].t().contiguous()


class Deconvolution(nn.ConvTranspose2d):
    """Double height and width with learned kernels that do not overlap."""

    bias: nn.Parameter

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 2, stride=2)


class Projection(nn.Module):
    """Up-sample, then convolve 1x1: the shortcuts and skips into a cell."""

    def __init__(self, channels: int, up: nn.Module) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, factor H, factor W)."""
        return self.conv(selected(self.up)(x))


class MakeConv(Protocol):
    """What makes a convolution padded to keep the size at stride 1."""

    def __call__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
    ) -> nn.Conv2d:
        """Return the convolution."""
        ...


def plain_conv(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Make an ordinary convolution."""
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation)
