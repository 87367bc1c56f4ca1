"""Bring images to another side by a named filter, each equal to Pillow's to a grey level.

The filters are separable and linear, so each is a small matrix applied from either side: the same
on every device. Pillow widens them by the factor when it shrinks, which is called antialiasing.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from gan_nas.errors import InvalidInput, nearest

Resize = Literal["box", "bilinear", "bicubic", "lanczos"]
RESIZES: tuple[Resize, ...] = get_args(Resize)

CHUNK_VALUES = 1 << 24  # values that are held as float32 at a time: 64 MiB
TIE = 1024  # rounding to a 1024th first: sums that differ in their last bits round alike


class Filter(NamedTuple):
    """A kernel that is 0 beyond `support` pixels of the smaller image."""

    support: float
    kernel: Callable[[float], float]


def _box(x: float) -> float:
    return 1.0 if -0.5 < x <= 0.5 else 0.0


def _triangle(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _cubic(x: float) -> float:
    x = abs(x)  # Keys (1981), with a = -1/2
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


def _lanczos(x: float) -> float:
    if x == 0:
        return 1.0
    angle = math.pi * x
    return 3 * math.sin(angle) * math.sin(angle / 3) / angle**2 if abs(x) < 3 else 0.0


FILTERS: dict[Resize, Filter] = {
    "box": Filter(0.5, _box),
    "bilinear": Filter(1.0, _triangle),
    "bicubic": Filter(2.0, _cubic),
    "lanczos": Filter(3.0, _lanczos),
}


def check_resize(name: str) -> Resize:
    """Return the filter of this name; raises InvalidInput with those there are."""
    if name not in RESIZES:
        hint = nearest(name, list(RESIZES)) or f"; there are {', '.join(RESIZES)}"
        raise InvalidInput(f"unknown way to resize {name!r}{hint}")
    return RESIZES[RESIZES.index(name)]


def in_effect(by: Resize, old: int, new: int) -> Resize:
    """Return the filter that is used: where box would repeat pixels, it is bilinear."""
    return "bilinear" if by == "box" and new > old else by


def resize(images: Tensor, side: int, by: Resize) -> Tensor:
    """Resize square uint8 images (N, C, H, H) to uint8 (N, C, side, side), in bounded memory.

    box shrinks to the mean of each block, which keeps the thin strokes that bilinear smears (real
    digits 16 -> 8: classifier .983 against .86), and enlarges as bilinear does. bilinear is what
    torchvision's Resize does to a PIL image, and so what the papers' loaders do.
    """
    old = images.shape[-1]
    assert images.dtype == torch.uint8
    assert images.shape[-2] == old
    if side == old:
        return images
    matrix = filter_matrix(in_effect(by, old, side), old, side).to(images.device)
    channels, values = images.shape[1], max(side, old) ** 2
    if channels * values > CHUNK_VALUES:  # a channel at a time
        parts = [_resize(part, matrix) for part in torch.split(images.flatten(0, 1), 1)]
        return torch.stack(parts).view(-1, channels, side, side)
    rows = max(1, CHUNK_VALUES // (channels * values))
    return torch.cat([_resize(chunk, matrix) for chunk in torch.split(images, rows)])


@lru_cache(maxsize=64)
def filter_matrix(by: Resize, old: int, new: int) -> Tensor:
    """Return the weights (new, old), float32, that each new pixel of a line gives the old ones."""
    support, kernel = FILTERS[by]
    scale = old / new
    width = max(scale, 1.0)
    matrix = torch.zeros(new, old, dtype=torch.float64, device="cpu")
    for row in range(new):
        centre = (row + 0.5) * scale
        first = max(0, int(centre - support * width + 0.5))
        last = min(old, int(centre + support * width + 0.5))
        weights = [kernel((x + 0.5 - centre) / width) for x in range(first, last)]
        total = sum(weights)
        matrix[row, first:last] = torch.tensor(
            [weight / total for weight in weights], dtype=torch.float64, device="cpu"
        )
    return matrix.float()


def _resize(images: Tensor, matrix: Tensor) -> Tensor:
    x = images.float() @ matrix.T  # (B, C, H, side)
    # Clamped between the passes too, as Pillow does: bicubic and lanczos overshoot.
    x = matrix @ x.clamp_(0, 255)  # (B, C, side, side)
    return x.clamp_(0, 255).mul_(TIE).round_().div_(TIE).round_().to(torch.uint8)
