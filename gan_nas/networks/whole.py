"""Whole networks: generators and discriminators that can grow cell by cell."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.cells import (
    AdversarialNASDownCell,
    AdversarialNASUpCell,
    AutoGANUpCell,
    DownBlock,
    FirstDownBlock,
)
from gan_nas.networks.mixing import UNKNOWN, UNWEIGHTED, Norms, Weights
from gan_nas.networks.ops import Reordered
from gan_nas.networks.slots import Fill
from gan_nas.networks.spectral import SpectralConv2d, SpectralLinear, largest_singular_values
from gan_nas.networks.stage_ops import normal_ops
from gan_nas.networks.stages import DEGASStage, Source, normal_sum


class AutoGANNetwork(nn.Module):
    """AutoGAN's generator: linear stem, cells of one width that double the size, to-RGB.

    AutoGAN (Gong et al. 2019), Fig. 2. `fills` holds one fill for each cell. `num_active_cells`
    may be lowered while a search grows the network; the one to-RGB serves every stage.
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
        x = self.stem(z).unflatten(1, (-1, self.bottom_width, self.bottom_width))
        if self.to_rgb.conv.weight.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for cell in list(self.cells)[: self.num_active_cells]:
            x, skip = cell(x, skips)
            skips.append(skip)
        return self.to_rgb(x)  # type: ignore[no-any-return]


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
            stem(part).unflatten(1, (-1, self.bottom_width << i, self.bottom_width << i))
            for i, (stem, part) in enumerate(
                zip(self.stems, z.chunk(len(self.stems), 1), strict=True)
            )
        ]
        if self.to_rgb.conv.weight.is_contiguous(memory_format=torch.channels_last):
            parts = [part.contiguous(memory_format=torch.channels_last) for part in parts]
        x = parts[0]
        skips: list[Tensor | None] = []
        for index, cell in enumerate(self.cells):
            if 0 < index < len(parts):
                x = x + parts[index]
            x, skip = cell(x, skips, weights[index] if weights else UNWEIGHTED)
            skips.append(skip)
        return self.to_rgb(x)  # type: ignore[no-any-return]


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


class DownCellNetwork(Reordered):
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
        all_run = weights is not None and any(w.dim() for w in weights[0].values())
        norms = self._norms() if all_run and not self.published_order else UNKNOWN
        for index, cell in enumerate(self.cells):
            x = cell(x, weights[index] if weights else UNWEIGHTED, norms)
        return self.head(F.relu(x).sum((2, 3)))  # type: ignore[no-any-return]

    def _norms(self) -> Norms:
        """Return the norms of all convolutions, computed together."""
        convs = [module for module in self.modules() if isinstance(module, SpectralConv2d)]
        return dict(zip(convs, largest_singular_values(convs), strict=True))


class ToRGB(nn.Module):
    """Batch norm, ReLU, 3x3 convolution, tanh."""

    def __init__(self, channels: int, image_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, image_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, S, S) to images in [-1, 1]."""
        return torch.tanh(self.conv(F.relu(self.norm(x))))


class SNResNet(nn.Module):
    """SN-GAN's discriminator for small images, as AutoGAN uses and grows it.

    Miyato et al. 2018. Of the first three blocks only the first `num_active_cells` run,
    the fourth always does: it is trained from the first stage on.
    """

    def __init__(self, width: int, image_channels: int) -> None:
        super().__init__()
        self.num_active_cells = 3
        self.block1 = FirstDownBlock(image_channels, width)
        self.block2 = DownBlock(width, downsample=True)
        self.block3 = DownBlock(width, downsample=False)
        self.block4 = DownBlock(width, downsample=False)
        self.head = SpectralLinear(width, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, image channels, S, S) in [-1, 1] to scores (N, 1), unbounded."""
        x = images
        for block in [self.block1, self.block2, self.block3][: self.num_active_cells]:
            x = block(x)
        x = F.relu(self.block4(x))
        return self.head(x.sum((2, 3)))  # type: ignore[no-any-return]
