"""The candidate operations of the spaces: name -> module.

Neighbouring linear operations are computed in a cheaper order than the papers write them, or as
one with merged kernels; the results are equal up to rounding. `published_order` switches that off,
to count multiply-adds as the papers do.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.slots import selected


class Interpolate(nn.Module):
    """Scale height and width by a whole factor."""

    def __init__(self, mode: str, factor: int) -> None:
        super().__init__()
        self.mode, self.factor = mode, factor

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, factor H, factor W)."""
        align_corners = None if self.mode == "nearest" else False
        return F.interpolate(
            x, scale_factor=self.factor, mode=self.mode, align_corners=align_corners
        )


class Deconvolution(nn.ConvTranspose2d):
    """Double height and width with learned kernels that do not overlap."""

    bias: nn.Parameter

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 2, stride=2)


class Reordered(nn.Module):
    """A module that computes in a cheaper order than the papers write."""

    published_order = False


class Projection(Reordered):
    """Up-sample, then convolve 1x1: a shortcut or a skip of AutoGAN's cell.

    Interpolation commutes with a 1x1 convolution, so the convolution runs at the low resolution.
    A deconvolution and a 1x1 convolution after it are one deconvolution with merged kernels.
    """

    def __init__(self, channels: int, up: nn.Module) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, factor H, factor W)."""
        up = selected(self.up)
        if self.published_order:
            return self.conv(up(x))  # type: ignore[no-any-return]
        if isinstance(up, Interpolate):
            return up(self.conv(x))  # type: ignore[no-any-return]
        *first, last = (module for module in up.modules() if isinstance(module, Deconvolution))
        for deconv in first:
            x = deconv(x)
        kernel = F.conv2d(last.weight, self.conv.weight)  # (I, O, 2, 2)
        bias = F.linear(last.bias, self.conv.weight.flatten(1), self.conv.bias)
        return F.conv_transpose2d(x, kernel, bias, stride=2)


class UpConv(Reordered):
    """Up-sample by two, then convolve 3x3.

    After a nearest-neighbour up-sampling each output sees only 2x2 inputs, so both become one
    transposed 4x4 convolution with 4/9 of the multiply-adds; after a deconvolution likewise.
    """

    def __init__(self, channels: int, up: nn.Module) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        up = selected(self.up)
        match up:
            case Interpolate(mode="nearest") if not self.published_order:
                kernel = box_sum(self.conv.weight.flip(2, 3)).transpose(0, 1)  # (I, O, 4, 4)
                return F.conv_transpose2d(x, kernel, self.conv.bias, stride=2, padding=1)
            case Deconvolution() if not self.published_order:
                mirrored = self.conv.weight.flip(2, 3).transpose(0, 1)
                kernel = F.conv_transpose2d(up.weight, mirrored)  # (I, O, 4, 4)
                y = F.conv_transpose2d(x, kernel, stride=2, padding=1)
                # The inner bias becomes a map, not a constant: the border sees zero padding.
                bias = up.bias.view(1, -1, 1, 1).expand(-1, -1, *y.shape[2:])
                return y + self.conv(bias)  # type: ignore[no-any-return]
            case _:
                return self.conv(up(x))  # type: ignore[no-any-return]


def conv3x3_then_halve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve 3x3 and average-pool by two, as one 4x4 convolution of stride 2."""
    return F.conv2d(x, box_sum(weight) / 4, bias, stride=2, padding=1)


@contextmanager
def published_order(network: nn.Module) -> Iterator[None]:
    """Compute everything in the papers' order for a while."""
    modules = [m for m in network.modules() if isinstance(m, Reordered)]
    for module in modules:
        module.published_order = True
    try:
        yield
    finally:
        for module in modules:
            module.published_order = False


def box_sum(kernel: Tensor) -> Tensor:
    """Convolve 3x3 kernels with a 2x2 box of ones: (O, I, 3, 3) -> (O, I, 4, 4)."""
    padded = F.pad(kernel, (1, 1, 1, 1))  # (O, I, 5, 5)
    rows = padded[:, :, :-1] + padded[:, :, 1:]
    return torch.add(rows[..., :-1], rows[..., 1:])
