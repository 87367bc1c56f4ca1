"""A plain AutoGAN search step: what the published implementation computes, operation by operation.

The opposite side of bench_against_plain.py, written from its description with stock PyTorch:
everything float32 and NCHW; up-sample first, then convolve, also 1x1; spectral norm by PyTorch's
classic hook; real and fake images in two forward passes; the generator's graph is built in the
discriminator step and thrown away, the discriminator's weight gradients in the generator step too;
latents come from numpy in float64; every loss is read at once.
"""

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

UP_MODES = ("bilinear", "nearest", "deconv")
CELL_TOKENS = ((0, 4), (4, 9), (9, 14))


class PlainBlock(nn.Module):
    """A pre- or post-activation block, holding every norm and a deconvolution."""

    def __init__(self, channels: int, pre: bool, upsample: bool) -> None:
        super().__init__()
        self.pre, self.upsample = pre, upsample
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.deconv = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.InstanceNorm2d(channels)])

    def forward(self, x: Tensor, norm: int, up: int) -> Tensor:
        if self.pre:
            return self._convolve(F.relu(self._normalise(x, norm)), up)
        return F.relu(self._normalise(self._convolve(x, up), norm))

    def _normalise(self, x: Tensor, norm: int) -> Tensor:
        return self.norms[norm - 1](x) if norm else x

    def _convolve(self, x: Tensor, up: int) -> Tensor:
        if self.upsample:
            x = enlarge(x, 2, up, self.deconv)
        return self.conv(x)


class PlainCell(nn.Module):
    """One cell of the shared network with everything an architecture may use."""

    def __init__(self, index: int, channels: int) -> None:
        super().__init__()
        self.index = index
        self.first = nn.ModuleList(PlainBlock(channels, pre, True) for pre in (False, True))
        self.second = nn.ModuleList(PlainBlock(channels, pre, False) for pre in (False, True))
        self.shortcut_deconv = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.shortcut_conv = nn.Conv2d(channels, channels, 1)
        self.skip_deconv2 = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.skip_deconv4 = nn.Sequential(
            nn.ConvTranspose2d(channels, channels, 2, stride=2),
            nn.ConvTranspose2d(channels, channels, 2, stride=2),
        )
        self.skip_convs = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(index))

    def forward(
        self, x: Tensor, tokens: Sequence[int], earlier: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        conv, norm, up, shortcut, *skip = tokens
        h = self.first[conv](x, norm, up)
        for j, feature in enumerate(earlier):
            if skip[0] >> (self.index - 1 - j) & 1:
                factor = 2 ** (self.index - j)
                deconv = self.skip_deconv2 if factor == 2 else self.skip_deconv4
                h = h + self.skip_convs[j](enlarge(feature, factor, up, deconv))
        out = self.second[conv](h, norm, up)
        if shortcut:
            out = out + self.shortcut_conv(enlarge(x, 2, up, self.shortcut_deconv))
        return out, h


class PlainGenerator(nn.Module):
    """The shared generator of the search."""

    def __init__(self, width: int, bottom_width: int, image_channels: int = 3) -> None:
        super().__init__()
        self.width, self.bottom_width = width, bottom_width
        self.stem = nn.Linear(128, width * bottom_width**2)
        self.cells = nn.ModuleList(PlainCell(i, width) for i in range(3))
        self.to_rgb = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, image_channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, tokens: Sequence[int]) -> Tensor:
        """Run as many cells as there are tokens for."""
        x = self.stem(z).view(-1, self.width, self.bottom_width, self.bottom_width)
        earlier: list[Tensor] = []
        for cell, (start, stop) in zip(self.cells, CELL_TOKENS, strict=True):
            if start < len(tokens):
                x, feature = cell(x, tokens[start:stop], earlier)
                earlier.append(feature)
        return self.to_rgb(x)


