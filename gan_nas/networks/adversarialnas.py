"""AdversarialNAS' cells, written once with slots, and its networks (Gao et al. 2020)."""

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.contract import Networks, SpaceNetwork
from gan_nas.networks.layers import Interpolate, MakeConv, Projection, ToRGB, plain_conv, to_map
from gan_nas.networks.mixing import UNWEIGHTED, Weights, add, mandatory, weighted_sum
from gan_nas.networks.resolution import bottom_width
from gan_nas.networks.slots import Absent, Candidates, Choices, Fill, mixed
from gan_nas.networks.spectral import SpectralConv2d, SpectralLinear
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    Cell,
    UpCell,
    candidates,
    live_edges,
)


class UpCellNetwork(nn.Module):
    """AdversarialNAS' generator: a part of the latents into each cell, Up-Cells, to-RGB.

    AdversarialNAS (Gao et al. 2020), sec. 3.1. `fills` holds one fill for each cell. The published
    code splits the latents in as many parts as there are stems, part i joins the input of cell i.
    """

    def __init__(
        self,
        fills: Sequence[Fill],
        width: int,
        latent_dim: int,
        num_latent_parts: int,
        bottom_width: int,
        image_channels: int,
    ) -> None:
        super().__init__()
        self.latent_dim, self.bottom_width = latent_dim, bottom_width
        part_dim = latent_dim // num_latent_parts
        self.stems = nn.ModuleList(
            nn.Linear(part_dim, width * (bottom_width << i) ** 2) for i in range(num_latent_parts)
        )
        self.cells = nn.ModuleList(
            AdversarialNASUpCell(index, width, fill) for index, fill in enumerate(fills)
        )
        self.to_rgb = ToRGB(width, image_channels)

    def forward(self, z: Tensor, weights: Sequence[Weights] | None = None) -> Tensor:
        """Map latents (N, latent_dim) to images (N, image channels, S, S) in [-1, 1].

        S is 8 * bottom_width. `weights` are those of a supernet's mixed edges, cell by cell.
        """
        parts = [
            to_map(stem(part), self.bottom_width << i, self.to_rgb.conv.weight)
            for i, (stem, part) in enumerate(
                zip(self.stems, z.chunk(len(self.stems), 1), strict=True)
            )
        ]
        x = parts[0]
        skips: list[Tensor | None] = []
        for index, cell in enumerate(self.cells):
            if 0 < index < len(parts):
                x = x + parts[index]
            x, skip = cell(x, skips, weights[index] if weights else UNWEIGHTED)
            skips.append(skip)
        return self.to_rgb(x)


class DownCellNetwork(nn.Module):
    """AdversarialNAS' discriminator: Down-Cells, each of which halves the size, and a linear head.

    AdversarialNAS (Gao et al. 2020), sec. 3.1. `fills` holds one fill for each cell.
    """

    def __init__(self, fills: Sequence[Fill], width: int, image_channels: int) -> None:
        super().__init__()
        self.cells = nn.ModuleList(
            AdversarialNASDownCell(index, width if index else image_channels, width, fill)
            for index, fill in enumerate(fills)
        )
        self.head = SpectralLinear(width, 1, bias=False)

    def forward(self, images: Tensor, weights: Sequence[Weights] | None = None) -> Tensor:
        """Map images (N, image channels, S, S) in [-1, 1] to scores (N, 1), unbounded."""
        x = images
        for index, cell in enumerate(self.cells):
            x = cell(x, weights[index] if weights else UNWEIGHTED)
        return self.head(F.relu(x).sum((2, 3)))


class AdversarialNASUpCell(nn.Module):
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
        ups = [Interpolate(mode, 2 ** (index - j)) for j in range(index)]
        self.skips = nn.ModuleList(
            fill(f"skip {j}", {"present": partial(Projection, channels, up)})
            for j, up in enumerate(ups)
        )

    def forward(
        self, x: Tensor, skips: Sequence[Tensor | None], weights: Weights = UNWEIGHTED
    ) -> tuple[Tensor, Tensor | None]:
        """Map (N, C, H, W) and the earlier cells' skips to output and skip, (N, C, 2H, 2W)."""
        x1, x2 = self.up_sampled(x, weights, "0-1", "0-2")
        x13, x14 = self.leaving(x1, weights, "1-3", "1-4")
        x23, x24 = self.leaving(x2, weights, "2-3", "2-4")
        received = [
            None if skip is None else mandatory(project, weights)(skip)
            for project, skip in zip(self.skips, skips, strict=True)
        ]
        x3 = add(x13, x23, *received)
        (x34,) = self.leaving(x3, weights, "3-4")
        x4 = add(x14, x24, x34)
        assert x4 is not None, "a valid cell has an output"
        return x4, x3

    def up_sampled(self, x: Tensor, weights: Weights, *names: str) -> list[Tensor | None]:
        """Return what the up-sampling edges put out, (N, C, 2H, 2W)."""
        return [weighted_sum(self.edges[name], x, weights) for name in names]

    def leaving(self, x: Tensor | None, weights: Weights, *names: str) -> list[Tensor | None]:
        """Return what edges that leave one node put out, each sum_i w_i op_i(x) (eq. 1)."""
        return [weighted_sum(self.edges[name], x, weights, rectify=True) for name in names]


