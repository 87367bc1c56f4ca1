"""Frechet distance of wavelet packets (FWD, Veeramacheneni et al., ICLR 2025): no network judges.

Images in [0, 1] are taken apart by the Haar wavelet, level by level, into 4^L packets, each of a
band of frequencies; the distance is the mean over packets of the Frechet distance of what lies in
them.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.moments import Moments

MOST_LEVELS = 4  # the authors', for 256 px
SMALLEST_PACKET = 2  # pixels along its side
MOST_NUMBERS = 200_000_000  # of all covariances: 1.5 GiB, as the authors' 256 px in colour need


def levels_for(side: int) -> int:
    """Return how often images of a side are taken apart: at most 4 times, into 2 x 2 at least.

    Raises InvalidInput for an odd side.
    """
    levels = 0
    while levels < MOST_LEVELS and side % 2 == 0 and side // 2 >= SMALLEST_PACKET:
        side, levels = side // 2, levels + 1
    if not levels:
        raise InvalidInput(f"fwd halves the images' side, {side} px is odd: leave it out")
    return levels


def packets(images: Tensor, levels: int) -> Tensor:
    """Return the packets (4^L, N, d) of uint8 images (N, C, S, S), d = C (S / 2^L)^2, float64."""
    parts = (images.double() / 255)[None]
    for _ in range(levels):
        a, b = parts[..., ::2, ::2], parts[..., ::2, 1::2]
        c, d = parts[..., 1::2, ::2], parts[..., 1::2, 1::2]
        bands = (a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d)
        parts = torch.cat(bands) / 2
    return parts.flatten(2)


def packet_moments(images: Tensor) -> Moments:
    """Return the moments of all packets of uint8 images (N, C, S, S), on their device; N >= 1."""
    levels = levels_for(images.shape[-1])
    dim = images[0].numel() // 4**levels
    if 4**levels * dim**2 > MOST_NUMBERS:
        raise InvalidInput(
            f"fwd would need {8 * 4**levels * dim**2 >> 30} GiB for images of "
            f"{images.shape[-1]} px, which can be halved {levels} times: leave it out, or score "
            "at a side that is a multiple of 16, 256 at most"
        )
    return Moments.of(packets(images, levels))


def wavelet_distance(real: Moments, fake: Moments) -> float:
    """Return the mean over packets of the Frechet distance; 0 for equal samples."""
    if real.mean.shape != fake.mean.shape:
        raise Incompatible(
            f"images of {len(fake.mean)} packets of {fake.mean.shape[1]} numbers cannot be "
            f"compared to real ones of {len(real.mean)} of {real.mean.shape[1]}"
        )
    pairs = zip(each(real.cpu()), each(fake.cpu()), strict=True)
    distances = [FrechetReference(theirs).distance(ours) for theirs, ours in pairs]
    return sum(distances) / len(distances)


def each(packets: Moments) -> Iterator[Moments]:
    """Yield the moments of every packet."""
    for mean, scatter in zip(packets.mean, packets.scatter, strict=True):
        yield Moments(packets.count, mean, scatter)
