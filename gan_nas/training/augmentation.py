"""What is done to images before the discriminator sees them: mirroring, DiffAugment.

DiffAugment (Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training"; the
ranges are those of the authors' DiffAugment_pytorch.py): colour, then translation, then cutout, of
reals and of fakes, in both networks' steps; the gradient flows through to the fakes. Mirroring is
for real images alone: it adds to the data and hides nothing from the discriminator.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Augmentation = Literal["none", "flip", "diffaugment"]

SHIFT = 1 / 8  # of a side, at most
CUT = 1 / 2  # of a side


class Draws(NamedTuple):
    """What is drawn for each of N images of side S."""

    brightness: Tensor
    """Float (N,), added: uniform in [-1/2, 1/2]."""
    saturation: Tensor
    """Float (N,), factor about the mean of a pixel's channels: uniform in [0, 2]."""
    contrast: Tensor
    """Float (N,), factor about the image's mean: uniform in [1/2, 3/2]."""
    shift: Tensor
    """Whole numbers (N, 2), rows and columns that the image moves down and right."""
    centre: Tensor
    """Whole numbers (N, 2), row and column of the middle of the square that is cut out."""


def draw(images: Tensor, random: torch.Generator) -> Draws:
    """Draw for each of the images (N, C, S, S) on their device."""
    num, side, device = len(images), images.shape[-1], images.device
    most = round_half_up(SHIFT * side)
    even = 1 - round_half_up(CUT * side) % 2
    colours = torch.rand(3, num, generator=random, device=device)
    size = (num, 2)
    return Draws(
        colours[0] - 0.5,
        2 * colours[1],
        colours[2] + 0.5,
        torch.randint(-most, most + 1, size, generator=random, device=device),
        torch.randint(0, side + even, size, generator=random, device=device),
    )


def augmented(images: Tensor, draws: Draws) -> Tensor:
    """Return images (N, C, S, S) in another colour, moved, and with a square cut out of each.

    Pixels that nothing moved to, and those cut out, are 0: grey, in [-1, 1]. Nothing is clamped.
    """
    side, device = images.shape[-1], images.device
    brightness, saturation, contrast = (x.view(-1, 1, 1, 1) for x in draws[:3])
    x = images + brightness
    mean = x.mean(1, keepdim=True)  # (N, 1, S, S)
    x = (x - mean) * saturation + mean
    mean = x.mean((1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
    x = (x - mean) * contrast + mean

    places = torch.arange(side, device=device)
    come_from = places - draws.shift.unsqueeze(2)  # (N, 2, S)
    inside = (come_from >= 0) & (come_from < side)
    rows, columns = come_from.clamp(0, side - 1).unbind(1)  # (N, S)
    numbers = torch.arange(len(x), device=device).view(-1, 1, 1)
    x = x[numbers, :, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)
    kept = inside[:, 0].unsqueeze(2) & inside[:, 1].unsqueeze(1)  # (N, S, S)

    cut = round_half_up(CUT * side)
    first = draws.centre.unsqueeze(2) - cut // 2  # (N, 2, 1)
    within = (places >= first) & (places < first + cut)  # (N, 2, S)
    kept = kept & ~(within[:, 0].unsqueeze(2) & within[:, 1].unsqueeze(1))
    return x * kept.unsqueeze(1)


def diffaugment(images: Tensor, random: torch.Generator) -> Tensor:
    """Return images (N, C, S, S) in [-1, 1], each augmented by draws of its own."""
    return augmented(images, draw(images, random))


def flipped(images: Tensor, random: torch.Generator) -> Tensor:
    """Return images (N, C, H, W), each mirrored left to right with probability 1/2."""
    size = (len(images), 1, 1, 1)
    mirror = torch.rand(size, generator=random, device=images.device) < 0.5
    return torch.where(mirror, images.flip(3), images)


def round_half_up(size: float) -> int:
    """Round a number of pixels as DiffAugment does."""
    return int(size + 0.5)
