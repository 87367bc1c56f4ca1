"""Pillow's antialiased resize in float, a batch at a time on any device, bit by bit.

Each axis is a sum over the pixels under a filter as wide as the larger of the two pixels, whose
weights are normalised where the border cuts it off (Pillow's Resample.c, mode F). Sums are float64,
added from left to right, and what is kept between the axes is float32, as there. Metrics that name
Pillow want it unquantised.
"""

from typing import Literal

import torch
from torch import Tensor

PillowFilter = Literal["bilinear", "bicubic"]
SUPPORT = {"bilinear": 1.0, "bicubic": 2.0}
CUBIC = -0.5  # the slope at 1: Catmull-Rom, as in Keys 1981


def resize_pillow(images: Tensor, side: int, kind: PillowFilter) -> Tensor:
    """Resize uint8 images (N, C, H, W) to float32 (N, C, side, side); bicubic leaves [0, 255]."""
    x = images.float()
    for dim in (3, 2):
        if images.shape[dim] != side:
            x = _along(x, dim, side, kind)
    return x


def taps(size: int, side: int, kind: PillowFilter) -> tuple[Tensor, Tensor]:
    """Return which of `size` pixels each of `side` looks at, and how much: both (side, taps).

    Weights are float64 and sum to 1; where the border cuts the filter off, some are 0.
    """
    step = size / side
    width = max(step, 1.0)
    support = SUPPORT[kind] * width
    centres = (torch.arange(side, dtype=torch.float64, device="cpu") + 0.5) * step
    first = (centres - support + 0.5).clamp_min(0).floor()
    last = (centres + support + 0.5).floor().clamp_max(size)
    places = first[:, None] + torch.arange(int((last - first).max()), device="cpu")
    taken = _filter(((places - centres[:, None] + 0.5) * (1 / width)).abs(), kind)
    taken = taken.where(places < last[:, None], 0.0)
    total = torch.zeros(side, dtype=torch.float64, device="cpu")
    for column in taken.unbind(1):  # in Pillow's order
        total += column
    return places.clamp_max(size - 1).long(), taken / total[:, None]


def _along(x: Tensor, dim: int, side: int, kind: PillowFilter) -> Tensor:
    """Resize one axis; products and sums are rounded apart, where a matrix product fuses them."""
    places, weights = (t.to(x.device) for t in taps(x.shape[dim], side, kind))
    shape = [1] * x.ndim
    shape[dim] = side
    total: Tensor | float = 0.0
    for column, weight in zip(places.unbind(1), weights.unbind(1), strict=True):
        total = total + x.index_select(dim, column).double() * weight.view(shape)
    assert isinstance(total, Tensor)
    return total.float()


def _filter(x: Tensor, kind: PillowFilter) -> Tensor:
    if kind == "bilinear":
        return (1 - x).clamp_min(0)
    near = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * CUBIC
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
