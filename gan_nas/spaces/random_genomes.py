"""Random genomes of a space: the baseline of every search (no torch)."""

from random import Random

from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space


def sample_genomes(
    space: str, count: int, seed: int, width: int = 256, discriminator_width: int = 128
) -> list[Genome]:
    """Draw genomes uniformly from a space; the same seed gives the same genomes.

    They are trained against what the space's search writes: both sides of a comparison alike.
    """
    known = load_space(space)
    random = Random(seed)  # noqa: S311 - architectures are no secrets
    discriminator = known.discriminator(discriminator_width)
    return [
        Genome(generator=known.sample(random, width), discriminator=discriminator)
        for _ in range(count)
    ]
