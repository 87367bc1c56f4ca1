"""A plain AdversarialNAS search iteration: the published list of operations, one by one.

The opposite side of bench_against_plain.py, written from its description with stock PyTorch: every
mixed operation computes all its candidates, each with its own rectifier, "none" too, and adds them
weighted; spectral norm is PyTorch's classic hook; real and fake images go through the discriminator
in two passes; the generator's graph is built in the discriminator's steps and thrown away; every
step computes the gradients of all weights and logits; latents come from numpy in float64 and the
losses are read at once. Parameters are registered in the published order; they start from PyTorch's
defaults.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

LATENT_DIM = 120
AVERAGE_DECAY = 0.999
CONVS = ((1, 1), (3, 1), (5, 1), (3, 2), (5, 2))  # kernel and dilation, in index order


class Mixture(nn.Module):
    """The weighted sum of all candidates of an edge."""

    def __init__(self, ops: Iterable[nn.Module]) -> None:
        super().__init__()
        self.ops = nn.ModuleList(ops)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        # Not strict: the discriminator's first edges have five candidates for seven weights.
        terms = (weight * op(x) for weight, op in zip(weights, self.ops, strict=False))
        return sum(terms, start=next(terms))


class Nothing(nn.Module):
    """Candidate "none", computed as any other."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0


