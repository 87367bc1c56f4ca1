"""Random genomes of a space: the baseline of every search (no torch)."""

import random
from importlib import import_module
from types import ModuleType

from gan_nas.errors import InvalidInput, nearest
from gan_nas.spaces.frameworks import default_discriminator
from gan_nas.spaces.genome import Genome

SPACES = (
    "autogan",
    "adversarialnas",
    "degas",
)  # each a file of gan_nas/spaces with `count` and `sample`


def load_space(name: str) -> ModuleType:
    """Import a space by name."""
    if name not in SPACES:
        hint = nearest(name, list(SPACES))
        raise InvalidInput(f"unknown space {name}{hint}; known are {', '.join(SPACES)}")
    return import_module(f"gan_nas.spaces.{name}")


def sample_genomes(
    space: str, count: int, seed: int, width: int = 256, discriminator_width: int = 128
) -> list[Genome]:
    """Draw genomes uniformly from a space; the same seed gives the same genomes.

    They are trained against what the space's search writes: both sides of a comparison alike.
    """
    sample = load_space(space).sample
    draw = random.Random(seed)  # noqa: S311 - architectures are no secrets
    discriminator = default_discriminator(space, discriminator_width)
    return [
        Genome(generator=sample(draw, width), discriminator=discriminator) for _ in range(count)
    ]
