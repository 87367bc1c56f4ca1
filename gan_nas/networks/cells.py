"""The cells of each space, written once with slots, and the discriminator's residual blocks."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.mixing import (
    UNKNOWN,
    UNWEIGHTED,
    Norms,
    Weights,
    add,
    fan_out,
    mandatory,
    up_fan_out,
)
from gan_nas.networks.ops import (
    Interpolate,
    Projection,
    Reordered,
    UpConv,
    conv3x3_then_halve,
    edge_ops,
    norms,
    plain_conv,
    ups,
)
from gan_nas.networks.slots import Absent, Candidates, Fill
from gan_nas.networks.spectral import SpectralConv2d
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    DownCell,
    FirstDownCell,
    UpCell,
    candidates,
    live_edges,
)
from gan_nas.spaces.autogan import AutoGANCell


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


class AdversarialNASUpCell(Reordered):
    """AdversarialNAS' Up-Cell: operations on the edges of a graph, skips into node 3.

    AdversarialNAS (Gao et al. 2020), Fig. 2. Skips are not searched: a 1x1 convolution after
    bilinear up-sampling into the second cell, after nearest into the third. The skip a cell hands
    on is its node 3, with the skips it received in it (the authors' code).
    """

    def __init__(self, index: int, channels: int, fill: Fill) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                edge: fill(edge, edge_ops(names, plain_conv, channels, channels))
                for edge, names in candidates(UpCell).items()
            }
        )
        mode = "bilinear" if index == 1 else "nearest"
        self.skips = nn.ModuleList(
            fill(f"skip {j}", {"present": _projection(channels, mode, 2 ** (index - j))})
            for j in range(index)
        )

    def forward(
        self, x: Tensor, skips: Sequence[Tensor | None], weights: Weights = UNWEIGHTED
    ) -> tuple[Tensor, Tensor | None]:
        """Map (N, C, H, W) and the earlier cells' skips to output and skip, (N, C, 2H, 2W)."""
        merge = not self.published_order
        out = partial(_fan_out, self.edges, weights, merge=merge)
        ups = [self.edges["0-1"], self.edges["0-2"]]
        x1, x2 = up_fan_out(x, ups, weights, merge=merge)
        x13, x14 = out(x1, "1-3", "1-4")
        x23, x24 = out(x2, "2-3", "2-4")
        received = [
            None if skip is None else mandatory(project, weights)(skip)
            for project, skip in zip(self.skips, skips, strict=True)
        ]
        x3 = add(x13, x23, *received)
        (x34,) = out(x3, "3-4")
        x4 = add(x14, x24, x34)
        assert x4 is not None, "a valid cell has an output"
        return x4, x3


class AdversarialNASDownCell(Reordered):
    """AdversarialNAS' Down-Cell: AdversarialNAS (Gao et al. 2020), Fig. 2.

    All convolutions are spectrally normalised. In the first cell, whose input is the image, no
    ReLU comes before the convolutions on it (the authors' code).
    """

    def __init__(self, index: int, in_channels: int, channels: int, fill: Fill) -> None:
        super().__init__()
        self.rectify = index > 0
        table = candidates(DOWN_CELLS[index])
        self.edges = nn.ModuleDict(
            {
                edge: fill(
                    edge,
                    edge_ops(
                        names,
                        SpectralConv2d,
                        in_channels if edge.startswith("0") else channels,
                        channels,
                        stride=2 if edge.endswith("4") else 1,
                    ),
                )
                for edge, names in table.items()
            }
        )

    def forward(self, x: Tensor, weights: Weights = UNWEIGHTED, norms: Norms = UNKNOWN) -> Tensor:
        """Map (N, C, H, W) to (N, C, H / 2, W / 2)."""
        merge = not self.published_order
        out = partial(_fan_out, self.edges, weights, merge=merge, norms=norms)
        x1, x02, x03 = out(x, "0-1", "0-2", "0-3", rectify=self.rectify)
        x12, x13 = out(x1, "1-2", "1-3")
        (x24,) = out(add(x02, x12), "2-4")
        (x34,) = out(add(x03, x13), "3-4")
        x4 = add(x24, x34)
        assert x4 is not None, "a valid cell has an output"
        return x4


def adversarialnas_choices(
    cells: Sequence[UpCell] | Sequence[FirstDownCell | DownCell],
) -> list[dict[str, str | None]]:
    """Return what stands on each edge of each cell; None where nothing would reach the output.

    The third cell's node 3 is dead when its edge 3-4 is `none`: the authors keep its weights.
    """
    choices: list[dict[str, str | None]] = []
    node_3_is_used = False  # by this cell or a later one
    for index in reversed(range(len(cells))):
        edges = cells[index].edges
        node_3_is_used = node_3_is_used or edges.get("3-4") not in (None, "none")
        live = live_edges(edges, node_3_is_used)
        chosen = {edge: op if edge in live else None for edge, op in edges.items()}
        skips = {f"skip {j}": "present" if node_3_is_used else None for j in range(index)}
        choices.insert(0, chosen | skips)
    return choices


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


def _fan_out(
    edges: nn.ModuleDict,
    weights: Weights,
    x: Tensor | None,
    *names: str,
    merge: bool,
    norms: Norms = UNKNOWN,
    rectify: bool = True,
) -> list[Tensor | None]:
    leaving = [edges[name] for name in names]
    return fan_out(x, leaving, weights, norms=norms, rectify=rectify, merge=merge)


def _projection(channels: int, mode: str, factor: int) -> Callable[[], nn.Module]:
    return lambda: Projection(channels, Interpolate(mode, factor))


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
