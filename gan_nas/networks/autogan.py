"""AutoGAN's cell, written once with slots, and its generator (Gong et al. 2019)."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.contract import Networks, SpaceNetwork
from gan_nas.networks.layers import Deconvolution, Interpolate, Projection, ToRGB, to_map
from gan_nas.networks.resolution import bottom_width
from gan_nas.networks.slots import Absent, Candidates, Choices, Fill, selected
from gan_nas.spaces.autogan import AutoGANCell, AutoGANGenerator


class AutoGANNetwork(nn.Module):
    """AutoGAN's generator: linear stem, cells of one width that double the size, to-RGB.

    AutoGAN (Gong et al. 2019), Fig. 2. `fills` holds one fill for each cell. `num_active_cells`
    may be lowered while a search grows the network; the one to-RGB serves every level.
    """

    def __init__(
        self,
        fills: Sequence[Fill],
        width: int,
        latent_dim: int,
        bottom_width: int,
        image_channels: int,
        skip_tap: str,
    ) -> None:
        super().__init__()
        self.latent_dim, self.bottom_width = latent_dim, bottom_width
        self.num_active_cells = len(fills)
        self.stem = nn.Linear(latent_dim, width * bottom_width**2)
        self.cells = nn.ModuleList(
            AutoGANUpCell(index, width, fill, skip_tap) for index, fill in enumerate(fills)
        )
        self.to_rgb = ToRGB(width, image_channels)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents (N, latent_dim) to images (N, image channels, S, S) in [-1, 1].

        S is bottom_width * 2**num_active_cells.
        """
        x = to_map(self.stem(z), self.bottom_width, self.to_rgb.conv.weight)
        skips: list[Tensor] = []
        for cell in list(self.cells)[: self.num_active_cells]:
            x, skip = cell(x, skips)
            skips.append(skip)
        return self.to_rgb(x)


class AutoGANUpCell(nn.Module):
    """AutoGAN's cell: two blocks, an optional shortcut, optional skips from earlier cells.

    AutoGAN (Gong et al. 2019), sec. 3.1, Fig. 2. The skip feature a cell hands on is, as in the
    authors' code, what its second block sees: the skips it received are in it (`skip_tap` "post").
    Fig. 2 draws the dot before that sum (`skip_tap` "pre").
    """

    def __init__(self, index: int, channels: int, fill: Fill, skip_tap: str) -> None:
        super().__init__()
        self.skip_tap = skip_tap
        self.block1 = fill(
            "conv",
            {
                "post": lambda: PostActivation(channels, fill, upsample=True),
                "pre": lambda: PreActivation(channels, fill, upsample=True),
            },
        )
        self.block2 = fill(
            "conv",
            {
                "post": lambda: PostActivation(channels, fill, upsample=False),
                "pre": lambda: PreActivation(channels, fill, upsample=False),
            },
        )
        self.shortcut = fill("shortcut", _optional_projection(channels, fill, factor=2))
        self.skips = nn.ModuleList(
            fill(f"skip {j}", _optional_projection(channels, fill, factor=2 ** (index - j)))
            for j in range(index)
        )

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) and the earlier cells' skip features to output and skip feature.

        Both results are (N, C, 2H, 2W). Nothing is added in place: the inputs are read again.
        """
        before = self.block1(x)  # (N, C, 2H, 2W)
        h = before
        for project, skip in zip(self.skips, skips, strict=True):
            h = _plus(h, project(skip))
        out = _plus(self.block2(h), self.shortcut(x))
        return out, before if self.skip_tap == "pre" else h


class AutoGANNetworks(SpaceNetwork[AutoGANGenerator]):
    """AutoGAN's generators; in a search their slots share weights."""

    Network = AutoGANNetwork

    def choices(self, genome: AutoGANGenerator) -> Sequence[Choices]:
        """Return what each cell's tokens choose."""
        return [autogan_choices(cell, index) for index, cell in enumerate(genome.cells)]

    def build(
        self, genome: AutoGANGenerator, fills: Sequence[Fill], resolution: int, image_channels: int
    ) -> AutoGANNetwork:
        """Build a network that doubles the size in each cell."""
        return AutoGANNetwork(
            fills,
            genome.width,
            genome.latent_dim,
            bottom_width(resolution, len(fills)),
            image_channels,
            genome.skip_tap,
        )

    def parts(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the cells."""
        return list(network.get_submodule("cells").children())


NETWORKS = Networks(generator=AutoGANNetworks())


def autogan_choices(cell: AutoGANCell, index: int) -> Mapping[str, str]:
    """Return the candidate a genome chooses for each token of cell `index`."""
    presence = {True: "present", False: "absent"}
    skips = {f"skip {j}": presence[j in cell.skips] for j in range(index)}
    shortcut = presence[cell.shortcut]
    return {"conv": cell.conv, "norm": cell.norm, "up": cell.up, "shortcut": shortcut, **skips}


class PreActivation(nn.Module):
    """norm, ReLU, (up-sampling,) 3x3 convolution."""

    def __init__(self, channels: int, fill: Fill, upsample: bool) -> None:
        super().__init__()
        self.norm = fill("norm", norms(channels))
        self.conv = _conv3x3(channels, fill, upsample)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same or twice the size; x itself is left alone."""
        return self.conv(F.relu(self.norm(x)))


class PostActivation(nn.Module):
    """(Up-sampling,) 3x3 convolution, norm, ReLU."""

    def __init__(self, channels: int, fill: Fill, upsample: bool) -> None:
        super().__init__()
        self.conv = _conv3x3(channels, fill, upsample)
        self.norm = fill("norm", norms(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same or twice the size."""
        return F.relu(self.norm(self.conv(x)))


class UpConv(nn.Module):
    """Up-sample by two, then convolve 3x3."""

    def __init__(self, channels: int, up: nn.Module) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        return self.conv(selected(self.up)(x))


def norms(channels: int) -> Candidates:
    """Return AutoGAN's normalisations; instance norm has no parameters, as in the authors' code."""
    return {
        "none": nn.Identity,
        "batch": lambda: nn.BatchNorm2d(channels),
        "instance": lambda: nn.InstanceNorm2d(channels),
    }


def ups(channels: int, factor: int = 2) -> Candidates:
    """Return AutoGAN's up-samplings; by four, deconvolution is two of stride 2 in a row."""
    return {
        "bilinear": lambda: Interpolate("bilinear", factor),
        "nearest": lambda: Interpolate("nearest", factor),
        "deconv": lambda: _deconvs(channels, factor),
    }


def _conv3x3(channels: int, fill: Fill, upsample: bool) -> nn.Module:
    if upsample:
        return UpConv(channels, fill("up", ups(channels)))
    return nn.Conv2d(channels, channels, 3, padding=1)


def _optional_projection(channels: int, fill: Fill, factor: int) -> Candidates:
    return {
        "absent": Absent,
        "present": lambda: Projection(channels, fill("up", ups(channels, factor))),
    }


def _plus(x: Tensor, y: Tensor | None) -> Tensor:
    return x if y is None else x + y


def _deconvs(channels: int, factor: int) -> nn.Module:
    layers = [Deconvolution(channels) for _ in range(factor.bit_length() - 1)]
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)
