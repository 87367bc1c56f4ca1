"""Up- and down-sampling beside a convolution, as one cheaper operation."""

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_nas.networks.autogan import UpConv
from gan_nas.networks.blocks import ResidualBlock
from gan_nas.networks.degas import NormUp
from gan_nas.networks.layers import Deconvolution, Interpolate, Projection
from gan_nas.networks.slots import selected
from gan_nas.networks.spectral import SpectralConv2d


class MergedProjection(Projection):
    """An up-sampling and a 1x1 convolution, which commute.

    The convolution runs at the low resolution. A deconvolution and a 1x1 convolution after it are
    one deconvolution with merged kernels.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, factor H, factor W)."""
        up = selected(self.up)
        if isinstance(up, Interpolate):
            return up(self.conv(x))
        *first, last = (module for module in up.modules() if isinstance(module, Deconvolution))
        for deconv in first:
            x = deconv(x)
        kernel = F.conv2d(last.weight, self.conv.weight)  # (I, O, 2, 2)
        bias = F.linear(last.bias, self.conv.weight.flatten(1), self.conv.bias)
        return F.conv_transpose2d(x, kernel, bias, stride=2)


class MergedUpConv(UpConv):
    """An up-sampling and a 3x3 convolution as one transposed 4x4 convolution.

    After a nearest-neighbour up-sampling each output sees only 2x2 inputs: 4/9 of the
    multiply-adds; after a deconvolution likewise. A bilinear one stays apart.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        up = selected(self.up)
        match up:
            case Interpolate(mode="nearest"):
                kernel = box_sum(self.conv.weight.flip(2, 3)).transpose(0, 1)  # (I, O, 4, 4)
                return F.conv_transpose2d(x, kernel, self.conv.bias, stride=2, padding=1)
            case Deconvolution():
                mirrored = self.conv.weight.flip(2, 3).transpose(0, 1)
                kernel = F.conv_transpose2d(up.weight, mirrored)  # (I, O, 4, 4)
                y = F.conv_transpose2d(x, kernel, stride=2, padding=1)
                # The inner bias becomes a map, not a constant: the border sees zero padding.
                bias = up.bias.view(1, -1, 1, 1).expand(-1, -1, *y.shape[2:])
                return y + self.conv(bias)
            case _:
                return super().forward(x)


class MergedNormUp(NormUp):
    """A nearest-neighbour up-sampling and a convolution: 1x1 before it, 3x3 one transposed 4x4."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        if self.up is None:
            return super().forward(x)
        h = F.relu(self.norm(x))
        if self.conv.kernel_size == (1, 1):
            return self.up(self.conv(h))
        return F.conv_transpose2d(h, transposed_kernel(self), self.conv.bias, stride=2, padding=1)


class MergedResidualBlock(ResidualBlock):
    """A block that halves: convolve 3x3 and average as one 4x4 of stride 2; average, then 1x1."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to half or the same size."""
        if self.shortcut is None:
            return super().forward(x)
        h = F.relu(self.conv1(x if self.is_first else F.relu(x)))
        weight = self.conv2.weight
        if isinstance(self.conv2, SpectralConv2d):
            weight = self.conv2.normalised_weight()
        h = F.conv2d(h, box_sum(weight) / 4, self.conv2.bias, stride=2, padding=1)
        return h + self.shortcut(F.avg_pool2d(x, 2))


def transposed_kernel(op: NormUp) -> Tensor:
    """Return the kernel (I, O, K, K), K even, for a padding of K / 2 - 1.

    Of an operation as one transposed convolution of stride 2.
    """
    weight = op.conv.weight
    if op.up is None:
        return weight
    if op.conv.kernel_size == (1, 1):
        return weight.transpose(0, 1).expand(-1, -1, 2, 2)
    return box_sum(weight.flip(2, 3)).transpose(0, 1)


def box_sum(kernel: Tensor) -> Tensor:
    """Convolve 3x3 kernels with a 2x2 box of ones: (O, I, 3, 3) -> (O, I, 4, 4)."""
    padded = F.pad(kernel, (1, 1, 1, 1))  # (O, I, 5, 5)
    rows = padded[:, :, :-1] + padded[:, :, 1:]
    return torch.add(rows[..., :-1], rows[..., 1:])
