"""DEGAS' stage, written once with slots, its operations, and its generator.

DEGAS (Doveh & Giryes 2019), sec. 3.2: the normal map is made from the stage before it, the
up-sampled one is the sum of an up-sampling of the normal map and, where there is one, a residual
up-sampling of the stage before. In a search each place is a MixedOp (eq. 1).
"""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.contract import Networks, SpaceNetwork
from gan_nas.networks.layers import Interpolate, ToRGB, to_map
from gan_nas.networks.mixing import UNWEIGHTED, Weights, add, weighted_sum
from gan_nas.networks.resolution import bottom_width
from gan_nas.networks.slots import Candidates, Choices, Fill, mixed
from gan_nas.spaces.degas import NORMAL_OPS, UP_OPS, DEGASGenerator, operations


class StageNetwork(nn.Module):
    """DEGAS' generator: linear stem, stages that double the size, to-RGB.

    DEGAS (Doveh & Giryes 2019), sec. 3.2. One fill decides all places. While `searching`,
    operations have no norm weights and no biases, and norms use the batch's statistics.
    """

    def __init__(
        self,
        fill: Fill,
        width: int,
        latent_dim: int,
        bottom_width: int,
        image_channels: int,
        *,
        residuals: Sequence[bool],
        has_final_normal: bool,
        searching: bool = False,
    ) -> None:
        super().__init__()
        self.latent_dim, self.bottom_width = latent_dim, bottom_width
        self.stem = nn.Linear(latent_dim, width * bottom_width**2)
        self.stages = nn.ModuleList(
            Stage(index, width, fill, searching, has_residual)
            for index, has_residual in enumerate(residuals)
        )
        self.final_normal: nn.Module | None = None
        if has_final_normal:
            self.final_normal = fill("final_normal", normal_ops(width, searching))
        self.to_rgb = ToRGB(width, image_channels)

    def forward(self, z: Tensor, weights: Weights = UNWEIGHTED) -> Tensor:
        """Map latents (N, latent_dim) to images (N, image channels, S, S) in [-1, 1].

        S is bottom_width * 2**stages. `weights` are those of a supernet's places, by name.
        """
        x = to_map(self.stem(z), self.bottom_width, self.to_rgb.conv.weight)
        for stage in self.stages:
            x = stage(x, weights)
        if self.final_normal is not None:
            x = self.normal_sum(self.final_normal, x, weights)
        return self.to_rgb(x)

    def normal_sum(self, place: nn.Module, x: Tensor, weights: Weights) -> Tensor:
        """Return what a normal place makes of a map (N, C, H, W): sum_i w_i op_i(x) (eq. 1)."""
        total = weighted_sum(place, x, weights)
        assert total is not None
        return total


class Stage(nn.Module):
    """One stage of DEGAS' generator; `fill` decides places such as "0.normal"."""

    def __init__(
        self, index: int, channels: int, fill: Fill, searching: bool, has_residual: bool
    ) -> None:
        super().__init__()
        self.normal = fill(f"{index}.normal", normal_ops(channels, searching))
        self.up = fill(f"{index}.up", up_ops(channels, searching))
        self.residual: nn.Module | None = None
        if has_residual:
            self.residual = fill(f"{index}.residual", up_ops(channels, searching))

    def forward(self, x: Tensor, weights: Weights = UNWEIGHTED) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        normal = weighted_sum(self.normal, x, weights)
        up = weighted_sum(self.up, normal, weights)  # (N, C, 2H, 2W)
        if self.residual is not None:
            up = add(up, weighted_sum(self.residual, x, weights))
        assert up is not None
        return up


class StageNetworks(SpaceNetwork[DEGASGenerator]):
    """DEGAS' generators, each one part; in a search the operations of a place are mixed."""

    Network = StageNetwork

    def choices(self, genome: DEGASGenerator) -> Sequence[Choices]:
        """Return the operation at each place."""
        return [operations(genome)]

    def build(
        self, genome: DEGASGenerator, fills: Sequence[Fill], resolution: int, image_channels: int
    ) -> StageNetwork:
        """Build a network that has the genome's places alone."""
        return StageNetwork(
            fills[0],
            genome.width,
            genome.latent_dim,
            bottom_width(resolution, len(genome.stages)),
            image_channels,
            residuals=[stage.residual is not None for stage in genome.stages],
            has_final_normal=genome.final_normal is not None,
        )

    def build_supernet(
        self, genome: DEGASGenerator, resolution: int, image_channels: int
    ) -> StageNetwork:
        """Build the network of the space, with the variants' places where the genome has them."""
        return StageNetwork(
            mixed,
            genome.width,
            genome.latent_dim,
            bottom_width(resolution, len(genome.stages)),
            image_channels,
            residuals=[bool(i) or s.residual is not None for i, s in enumerate(genome.stages)],
            has_final_normal=genome.final_normal is not None,
            searching=True,
        )


NETWORKS = Networks(generator=StageNetworks())


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
        return self.conv(F.relu(self.norm(x)))


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
        return self.norm(self.pool(x))


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
        return self.norm(self.pointwise(self.depthwise(F.relu(x))))


class NormUp(nn.Module):
    """Batch norm, ReLU, then double the size: DEGAS' up-sampling operations."""

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
        return self.conv(h if self.up is None else self.up(h))


def _op_norm(channels: int, searching: bool, affine: bool = True) -> nn.BatchNorm2d:
    """Return an operation's norm: in a search it sees many architectures, and keeps nothing."""
    return nn.BatchNorm2d(
        channels, affine=affine and not searching, track_running_stats=not searching
    )
