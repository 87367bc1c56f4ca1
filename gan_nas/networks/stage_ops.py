"""The operations of DEGAS' stages: name -> module, for a derived network or for a search."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.ops import Interpolate, Reordered, box_sum
from gan_nas.networks.slots import Candidates
from gan_nas.spaces.degas import NORMAL_OPS, UP_OPS


def normal_ops(channels: int, searching: bool = False) -> Candidates:
    """Return DEGAS' normal operations, all (N, C, H, W) to the same size.

    DEGAS (Doveh & Giryes 2019), sec. 3.2; layers as in DARTS' code. While `searching`, norms have
    no weights and no running statistics, and convolutions no biases, as there.
    """

    def separable(kernel_size: int) -> nn.Module:
        layers = [SeparableConv(channels, kernel_size, 1, searching) for _ in range(2)]
        return nn.Sequential(*layers)

    average = partial(nn.AvgPool2d, 3, 1, 1, count_include_pad=False)  # of what there is
    ops: dict[str, Callable[[], nn.Module]] = {
        "conv_1x1": lambda: NormConv(channels, 1, searching),
        "conv_3x3": lambda: NormConv(channels, 3, searching),
        "max_pool_3x3": lambda: NormPool(channels, nn.MaxPool2d(3, 1, 1), searching),
        "avg_pool_3x3": lambda: NormPool(channels, average(), searching),
        "skip_connect": nn.Identity,
        "sep_conv_3x3": lambda: separable(3),
        "sep_conv_5x5": lambda: separable(5),
        "dil_conv_3x3": lambda: SeparableConv(channels, 3, 2, searching),
        "dil_conv_5x5": lambda: SeparableConv(channels, 5, 2, searching),
    }
    return {name: ops[name] for name in NORMAL_OPS}


def up_ops(channels: int, searching: bool = False) -> Candidates:
    """Return DEGAS' up-sampling operations, all (N, C, H, W) to (N, C, 2H, 2W)."""
    shapes = {
        "deconv_4x4": (4, False),
        "deconv_6x6": (6, False),
        "nearest_conv_1x1": (1, True),
        "nearest_conv_3x3": (3, True),
    }
    return {name: partial(NormUp, channels, *shapes[name], searching) for name in UP_OPS}


class NormConv(nn.Module):
    """DEGAS' and ResNets' convolution: batch norm, ReLU, convolution."""

    def __init__(self, channels: int, kernel_size: int, searching: bool) -> None:
        super().__init__()
        self.norm = _op_norm(channels, searching)
        self.conv = nn.Conv2d(
            channels, channels, kernel_size, padding=kernel_size // 2, bias=not searching
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same size."""
        return self.conv(F.relu(self.norm(x)))  # type: ignore[no-any-return]


class NormPool(nn.Module):
    """DARTS' pooling: 3x3 of stride 1, then batch norm without weights.

    Derived or not: that is our choice, since DARTS' derived pools are bare and DEGAS says nothing.
    """

    def __init__(self, channels: int, pool: nn.Module, searching: bool) -> None:
        super().__init__()
        self.pool = pool
        self.norm = _op_norm(channels, searching, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same size."""
        return self.norm(self.pool(x))  # type: ignore[no-any-return]


class SeparableConv(nn.Module):
    """DARTS' ReLU, depthwise, pointwise, batch norm, no biases: dilated once, separable twice."""

    def __init__(self, channels: int, kernel_size: int, dilation: int, searching: bool) -> None:
        super().__init__()
        padding = dilation * (kernel_size // 2)
        self.depthwise = nn.Conv2d(
            channels,
            channels,
            kernel_size,
            padding=padding,
            dilation=dilation,
            groups=channels,
            bias=False,
        )
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = _op_norm(channels, searching)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same size."""
        return self.norm(self.pointwise(self.depthwise(F.relu(x))))  # type: ignore[no-any-return]


class NormUp(Reordered):
    """Batch norm, ReLU, then double the size: DEGAS' up-sampling operations.

    `transposed_kernel` is the same map as one transposed convolution of stride 2.
    """

    def __init__(self, channels: int, kernel_size: int, nearest: bool, searching: bool) -> None:
        super().__init__()
        self.norm = _op_norm(channels, searching)
        self.up = Interpolate("nearest", 2) if nearest else None
        self.conv: nn.Conv2d | nn.ConvTranspose2d
        bias = not searching
        if nearest:
            padding = kernel_size // 2
            self.conv = nn.Conv2d(channels, channels, kernel_size, padding=padding, bias=bias)
        else:
            padding = kernel_size // 2 - 1
            self.conv = nn.ConvTranspose2d(channels, channels, kernel_size, 2, padding, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        h = F.relu(self.norm(x))
        if self.up is None:
            return self.conv(h)  # type: ignore[no-any-return]
        if self.published_order:
            return self.conv(self.up(h))  # type: ignore[no-any-return]
        if self.conv.kernel_size == (1, 1):
            return self.up(self.conv(h))  # type: ignore[no-any-return]
        kernel = self.transposed_kernel()
        return F.conv_transpose2d(h, kernel, self.conv.bias, stride=2, padding=1)

    def transposed_kernel(self) -> Tensor:
        """Return the kernel (I, O, K, K), K even, for a padding of K / 2 - 1."""
        weight = self.conv.weight
        if self.up is None:
            return weight
        if self.conv.kernel_size == (1, 1):
            return weight.transpose(0, 1).expand(-1, -1, 2, 2)
        return box_sum(weight.flip(2, 3)).transpose(0, 1)


def _op_norm(channels: int, searching: bool, affine: bool = True) -> nn.BatchNorm2d:
    """Return an operation's norm: in a search it sees many architectures, and keeps nothing."""
    return nn.BatchNorm2d(
        channels, affine=affine and not searching, track_running_stats=not searching
    )
