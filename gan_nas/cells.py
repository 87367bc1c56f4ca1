"""The cells of each space, written once with slots, and the discriminator's residual blocks."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.ops import Absent, Projection, Reordered, UpConv, conv3x3_then_halve, norms, ups
from gan_nas.slots import Candidates, Fill
from gan_nas.spaces.autogan import AutoGANCell
from gan_nas.spectral import SpectralConv2d


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
        return self.conv(F.relu(self.norm(x)))  # type: ignore[no-any-return]


class PostActivation(nn.Module):
    """(Up-sampling,) 3x3 convolution, norm, ReLU."""

    def __init__(self, channels: int, fill: Fill, upsample: bool) -> None:
        super().__init__()
        self.conv = _conv3x3(channels, fill, upsample)
        self.norm = fill("norm", norms(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same or twice the size."""
        return F.relu(self.norm(self.conv(x)))


class FirstDownBlock(Reordered):
    """SN-GAN's first discriminator block: no activation on the image, halves the size."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = SpectralConv2d(in_channels, channels, 3)
        self.conv2 = SpectralConv2d(channels, channels, 3)
        self.shortcut = SpectralConv2d(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, image channels, H, W) to (N, C, H / 2, W / 2)."""
        h = _convolve_and_halve(self.conv2, F.relu(self.conv1(x)), self.published_order)
        return h + self.shortcut(F.avg_pool2d(x, 2))  # type: ignore[no-any-return]


class DownBlock(Reordered):
    """SN-GAN's residual discriminator block, with or without halving the size."""

    def __init__(self, channels: int, downsample: bool) -> None:
        super().__init__()
        self.conv1 = SpectralConv2d(channels, channels, 3)
        self.conv2 = SpectralConv2d(channels, channels, 3)
        self.shortcut = SpectralConv2d(channels, channels, 1) if downsample else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to half or the same size."""
        h = F.relu(self.conv1(F.relu(x)))
        if self.shortcut is None:
            return x + self.conv2(h)  # type: ignore[no-any-return]
        h = _convolve_and_halve(self.conv2, h, self.published_order)
        if self.published_order:
            return h + F.avg_pool2d(self.shortcut(x), 2)
        return h + self.shortcut(F.avg_pool2d(x, 2))  # type: ignore[no-any-return]


def _convolve_and_halve(conv: SpectralConv2d, x: Tensor, published_order: bool) -> Tensor:
    if published_order:
        return F.avg_pool2d(conv(x), 2)
    return conv3x3_then_halve(x, conv.normalised_weight(), conv.bias)


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