class AdversarialNASDownCell(nn.Module):
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

    def forward(self, x: Tensor, weights: Weights = UNWEIGHTED) -> Tensor:
        """Map (N, C, H, W) to (N, C, H / 2, W / 2)."""
        x1, x02, x03 = self.leaving(x, weights, "0-1", "0-2", "0-3", rectify=self.rectify)
        x12, x13 = self.leaving(x1, weights, "1-2", "1-3")
        (x24,) = self.leaving(add(x02, x12), weights, "2-4")
        (x34,) = self.leaving(add(x03, x13), weights, "3-4")
        x4 = add(x24, x34)
        assert x4 is not None, "a valid cell has an output"
        return x4

    def leaving(
        self, x: Tensor | None, weights: Weights, *names: str, rectify: bool = True
    ) -> list[Tensor | None]:
        """Return what edges that leave one node put out, each sum_i w_i op_i(x) (eq. 1)."""
        return [weighted_sum(self.edges[name], x, weights, rectify=rectify) for name in names]


class UpCellNetworks(SpaceNetwork[AdversarialNASGenerator]):
    """AdversarialNAS' generators; in a search the operations of an edge are mixed."""

    Network = UpCellNetwork

    def choices(self, genome: AdversarialNASGenerator) -> Sequence[Choices]:
        """Return what stands on each cell's edges."""
        return adversarialnas_choices(genome.cells)

    def build(
        self,
        genome: AdversarialNASGenerator,
        fills: Sequence[Fill],
        resolution: int,
        image_channels: int,
    ) -> UpCellNetwork:
        """Build a network that doubles the size in each cell."""
        return UpCellNetwork(
            fills,
            genome.width,
            genome.latent_dim,
            genome.num_latent_parts,
            bottom_width(resolution, len(fills)),
            image_channels,
        )

    @property
    def supernet_fill(self) -> Fill:
        """Return MixedOps."""
        return mixed

    def parts(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the cells."""
        return list(network.get_submodule("cells").children())


class DownCellNetworks(SpaceNetwork[AdversarialNASDiscriminator]):
    """AdversarialNAS' discriminators; in a search the operations of an edge are mixed."""

    Network = DownCellNetwork

    def choices(self, genome: AdversarialNASDiscriminator) -> Sequence[Choices]:
        """Return what stands on each cell's edges."""
        return adversarialnas_choices(genome.cells)

    def build(
        self,
        genome: AdversarialNASDiscriminator,
        fills: Sequence[Fill],
        resolution: int,
        image_channels: int,
    ) -> DownCellNetwork:
        """Build a network that halves the size in each cell."""
        bottom_width(resolution, len(fills))  # refuses what cannot be halved as often
        return DownCellNetwork(fills, genome.width, image_channels)

    @property
    def supernet_fill(self) -> Fill:
        """Return MixedOps."""
        return mixed

    def parts(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the cells."""
        return list(network.get_submodule("cells").children())


NETWORKS = Networks(generator=UpCellNetworks(), discriminator=DownCellNetworks())


def adversarialnas_choices(cells: Sequence[Cell]) -> list[dict[str, str | None]]:
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


class UpSamplingConv(nn.Module):
    """AdversarialNAS' interpolation: scale by two, ReLU, 1x1 convolution.

    The paper says bilinear interpolation has no weights; in the code, and in the published number
    of parameters, it has this convolution.
    """

    def __init__(self, channels: int, mode: str) -> None:
        super().__init__()
        self.up = Interpolate(mode, 2)
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        return self.conv(F.relu(self.up(x)))


class SeparableDeconvolution(nn.Module):
    """AdversarialNAS' transposed convolution: ReLU, depthwise 3x3 of stride 2, 1x1; no biases."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.ConvTranspose2d(
            channels, channels, 3, 2, padding=1, output_padding=1, groups=channels, bias=False
        )
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        return self.pointwise(self.spread(F.relu(x)))

    def spread(self, x: Tensor) -> Tensor:
        """Double the size of each channel.

        On a CPU always in float32: bfloat16 takes 60 times as long there (torch 2.15).
        """
        if x.device.type != "cpu":
            return self.depthwise(x)
        with torch.autocast("cpu", enabled=False):
            return self.depthwise(x.to(self.depthwise.weight.dtype)).to(x.dtype)


CONVS = {  # name -> kernel size, dilation
    "conv_1x1": (1, 1),
    "conv_3x3": (3, 1),
    "conv_5x5": (5, 1),
    "dil_conv_3x3": (3, 2),
    "dil_conv_5x5": (5, 2),
}


def edge_ops(
    names: Iterable[str], conv: MakeConv, in_channels: int, out_channels: int, stride: int = 1
) -> Candidates:
    """Return AdversarialNAS' operations by name; the ReLU before a convolution is the cell's."""
    others: Candidates = {
        "none": Absent,
        "identity": nn.Identity,
        "avg_pool": lambda: nn.AvgPool2d(2),
        "max_pool": lambda: nn.MaxPool2d(2),
        "nearest": lambda: UpSamplingConv(out_channels, "nearest"),
        "bilinear": lambda: UpSamplingConv(out_channels, "bilinear"),
        "deconv": lambda: SeparableDeconvolution(out_channels),
    }
    convs = {
        name: partial(conv, in_channels, out_channels, size, stride, dilation)
        for name, (size, dilation) in CONVS.items()
    }
    return {name: convs[name] if name in convs else others[name] for name in names}
