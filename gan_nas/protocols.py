"""How scores are made: what has to be equal before two numbers may be compared (no torch).

A protocol is asked for; a passport is what was done, hashes and versions included.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from gan_nas.errors import InvalidInput, nearest

Quantise = Literal["floor", "round"]
Split = Literal["train", "held-out"]
UNKNOWN = "unknown"  # what scores of earlier versions do not tell

# What may differ between numbers that are compared: the seed is the noise that `--repeats`
# measures, versions move the last digits.
INCIDENTAL = {"seed", "repeats", "torch", "gan_nas", "protocol"}


class Protocol(BaseModel):
    """What a paper's scores are made of; the weights are always the moving average, where kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_fake: int = Field(ge=2)
    num_splits: int = Field(ge=1)
    shuffle: bool = False
    quantise: Quantise = "floor"
    split: Split = "train"
    says: str


PROTOCOLS = {
    "default": Protocol(
        num_fake=10_000,
        num_splits=1,
        says="10,000 images in one split against all training images",
    ),
    "autogan": Protocol(
        num_fake=50_000,
        num_splits=10,
        says="AutoGAN's and AdversarialNAS': 50,000 images, rounded down, ten splits in order, "
        "against all training images",
    ),
    "sngan": Protocol(
        num_fake=5_000,
        num_splits=10,
        split="held-out",
        says="SN-GAN's: 5,000 images against the (10,000) test images; its own inception score is "
        "over 50,000 images",
    ),
    "studiogan": Protocol(
        num_fake=50_000,
        num_splits=1,
        quantise="round",
        says="StudioGAN's: 50,000 images, rounded to the nearest, one split, against all training "
        "images",
    ),
}


class Passport(BaseModel):
    """The protocol behind scores: numbers with different passports must not be compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: str | None = None  # name of the preset whose values these are
    backbone: str
    canonical: bool = False  # whether the scores may be called IS and FID
    weights: str  # hash of the backbone's weights
    backbone_side: int | None  # None where the network resizes itself
    resize: str
    features_precision: str = "float32"  # of the backbone; statistics have float64
    image_side: int
    real_resize: str = UNKNOWN  # how the real images came to that side
    quantise: Quantise | Literal["none"]  # none: the images came as bytes
    num_fake: int
    num_real: int | None  # None where a file of statistics does not tell
    num_splits: int
    shuffle: bool = False
    split: str = "train"
    reference: str  # name of the data set or file
    reference_fingerprint: str
    seed: int | None
    repeats: int = 1
    precision: str  # of the generator
    torch: str
    gan_nas: str

    def differences(self, other: Self) -> dict[str, tuple[Any, Any]]:
        """Return what forbids to compare numbers of both, as field -> both values."""
        mine, theirs = self.model_dump(), other.model_dump()
        return {
            name: (mine[name], theirs[name])
            for name in mine
            if name not in INCIDENTAL
            and mine[name] != theirs[name]
            and not (name == "real_resize" and UNKNOWN in (mine[name], theirs[name]))
        }


class Scores(BaseModel):
    """Named scores, the same of real held-out images, and their protocol.

    `errors` are standard errors of the values over repeats, where there were any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    scores: dict[str, float]
    errors: dict[str, float] = {}
    real: dict[str, float]
    passport: Passport


def exceeds_noise(a: Scores, b: Scores, name: str) -> bool | None:
    """Tell whether two values differ by more than twice the standard error of their difference.

    None where either was scored once, so that nothing is known of its noise.
    """
    if name not in a.errors or name not in b.errors:
        return None
    noise = 2 * sqrt(a.errors[name] ** 2 + b.errors[name] ** 2)
    return abs(a.scores[name] - b.scores[name]) > noise


def find_protocol(name: str) -> Protocol:
    """Return a protocol by name."""
    if name not in PROTOCOLS:
        hint = nearest(name, list(PROTOCOLS)) or f"; there are {', '.join(PROTOCOLS)}"
        raise InvalidInput(f"unknown protocol {name!r}{hint}")
    return PROTOCOLS[name]


def is_distance(score: str) -> bool:
    """Tell whether lower is better, by the name of a score."""
    return score.startswith(("frechet_distance", "fid", "kernel_distance", "kid"))


def differing(passports: Sequence[Passport]) -> dict[str, tuple[Any, ...]]:
    """Return what forbids to rank numbers of all of them, as field -> the values there are."""
    fields = {name for other in passports[1:] for name in passports[0].differences(other)}
    return {
        name: tuple(dict.fromkeys(getattr(passport, name) for passport in passports))
        for name in Passport.model_fields
        if name in fields
    }


def describe(differences: Mapping[str, tuple[Any, ...]]) -> str:
    """Say differences of passports in words."""
    return ", ".join(
        f"{name} {' and '.join(map(str, values))}" for name, values in differences.items()
    )
