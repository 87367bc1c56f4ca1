"""How far a reconstruction is from its image: squared error and a Laplacian pyramid.

DEGAS (Doveh & Giryes 2019), sec. 3.2, after GLO (Bojanowski et al. 2018): ||x - x'||_2^2 plus
Lap1(x, x') = sum_j 2^{2j} |L^j(x) - L^j(x')|_1, where L^j is level j of a Laplacian pyramid (Burt &
Adelson 1983). No weights are given. Level j has 4^-j as many entries as the image, so 2^{2j} times
its sum of absolutes is, over the image's number of entries, its *mean* of absolutes: means are
what is computed here, and the loss does not grow with the image.
"""

from functools import lru_cache

import torch
from torch import Tensor

from gan_nas.networks.spectral import without_autocast

NUM_BANDS = 3  # at most; the authors' number is not known
MIN_SIDE = 4  # of an image that is halved once more
FILTER = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def reconstruction_loss(
    x: Tensor, target: Tensor, l2_weight: float = 1.0, laplacian_weight: float = 1.0
) -> Tensor:
    """Return l2_weight * MSE + laplacian_weight * Lap1, the mean over a batch (N, C, H, W)."""
    return reconstruction_losses(x, target, l2_weight, laplacian_weight).mean()


def reconstruction_losses(
    x: Tensor, target: Tensor, l2_weight: float = 1.0, laplacian_weight: float = 1.0
) -> Tensor:
    """Return the loss of each image of a batch (N, C, H, W), as (N,), at least in float32."""
    difference = _wide(x) - _wide(target)
    l2 = difference.square().mean((1, 2, 3))
    return l2_weight * l2 + laplacian_weight * _laplacian_losses(difference)


def laplacian_loss(difference: Tensor) -> Tensor:
    """Return sum_j mean |L^j(d)|, the mean over a batch of differences d = x - x' (N, C, H, W).

    The pyramid is linear, so that of the difference is the difference of both images' pyramids.
    L^j is the image less its blur, the next image is the blur averaged over 2x2 pixels, and the
    last level is what is left: for 32 pixels bands of 32, 16 and 8, and 4. There are fewer bands
    where a side gets odd or below 4: for 8 pixels bands of 8 and 4, and 2. Borders are replicated.

    The blur is the binomial 5x5 of Burt & Adelson. A public implementation of GLO
    (tneumann/minimal_glo) *adds* a horizontal and a vertical Gaussian of sigma 1.4 instead of
    multiplying them, an oversight; DEGAS names no filter.
    """
    return _laplacian_losses(_wide(difference)).mean()


def _laplacian_losses(difference: Tensor) -> Tensor:
    """Sum the means of absolutes of all levels, for each image.

    Every step is linear and separable, so it is a product with a small matrix from either side.
    On a CPU that takes a quarter of the time of depthwise convolutions; dense ones take longer.
    """
    height, width = difference.shape[-2:]
    current = difference.contiguous()  # (N, C, H, W)
    total = current.new_zeros(len(current))
    with without_autocast(current.device):
        for _ in range(NUM_BANDS):
            if min(height, width) < MIN_SIDE or height % 2 or width % 2:
                break
            (blur_rows, halve_rows), (blur_columns, halve_columns) = (
                _matrices(side, current.dtype, current.device) for side in (height, width)
            )
            band = current - blur_rows @ (current @ blur_columns.T)
            total = total + band.abs().mean((1, 2, 3))
            current = halve_rows @ (current @ halve_columns.T)  # (N, C, H/2, W/2)
            height, width = height // 2, width // 2
    return total + current.abs().mean((1, 2, 3))


@lru_cache(maxsize=64)
def _matrices(side: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the blur (side, side) of a line of pixels, and the blur then halved (side/2, side)."""
    blur = [[0.0] * side for _ in range(side)]
    for row, weights in enumerate(blur):
        for offset, weight in enumerate(FILTER, -(len(FILTER) // 2)):
            weights[min(max(row + offset, 0), side - 1)] += weight
    halved = [
        [(a + b) / 2 for a, b in zip(*rows, strict=True)]
        for rows in zip(blur[::2], blur[1::2], strict=True)
    ]
    with torch.inference_mode(False):  # for training too, though a report may ask first
        return (
            torch.tensor(blur, dtype=dtype, device=device),
            torch.tensor(halved, dtype=dtype, device=device),
        )


def _wide(x: Tensor) -> Tensor:
    """Return half-precision tensors in float32: that is no slower, and the levels are small."""
    return x if x.dtype == torch.float64 else x.float()
