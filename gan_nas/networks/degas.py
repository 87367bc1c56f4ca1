"""DEGAS' stage, written once, and the weighted sums of its operations in a search.

DEGAS (Doveh & Giryes 2019), sec. 3.2: the normal map is made from the stage before it, the
up-sampled one is the sum of an up-sampling of the normal map and, where there is one, a residual
up-sampling of the stage before. In a search each place is a MixedOp (eq. 1).

While all operations are mixed, norms have no weights, so everything that starts with a norm of one
map starts from the same rectified map. All up-samplings of a stage then are one transposed 6x6
convolution with merged kernels over both maps, the 1x1 and 3x3 convolutions of a normal place are
one 3x3, and weights of normalised operations scale in the norm: equal up to rounding.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.contract import Networks, SpaceNetwork
from gan_nas.networks.layers import ToRGB
from gan_nas.networks.mixing import UNWEIGHTED, Weights, add, terms_of
from gan_nas.networks.ops import Interpolate, Reordered, box_sum
from gan_nas.networks.resolution import bottom_width
from gan_nas.networks.slots import Candidates, Choices, Fill, choose, mixed
from gan_nas.spaces.degas import NORMAL_OPS, UP_OPS, DEGASGenerator, operations

KERNEL = 6  # side of the merged up-sampling kernel


class StageNetwork(Reordered):
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
            DEGASStage(index, width, fill, searching, has_residual)
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
        x = self.stem(z).unflatten(1, (-1, self.bottom_width, self.bottom_width))
        if self.to_rgb.conv.weight.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x, weights)
        if self.final_normal is not None:
            merge = not self.published_order
            x = normal_sum(Source(x), self.final_normal, weights, merge=merge)
        return self.to_rgb(x)  # type: ignore[no-any-return]


class DEGASStage(Reordered):
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
        merge = not self.published_order
        source = Source(x)
        normal = normal_sum(source, self.normal, weights, merge=merge)
        ups = [(Source(normal), self.up)]
        if self.residual is not None:
            ups.append((source, self.residual))
        return up_sum(ups, weights, merge=merge)


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
        return build_stage_supernet(
            genome,
            resolution,
            image_channels,
            stem_residual=genome.stages[0].residual is not None,
            final_normal=genome.final_normal is not None,
        )


NETWORKS = Networks(generator=StageNetworks())


def build_stage_supernet(
    genome: DEGASGenerator,
    resolution: int,
    image_channels: int = 3,
    *,
    stem_residual: bool = False,
    final_normal: bool = False,
) -> StageNetwork:
    """Build the network of all of DEGAS' space, with the genome's sizes; the genome is set first.

    The two variants are places that a genome may leave empty.
    """
    network = StageNetwork(
        mixed,
        genome.width,
        genome.latent_dim,
        bottom_width(resolution, len(genome.stages)),
        image_channels,
        residuals=[bool(index) or stem_residual for index in range(len(genome.stages))],
        has_final_normal=final_normal,
        searching=True,
    )
    choose(network, operations(genome))
    return network


class Source:
    """A feature map, with what several operations make of it first."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._rectified: Tensor | None = None
        self._normalised: Tensor | None = None

    @property
    def rectified(self) -> Tensor:
        """Return the map after ReLU."""
        if self._rectified is None:
            self._rectified = F.relu(self.x)
        return self._rectified

    @property
    def normalised(self) -> Tensor:
        """Return the map after a norm without weights, and ReLU."""
        if self._normalised is None:
            self._normalised = F.relu(_norm(self.x))
        return self._normalised


def normal_sum(source: Source, place: nn.Module, weights: Weights, *, merge: bool = True) -> Tensor:
    """Return what a normal place makes of a map (N, C, H, W)."""
    terms = terms_of(place, weights)
    if not merge or len(terms) == 1:
        total = add(*(_scaled(s, op(source.x)) for s, op in terms))
        assert total is not None
        return total
    parts: list[Tensor] = []
    kernel: Tensor | None = None
    for scale, op in terms:
        assert scale is not None
        match op:
            case NormConv():
                side = op.conv.kernel_size[0]
                own = F.pad(op.conv.weight * scale, [(3 - side) // 2] * 4)
                kernel = own if kernel is None else kernel + own
            case NormPool():
                parts.append(_norm(op.pool(source.x), scale))
            case SeparableConv():
                parts.append(_separable(source.rectified, [op], scale))
            case nn.Sequential():
                parts.append(_separable(source.rectified, list(op), scale))
            case _:
                parts.append(source.x * scale)
    if kernel is not None:
        parts.append(F.conv2d(source.normalised, kernel, padding=1))
    total = add(*parts)
    assert total is not None
    return total


def up_sum(
    ups: Sequence[tuple[Source, nn.Module]], weights: Weights, *, merge: bool = True
) -> Tensor:
    """Return the sum of what up-sampling places make of their maps: (N, C, 2H, 2W)."""
    sums = [(source, terms_of(place, weights)) for source, place in ups]
    if not merge or any(len(terms) == 1 for _, terms in sums):
        total = add(*(_scaled(s, op(source.x)) for source, terms in sums for s, op in terms))
        assert total is not None
        return total
    kernels = []
    for _, terms in sums:
        kernel: Tensor | None = None
        for scale, op in terms:
            assert scale is not None
            assert isinstance(op, NormUp)
            own = op.transposed_kernel() * scale
            own = F.pad(own, [(KERNEL - own.shape[-1]) // 2] * 4)
            kernel = own if kernel is None else kernel + own
        assert kernel is not None
        kernels.append(kernel)
    h = torch.cat([source.normalised for source, _ in sums], 1)
    return F.conv_transpose2d(h, torch.cat(kernels), stride=2, padding=KERNEL // 2 - 1)


def _separable(rectified: Tensor, layers: Sequence[nn.Module], scale: Tensor) -> Tensor:
    """Return separable convolutions of a rectified map, scaled in the last norm."""
    h = rectified
    for layer in layers:
        assert isinstance(layer, SeparableConv)
        if layer is not layers[0]:
            h = F.relu(h)
        h = layer.pointwise(layer.depthwise(h))
        h = _norm(h, scale if layer is layers[-1] else None)
    return h


def _norm(x: Tensor, scale: Tensor | None = None) -> Tensor:
    """Normalise by the batch's statistics, times a scalar."""
    # Not expanded alone: PyTorch 2.15's backward pass on a CPU reads the weights of channels_last
    # maps as if they lay one after the other, whatever their strides.
    weight = None if scale is None else scale.expand(x.shape[1]).contiguous()
    return F.batch_norm(x, None, None, weight, training=True)


def _scaled(scale: Tensor | None, x: Tensor) -> Tensor:
    return x if scale is None else x * scale


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