class PlainDiscriminator(nn.Module):
    """The discriminator with all its blocks; fewer cells leave out the third, or the second too."""

    def __init__(self, width: int, image_channels: int = 3) -> None:
        super().__init__()

        def conv(inputs: int, kernel: int) -> nn.Module:
            return spectral_norm(nn.Conv2d(inputs, width, kernel, padding=kernel // 2))

        self.first = nn.ModuleList(
            [conv(image_channels, 3), conv(width, 3), conv(image_channels, 1)]
        )
        self.second = nn.ModuleList([conv(width, 3), conv(width, 3), conv(width, 1)])
        self.third = nn.ModuleList([conv(width, 3), conv(width, 3)])
        self.fourth = nn.ModuleList([conv(width, 3), conv(width, 3)])
        self.head = spectral_norm(nn.Linear(width, 1, bias=False))

    def forward(self, x: Tensor, num_cells: int = 3) -> Tensor:
        conv1, conv2, shortcut = self.first
        x = F.avg_pool2d(conv2(F.relu(conv1(x))), 2) + shortcut(F.avg_pool2d(x, 2))
        if num_cells > 1:
            conv1, conv2, shortcut = self.second
            h = conv2(F.relu(conv1(F.relu(x))))
            x = F.avg_pool2d(h, 2) + F.avg_pool2d(shortcut(x), 2)
        for conv1, conv2 in (self.third, self.fourth) if num_cells > 2 else (self.fourth,):
            x = conv2(F.relu(conv1(F.relu(x)))) + x
        return self.head(F.relu(x).sum((2, 3)))


def enlarge(x: Tensor, factor: int, up: int, deconv: nn.Module) -> Tensor:
    """Up-sample as the token says."""
    if UP_MODES[up] == "deconv":
        return deconv(x)
    size = [factor * side for side in x.shape[2:]]
    if UP_MODES[up] == "nearest":
        return F.interpolate(x, size)
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def plain_key(key: str) -> str:
    """Translate a key of these networks to the canonical one, a name for its role."""
    for pattern, replacement in (
        (r"^stem\.", "G.stem."),
        (r"^to_rgb\.0\.", "G.rgb.norm."),
        (r"^to_rgb\.2\.", "G.rgb.conv."),
        (r"^cells\.0\.", "G.cell1."),
        (r"^cells\.1\.", "G.cell2."),
        (r"^cells\.2\.", "G.cell3."),
        (r"\.first\.0\.", ".post1."),
        (r"\.first\.1\.", ".pre1."),
        (r"\.second\.0\.", ".post2."),
        (r"\.second\.1\.", ".pre2."),
        (r"\.norms\.0\.", ".bn."),
        (r"\.shortcut_(conv|deconv)\.", r".sc.\1."),
        (r"\.skip_convs\.(\d)\.", r".skip.\1.conv."),
        (r"^first\.", "D.block1."),
        (r"^second\.", "D.block2."),
        (r"^third\.", "D.block3."),
        (r"^fourth\.", "D.block4."),
        (r"^head\.", "D.head."),
        (r"^(D\.block\d)\.0\.", r"\1.conv1."),
        (r"^(D\.block\d)\.1\.", r"\1.conv2."),
        (r"^(D\.block\d)\.2\.", r"\1.sc."),
    ):
        key = re.sub(pattern, replacement, key)
    return key


class PlainGAN:
    """Both networks, their optimisers and the two training steps."""

    def __init__(self, generator_width: int, discriminator_width: int, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = PlainGenerator(generator_width, 4)
            self.discriminator = PlainDiscriminator(discriminator_width)
        self.noise = np.random.RandomState(seed)
        self.optimizers = [
            torch.optim.Adam(network.parameters(), 2e-4, betas=(0.0, 0.9))
            for network in (self.generator, self.discriminator)
        ]

    def discriminator_step(self, real: Tensor, tokens: Sequence[int]) -> float:
        real_scores = self.discriminator(real)
        fake_scores = self.discriminator(self.generator(self.latents(len(real)), tokens).detach())
        loss = F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()
        self.optimizers[1].zero_grad()
        loss.backward()
        self.optimizers[1].step()
        return loss.item()

    def generator_step(self, num_images: int, tokens: Sequence[int]) -> float:
        loss = -self.discriminator(self.generator(self.latents(num_images), tokens)).mean()
        self.optimizers[0].zero_grad()
        loss.backward()
        self.optimizers[0].step()
        return loss.item()

    def latents(self, num: int) -> Tensor:
        return torch.from_numpy(self.noise.normal(0, 1, (num, 128))).float()
