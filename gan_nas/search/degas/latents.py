"""The first latent of every image, for a generator trained by reconstruction alone (GLO).

Bojanowski et al. 2018 keep latents in the unit ball and start from principal components or from
a Gaussian; DEGAS says neither. A public implementation (tneumann/minimal_glo) reports a loss of
0.31 after 25 epochs from a Gaussian, and of 0.23 after a single one from principal components.
"""

from typing import Literal

import torch
from scipy.linalg import eigh
from torch import Tensor

from gan_nas.data import resize
from gan_nas.streams import stream

LatentStart = Literal["pca", "gauss"]

CHUNK = 1024  # images: products of centred bytes sum up exactly in float32 to 1024 * 128**2 = 2**24
MAX_SIDE = 48  # pixels; of larger images a copy of this size: components are coarse anyway


def initial_latents(
    images: Tensor, latent_dim: int, start: LatentStart, seed: int, device: torch.device | str
) -> Tensor:
    """Return a latent for each of the uint8 images (n, C, H, H): float32 (n, latent_dim).

    pca: the coordinates along the first principal components of the pixels in [-1, 1], largest
    first, and zeros where there are fewer components. gauss: N(0, I), drawn from `seed`. Both are
    brought into the unit ball, so that most lie on its surface.
    """
    if start == "gauss":
        shape = len(images), latent_dim
        z = torch.randn(shape, generator=stream(seed, "initial latents"), device="cpu")
        return project(z).to(device)
    images = resize(images, min(images.shape[-1], MAX_SIDE), "box")
    mean, components = principal_components(images, latent_dim)
    mean, components = mean.to(images.device), components.to(images.device)
    z = torch.zeros(len(images), latent_dim, device=device)
    for rows, chunk in zip(
        torch.split(z, CHUNK), torch.split(images.flatten(1), CHUNK), strict=True
    ):
        coordinates = (chunk.double() - mean) @ components / 127.5  # (CHUNK, D) -> (CHUNK, K)
        rows[:, : components.shape[1]] = project(coordinates)
    return z


def starting_bytes(start: LatentStart, channels: int, side: int) -> int:
    """Return what `initial_latents` takes: of D values in an image, D squared in float64, twice.

    And once in float32, while the products of a chunk are added.
    """
    return 20 * (channels * min(side, MAX_SIDE) ** 2) ** 2 if start == "pca" else 0


def project(z: Tensor) -> Tensor:
    """Bring latents (n, d) into the unit ball: z / max(||z||_2, 1)."""
    lengths: Tensor = torch.linalg.vector_norm(z, dim=1, keepdim=True)
    return z / lengths.clamp(min=1)


def principal_components(
    images: Tensor, count: int, chunk_size: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """Return the mean (D,) of uint8 images and their first K components (D, K), K <= count.

    Both in float64 on the CPU, for D = C * H * W values from 0 to 255. Components have length one,
    the largest variance first, and their largest entry is positive; those without variance are
    left out. Memory is constant over the number of images: 16 bytes times D squared.

    Bytes are centred at 128, and sums of their products are whole numbers small enough to be exact
    in float32 within a chunk and in float64 beyond: neither the size of chunks, nor the device,
    nor the number of threads changes the covariance.
    """
    assert images.dtype == torch.uint8
    assert chunk_size <= CHUNK
    pixels = images.flatten(1)  # (n, D)
    size, dim = pixels.shape
    total = torch.zeros(dim, dtype=torch.float64, device=images.device)
    products = torch.zeros(dim, dim, dtype=torch.float64, device=images.device)
    for chunk in torch.split(pixels, chunk_size):
        centred = chunk.float() - 128
        total += centred.sum(0)
        products += centred.T @ centred
    # The covariance times n squared.
    scatter = products.mul_(size).sub_(torch.outer(total, total)).cpu().numpy()
    wanted = min(count, dim)
    # Only the few wanted: a fifth of the time of all of torch.linalg.eigh.
    values, vectors = eigh(scatter.T, subset_by_index=(dim - wanted, dim - 1), overwrite_a=True)
    noise = dim * torch.finfo(torch.float64).eps * max(values[-1], 0)
    kept = torch.from_numpy(vectors[:, values > noise]).flip(1)
    peaks = kept.gather(0, kept.abs().argmax(0, keepdim=True))
    return (total / size + 128).cpu(), kept * peaks.sign()
