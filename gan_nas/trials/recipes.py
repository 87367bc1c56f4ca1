"""What tables of trials hold: which genomes, how they are trained, who judges them (no torch).

Width, steps and batches were chosen by pilots, as the data cards tell.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from random import Random
from typing import Any, NamedTuple

from pydantic import Field, field_validator

from gan_nas.configs import Settings, find_preset, resolve
from gan_nas.errors import InvalidInput, nearest
from gan_nas.spaces.frameworks import Framework
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space

# Of a whole trial, in 36ths: those that halving asks for by 2, by 3 and by 4 are among them.
MOMENTS, WHOLE = (4, 6, 9, 12, 18, 36), 36
MOST_GENOMES = 100_000


class Planned(NamedTuple):
    """A trial of a table: the number of its genome in the space, and how it is trained."""

    number: int
    framework: Framework
    seed: int

    @property
    def name(self) -> str:
        """Return the name of its files."""
        return f"{self.number:03d}-{self.framework}-{self.seed}"


class Recipe(Settings):
    """What a table holds: all genomes of a space, trained alike, several times."""

    version: int = Field(default=1, ge=1)
    """Raised whenever the table is made anew: numbers of two versions are not compared."""
    space: str = "autogan-tied"
    """The space whose genomes are all trained."""
    data: str = "digits"
    """What they are trained on."""
    resolution: int = Field(default=16, ge=8, le=512)
    """Side of the images, in pixels."""
    width: int = Field(default=16, ge=1, le=2048)
    """Generator width."""
    discriminator_width: int = Field(default=16, ge=1, le=2048)
    """Discriminator width."""
    images: int = Field(default=4_608, ge=1)
    """Real images that the discriminator of each trial sees: batches times steps, of which there
    must be a multiple of 36, as scores are made after 4, 6, 9, 12, 18 and 36 of 36 parts."""
    training: tuple[str, ...] = ("batch_size=16", "generator_batch_size=16")
    """Settings of `retrain` on top of its preset demo."""
    seeds: int = Field(default=3, ge=1, le=100)
    """Seeds of the genomes that are trained most often."""
    seeds_of_all: int = Field(default=3, ge=1, le=100)
    """Seeds of every genome; those after are of `share` of them, drawn at random."""
    share: float = Field(default=1 / 3, gt=0, le=1)
    """Part of the genomes that the other seeds are for."""
    framework: Framework = "hinge-sn"
    """How all genomes are trained."""
    second_framework: Framework | None = "mmd"
    """How some of them are trained as well."""
    second_share: float = Field(default=0.1, gt=0, le=1)
    """Part of the genomes that the second framework trains, with as many seeds each."""
    judges: tuple[str, ...] = Field(default=("classifier", "residual"), min_length=2)
    """Who scores, each without knowing of the others; the first one's distance is what is searched
    by."""
    only: int | None = Field(default=None, ge=1)
    """Number of genomes, drawn at random; none: all. For pilots."""

    @field_validator("judges")
    @classmethod
    def _differ(cls, judges: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(judges)) < len(judges):
            raise ValueError("one of them is named twice; each judges once")
        return judges

    def genomes(self) -> list[Genome]:
        """Return all genomes of the space in their fixed order, as the framework trains them.

        Raises InvalidInput for a space of more than MOST_GENOMES.
        """
        space = load_space(self.space)
        if (num := space.count()) > MOST_GENOMES:
            raise InvalidInput(
                f"a table trains all genomes of its space, and {self.space} has {num:,}: name one "
                f"of at most {MOST_GENOMES:,}, such as autogan-tied"
            )
        discriminator = space.discriminator(self.discriminator_width)
        return [
            Genome(generator=generator, discriminator=discriminator)
            for generator in space.generators(self.width)
        ]

    @property
    def fidelities(self) -> list[int]:
        """Return the real images after which trials are scored, rising."""
        return [moment * self.images // WHOLE for moment in MOMENTS]

    def planned(self) -> list[Planned]:
        """Return all trials, in an order in which a part of the table is useful as well.

        Seed 0 of all genomes comes first, in an order that was drawn once for all: those that are
        trained more often begin it, so that the fewer are always among the more.
        """
        return [one for seed in range(self.seeds) for one in self._of_seed(seed)]

    def _of_seed(self, seed: int) -> Iterator[Planned]:
        drawn = self._drawn
        share = 1.0 if seed < self.seeds_of_all else self.share
        for number in drawn[: ceil(share * len(drawn))]:
            yield Planned(number, self.framework, seed)
        if self.second_framework is not None and seed < self.seeds_of_all:
            for number in drawn[: ceil(self.second_share * len(drawn))]:
                yield Planned(number, self.second_framework, seed)

    @property
    def _drawn(self) -> list[int]:
        """Return the numbers of the genomes in an order that was drawn once for all."""
        numbers = list(range(len(self.genomes())))
        Random(0).shuffle(numbers)  # noqa: S311 - architectures are no secrets
        return numbers[: self.only]


RECIPES: dict[str, dict[str, Any]] = {
    "tied-digits": {},
    "tied-cifar10": {
        "data": "cifar10",
        "seeds_of_all": 1,
        "images": 9_216,
        "training": ("num_reference=10000",),
    },
}

# How their widths and lengths were chosen.
CHOSEN = {
    "tied-digits": "Width, batch and length were chosen by a pilot of 24 random genomes with two "
    "seeds each, on 2026-11-26: Spearman's correlation between seeds was 0.52 after 288 steps of "
    "16 images, 0.79 after 216 and 360, and 0.70 on average from 144 on; a trial takes 9 to 11 "
    "seconds of a core. At width 8 with batches of 32, which cost the same, distances of the first "
    "six fell more slowly and jumped more.",
    "tied-cifar10": "The length was chosen by a pilot of 24 random genomes with two seeds each, on "
    "2026-11-27: Spearman's correlation between seeds was 0.81 at the end and 0.80 to 0.86 from "
    "1,024 images on; a trial takes 12 to 13 seconds of a core.",
}


def find_recipe(name: str, sets: Sequence[str] = ()) -> Recipe:
    """Return a table's recipe by name, with some settings changed."""
    if name not in RECIPES:
        hint = nearest(name, list(RECIPES)) or f"; there are {', '.join(RECIPES)}"
        raise InvalidInput(f"unknown table {name!r}{hint}")
    return resolve(Recipe, find_preset(RECIPES, name), sets)


def name_of(recipe: Recipe) -> str | None:
    """Return the name of a table of this recipe; None for one that was changed."""
    return next((name for name in RECIPES if find_recipe(name) == recipe), None)