class PlainUpCell(nn.Module):
    """A cell of the generator, with the fixed edges from the cells before it."""

    def __init__(self, width: int, skip_mode: str, num_skips: int) -> None:
        super().__init__()
        self.skip_mode = skip_mode
        self.up = nn.ModuleList(Mixture(up_candidates(width)) for _ in range(2))
        self.normal = nn.ModuleList(Mixture(normal_candidates(width, conv)) for _ in range(5))
        self.skips = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(num_skips))

    def forward(
        self, x: Tensor, normal: Tensor, up: Tensor, skips: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the cell's output and node 3, which later cells receive."""
        x1, x2 = (mixture(x, w) for mixture, w in zip(self.up, up, strict=True))
        c0, c1, c2, c3, c4 = self.normal
        x3 = c0(x1, normal[0]) + c1(x2, normal[1])
        for conv, skip in zip(self.skips, skips, strict=True):
            x3 = x3 + conv(F.interpolate(skip, x1.shape[2:], mode=self.skip_mode))
        return c2(x1, normal[2]) + c3(x2, normal[3]) + c4(x3, normal[4]), x3


class PlainSuperG(nn.Module):
    """The generator of the search, from latents (N, 120) to images (N, 3, 32, 32) in [-1, 1]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alphas_normal = nn.Parameter(1e-3 * torch.randn(3, 5, 7))
        self.alphas_up = nn.Parameter(1e-3 * torch.randn(3, 2, 3))
        self.stems = nn.ModuleList(nn.Linear(40, width * side**2) for side in (4, 8, 16))
        self.cells = nn.ModuleList(
            PlainUpCell(width, mode, i) for i, mode in enumerate(("nearest", "bilinear", "nearest"))
        )
        self.to_rgb = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1), nn.Tanh()
        )

    def forward(self, z: Tensor, tau: float | None) -> Tensor:
        normal, up = mixing_weights(self.alphas_normal, tau), mixing_weights(self.alphas_up, tau)
        x: Tensor | int = 0
        skips: list[Tensor] = []
        for i, part in enumerate(z.split(40, 1)):
            side = 4 * 2**i
            x = x + self.stems[i](part).view(len(z), -1, side, side)
            x, skip = self.cells[i](x, normal[i], up[i], skips)
            skips.append(skip)
        return self.to_rgb(x)


class PlainDownCell(nn.Module):
    """A cell of the discriminator; the first one takes images."""

    def __init__(self, width: int, first: bool) -> None:
        super().__init__()
        self.normal = nn.ModuleList(
            Mixture(
                first_candidates(width) if first and i < 3 else normal_candidates(width, sn_conv)
            )
            for i in range(5)
        )
        self.down = nn.ModuleList(Mixture(down_candidates(width)) for _ in range(2))

    def forward(self, x: Tensor, normal: Tensor, down: Tensor) -> Tensor:
        c0, c1, c2, c3, c4 = self.normal
        down0, down1 = self.down
        x1 = c0(x, normal[0])
        x2 = c1(x, normal[1]) + c3(x1, normal[3])
        x3 = c2(x, normal[2]) + c4(x1, normal[4])
        return down0(x2, down[0]) + down1(x3, down[1])


class PlainSuperD(nn.Module):
    """The discriminator of the search, from images (N, 3, 32, 32) to scores (N, 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alphas_normal = nn.Parameter(1e-3 * torch.randn(4, 5, 7))
        self.alphas_down = nn.Parameter(1e-3 * torch.randn(4, 2, 6))
        self.cells = nn.ModuleList(PlainDownCell(width, first=i == 0) for i in range(4))
        self.head = spectral_norm(nn.Linear(width, 1, bias=False))

    def forward(self, x: Tensor, tau: float | None) -> Tensor:
        normal, down = (
            mixing_weights(self.alphas_normal, tau),
            mixing_weights(self.alphas_down, tau),
        )
        for i, cell in enumerate(self.cells):
            x = cell(x, normal[i], down[i])
        return self.head(F.relu(x).sum((2, 3)))


def conv(inputs: int, outputs: int, kernel: int, dilation: int, stride: int = 1) -> nn.Conv2d:
    """Build a convolution that keeps the size, or halves it at stride 2."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation)


def sn_conv(inputs: int, outputs: int, kernel: int, dilation: int, stride: int = 1) -> nn.Module:
    """Build the discriminator's convolution: the same with spectral norm."""
    return spectral_norm(conv(inputs, outputs, kernel, dilation, stride))


def first_candidates(width: int) -> list[nn.Module]:
    """Build the candidates of an edge that leaves the images: convolutions alone."""
    return [sn_conv(3, width, *kind) for kind in CONVS]


def normal_candidates(width: int, conv: Callable[..., nn.Module]) -> list[nn.Module]:
    """Build the candidates of an edge that keeps the size."""
    convs = [nn.Sequential(nn.ReLU(), conv(width, width, *kind)) for kind in CONVS]
    return [Nothing(), nn.Identity(), *convs]


def up_candidates(width: int) -> list[nn.Module]:
    """Build the candidates of an edge that doubles the size."""
    deconv = nn.ConvTranspose2d(
        width, width, 3, 2, padding=1, output_padding=1, groups=width, bias=False
    )
    return [
        nn.Sequential(nn.Upsample(scale_factor=2), nn.ReLU(), nn.Conv2d(width, width, 1)),
        nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.ReLU(), nn.Conv2d(width, width, 1)
        ),
        nn.Sequential(nn.ReLU(), deconv, nn.Conv2d(width, width, 1, bias=False)),
    ]


def down_candidates(width: int) -> list[nn.Module]:
    """Build the candidates of an edge that halves the size."""
    convs = [nn.Sequential(nn.ReLU(), sn_conv(width, width, *kind, stride=2)) for kind in CONVS[1:]]
    return [nn.AvgPool2d(2), nn.MaxPool2d(2), *convs]


def mixing_weights(logits: Tensor, tau: float | None) -> Tensor:
    """Weigh the candidates of every edge: with fresh noise at temperature tau, or without."""
    if tau is None:
        return logits.softmax(-1)
    return noisy_weights(logits, -torch.empty_like(logits).exponential_().log(), tau)


def noisy_weights(logits: Tensor, gumbel: Tensor, tau: float) -> Tensor:
    """Mix as published: the noise is added to the probabilities, not to their logarithms."""
    return ((logits.softmax(-1) + gumbel) / tau).softmax(-1)


class Losses(NamedTuple):
    """The losses of the weight steps; the generator's only where it was trained."""

    discriminator: float
    generator: float | None


class PlainSearch:
    """Both supernets, their four optimisers and one search iteration (Algorithm 1)."""

    def __init__(self, width_g: int, width_d: int, num_critic: int = 5, seed: int = 0) -> None:
        self.generator, self.discriminator = PlainSuperG(width_g), PlainSuperD(width_d)
        self.num_critic, self.step = num_critic, 0
        self.noise = np.random.RandomState(seed)
        self.average = [p.detach().clone() for p in self.generator.parameters()]
        self.g_weights, self.alphas = optimizers(self.generator)
        self.d_weights, self.betas = optimizers(self.discriminator)

    def iteration(self, real: Tensor, num_latents: int, tau: float | None = None) -> Losses:
        """Train on a batch of images, its first half for the weights, its second for the betas.

        The generator's steps take num_latents latents each. Without tau there is no noise.
        """
        half = len(real) // 2
        weights_z, betas_z = self.latents(half, real), self.latents(half, real)
        self._discriminator_step(self.betas, real[half:], betas_z, tau)
        d_loss = self._discriminator_step(self.d_weights, real[:half], weights_z, tau).item()
        z = self.latents(num_latents, real)  # drawn also where it is not used
        g_loss = None
        if self.step % self.num_critic == 0:
            self._generator_step(self.alphas, self.latents(num_latents, real), tau)
            g_loss = self._generator_step(self.g_weights, z, tau).item()
            for mean, p in zip(self.average, self.generator.parameters(), strict=True):
                mean.mul_(AVERAGE_DECAY).add_(p.detach(), alpha=1 - AVERAGE_DECAY)
        self.step += 1
        return Losses(d_loss, g_loss)

    def latents(self, num: int, like: Tensor) -> Tensor:
        return torch.from_numpy(self.noise.normal(0, 1, (num, LATENT_DIM))).to(like)

    def _discriminator_step(
        self, optimizer: torch.optim.Optimizer, real: Tensor, z: Tensor, tau: float | None
    ) -> Tensor:
        optimizer.zero_grad()
        real_scores = self.discriminator(real, tau)
        fake_scores = self.discriminator(self.generator(z, tau).detach(), tau)
        loss = F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()
        loss.backward()
        optimizer.step()
        return loss

    def _generator_step(
        self, optimizer: torch.optim.Optimizer, z: Tensor, tau: float | None
    ) -> Tensor:
        optimizer.zero_grad()
        loss = -self.discriminator(self.generator(z, tau), tau).mean()
        loss.backward()
        optimizer.step()
        return loss


def optimizers(network: nn.Module) -> tuple[torch.optim.Adam, torch.optim.Adam]:
    """Build the optimisers of a supernet's weights and of its logits."""
    weights = [p for name, p in network.named_parameters() if not name.startswith("alphas")]
    logits = [p for name, p in network.named_parameters() if name.startswith("alphas")]
    return (
        torch.optim.Adam(weights, 2e-4, betas=(0.0, 0.9)),
        torch.optim.Adam(logits, 3e-4, betas=(0.5, 0.999), weight_decay=1e-4),
    )
