"""A plain iteration of DEGAS' search: the published list of operations, one by one.

The opposite side of bench_against_plain.py, written from its description with stock PyTorch: every
mixed operation computes all its candidates, each with its own norm and rectifier, and adds them
weighted; nearest-neighbour candidates convolve at the larger size; both pyramids are made by
depthwise convolutions; both steps compute all gradients; losses are read at once.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LATENT_DIM = 128
LR, LATENT_LR, CLIP_NORM = 0.3, 3.0, 5.0


class Mixture(nn.Module):
    """The weighted sum of all candidates of an edge, with its logits."""

    def __init__(self, ops: Iterable[nn.Module]) -> None:
        super().__init__()
        self.ops = nn.ModuleList(ops)
        self.alpha = nn.Parameter(1e-3 * torch.randn(len(self.ops)))

    def forward(self, x: Tensor) -> Tensor:
        terms = (w * op(x) for w, op in zip(self.alpha.softmax(0), self.ops, strict=True))
        return sum(terms, start=next(terms))


class PlainStage(nn.Module):
    """A normal map, and the sum of its up-sampling and, but for the first, a residual one."""

    def __init__(self, width: int, has_residual: bool) -> None:
        super().__init__()
        self.normal = Mixture(normal_candidates(width))
        self.up = Mixture(up_candidates(width))
        self.residual = Mixture(up_candidates(width)) if has_residual else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(self.normal(x))
        return y if self.residual is None else y + self.residual(x)


class PlainSuperG(nn.Module):
    """The generator of the search, from latents (N, 128) to images (N, 3, 32, 32) in [-1, 1]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(LATENT_DIM, width * 16)
        self.stages = nn.Sequential(*(PlainStage(width, index > 0) for index in range(3)))
        self.to_rgb = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1), nn.Tanh()
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.to_rgb(self.stages(self.stem(z).unflatten(1, (-1, 4, 4))))


class PlainGLO:
    """Two steps in turn: on weights and latents, and on alpha."""

    def __init__(self, width: int, images: Tensor) -> None:
        self.images = images  # uint8 (n, 3, 32, 32)
        self.latents = torch.randn(len(images), LATENT_DIM)
        self.network = PlainSuperG(width).train()
        named = list(self.network.named_parameters())
        self.weights = [p for name, p in named if not name.endswith("alpha")]
        self.optimizer = torch.optim.SGD(self.weights, LR, 0.9, weight_decay=3e-4)
        alphas = [p for name, p in named if name.endswith("alpha")]
        self.alpha_optimizer = torch.optim.Adam(alphas, 3e-4, (0.5, 0.999), weight_decay=1e-3)

    def iteration(self, batch_size: int) -> None:
        """Update weights and the latents of a batch, then alpha on another one."""
        rows = torch.randint(len(self.images), (batch_size,))
        z = self.latents[rows].requires_grad_()
        loss = self.loss(z, rows)
        self.network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.weights, CLIP_NORM)
        self.optimizer.step()
        assert z.grad is not None
        moved = z.detach() - LATENT_LR * z.grad
        self.latents[rows] = moved / moved.norm(dim=1, keepdim=True).clamp(min=1)
        loss.item()
        rows = torch.randint(len(self.images), (batch_size,))
        loss = self.loss(self.latents[rows], rows)
        self.network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.alpha_optimizer.step()
        loss.item()

    def loss(self, z: Tensor, rows: Tensor) -> Tensor:
        made, real = self.network(z), self.images[rows].float() / 127.5 - 1
        pairs = zip(pyramid(made), pyramid(real), strict=True)
        return F.mse_loss(made, real) + sum(F.l1_loss(a, b) for a, b in pairs)


def pyramid(images: Tensor) -> list[Tensor]:
    """Return the levels of a Laplacian pyramid: bands of 32, 16 and 8 pixels, and the rest."""
    line = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    kernel = torch.outer(line, line).expand(3, 1, 5, 5)
    levels = []
    for _ in range(3):
        blurred = F.conv2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), kernel, groups=3)
        levels.append(images - blurred)
        images = F.avg_pool2d(blurred, 2)
    return [*levels, images]


def norm(width: int) -> nn.Module:
    return nn.BatchNorm2d(width, affine=False, track_running_stats=False)


def normal_candidates(width: int) -> list[nn.Module]:
    """Return the nine normal operations."""

    def conv(size: int) -> nn.Module:
        layer = nn.Conv2d(width, width, size, padding=size // 2, bias=False)
        return nn.Sequential(norm(width), nn.ReLU(), layer)

    def separable(size: int, dilation: int) -> list[nn.Module]:
        padding = dilation * (size // 2)
        depthwise = nn.Conv2d(width, width, size, 1, padding, dilation, groups=width, bias=False)
        pointwise = nn.Conv2d(width, width, 1, bias=False)
        return [nn.ReLU(), depthwise, pointwise, norm(width)]

    return [
        conv(1),
        conv(3),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), norm(width)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), norm(width)),
        nn.Identity(),
        nn.Sequential(*separable(3, 1), *separable(3, 1)),
        nn.Sequential(*separable(5, 1), *separable(5, 1)),
        nn.Sequential(*separable(3, 2)),
        nn.Sequential(*separable(5, 2)),
    ]


def up_candidates(width: int) -> list[nn.Module]:
    """Return the four up-samplings."""

    def before(*layers: nn.Module) -> nn.Module:
        return nn.Sequential(norm(width), nn.ReLU(), *layers)

    def nearest(size: int) -> nn.Module:
        conv = nn.Conv2d(width, width, size, padding=size // 2, bias=False)
        return before(nn.Upsample(scale_factor=2), conv)

    return [
        before(nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False)),
        before(nn.ConvTranspose2d(width, width, 6, 2, 2, bias=False)),
        nearest(1),
        nearest(3),
    ]
