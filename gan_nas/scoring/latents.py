"""Latents to sample from: of one seed in batches, or of many seeds, one each.

All are drawn on the CPU, so that they are the same on every device.
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from gan_nas.errors import InvalidInput, shorten
from gan_nas.streams import stream

BATCH = 100  # latents that are drawn at once
PURPOSE = "evaluation latents"
FLAT = 1e-9  # a sine of an angle between latents, below which they lie on a line
MOST_SEEDS, LARGEST_SEED = 10**6, 2**63 - 1


def latents_of_seed(
    seed: int, num: int, latent_dim: int, batch_size: int = BATCH
) -> Iterator[Tensor]:
    """Yield `num` latents (B, latent_dim) of N(0, 1) that every child shares, in batches.

    Batch i comes from the stream (seed, "evaluation latents", i): those of fewer images are a
    prefix of those of more.
    """
    for i, start in enumerate(range(0, num, batch_size)):
        latents = stream(seed, PURPOSE, i)
        z = torch.randn(batch_size, latent_dim, generator=latents, device="cpu")
        yield z[: num - start]


def latents_of_seeds(seeds: Sequence[int], latent_dim: int) -> Iterator[Tensor]:
    """Yield latents (B, latent_dim) of N(0, 1) in batches, each the first one of its seed.

    Each is a function of its seed alone, whatever others there are.
    """
    for start in range(0, len(seeds), BATCH):
        some = seeds[start : start + BATCH]
        # The first of a batch is drawn with all of it: how many are drawn moves torch's numbers.
        yield torch.cat([next(latents_of_seed(seed, 1, latent_dim)) for seed in some])


def interpolated(seeds: Sequence[int], num: int, latent_dim: int) -> Iterator[Tensor]:
    """Yield `num` latents from each seed's to the next one's, both ends among them: (num, L).

    Along the great circle, as latents of N(0, 1) lie near a sphere: "Sampling Generative Networks"
    (White 2016), sec. 2.1. Where there is none, as between two numbers, along the line.
    """
    ends = torch.cat(list(latents_of_seeds(seeds, latent_dim)))
    steps = torch.linspace(0, 1, num, dtype=torch.float64, device="cpu")[:, None]
    for first, last in pairwise(ends):
        a, b = first.double(), last.double()
        angle = torch.arccos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))
        if float(angle.sin()) < FLAT:
            z = (1 - steps) * a + steps * b
        else:
            z = (((1 - steps) * angle).sin() * a + (steps * angle).sin() * b) / angle.sin()
        yield z.float()


def truncated(z: Tensor, limit: float) -> Tensor:
    """Squeeze numbers of N(0, 1) into [-limit, limit], where they have its truncated distribution.

    The truncation trick of BigGAN (Brock et al. 2019), sec. 3.1: better images, less variety. They
    draw again what lies outside; here each number moves, by the distributions' quantiles, so that
    an image changes smoothly with the limit and depends on its own latents alone.
    """
    low, high = (_normal_cdf(x) for x in (-limit, limit))
    within = low + torch.special.ndtr(z.double()) * (high - low)
    return torch.special.ndtri(within).clamp(-limit, limit).to(z.dtype)


def parse_seeds(text: str) -> list[int]:
    """Read 0-999 or 3,7,11-20 as seeds, in this order; raises InvalidInput for anything else."""
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,19})\s*(?:-\s*(\d{1,19})\s*)?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first > last or last > LARGEST_SEED:
            raise InvalidInput(
                f"{shorten(text)} are no seeds: whole numbers and ascending ranges with commas are "
                "needed, such as 0-999 or 3,7,11-20"
            )
        if len(seeds) + last - first + 1 > MOST_SEEDS:
            raise InvalidInput(f"{shorten(text)} are more than {MOST_SEEDS:,} seeds")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        seed = next(a for a, b in pairwise(sorted(seeds)) if a == b)
        raise InvalidInput(f"{shorten(text)} names the seed {seed} twice")
    return seeds


def _normal_cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2
