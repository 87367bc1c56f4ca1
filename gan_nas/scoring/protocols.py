"""How scores are made: what has to be equal before two numbers may be compared (no torch).

A protocol is asked for; a passport is what was done, hashes and versions included.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gan_nas.errors import InvalidInput, nearest
from gan_nas.metrics.preprocessing import Preprocessing

Quantise = Literal["floor", "round"]
Split = Literal["train", "held-out"]
UNKNOWN = "unknown"  # what scores of earlier versions do not tell

# What may differ between numbers that are compared: the seed is the noise that `--repeats`
# measures, versions move the last digits.
INCIDENTAL = {"seed", "repeats", "torch", "gan_nas", "protocol"}

# Settings of some measures only, None where none of these was made: they stop a comparison where
# both sides have them.
OF_MEASURES = {
    "kid_subset_size",
    "kid_subsets",
    "precision_neighbours",
    "density_neighbours",
    "pairwise_images",
    "fid_infinity_sizes",
    "mind_directions",
    "fwd_levels",
    "draws_seed",
}


TWO_DEVIATIONS = 0.97725  # the normal distribution's share below 2


class Protocol(BaseModel):
    """What a paper's scores are made of; the weights are always the moving average, where kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_fake: int = Field(ge=2)
    num_splits: int = Field(ge=1)
    shuffle: bool = False
    quantise: Quantise = "floor"
    split: Split = "train"
    preprocessing: Preprocessing = "tf1"
    precision_neighbours: int = Field(default=3, ge=1)  # and of recall: Kynkaanniemi et al. 2019
    density_neighbours: int = Field(default=5, ge=1)  # and of coverage: Naeem et al. 2020
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
    # What its commands say: the resizer named friendly. Its default, legacy, is pytorch-fid's.
    "studiogan": Protocol(
        num_fake=50_000,
        num_splits=1,
        quantise="round",
        preprocessing="studiogan",
        precision_neighbours=5,
        density_neighbours=5,
        says="StudioGAN's: 50,000 images, rounded to the nearest, one split, against all training "
        "images; its 'friendly' resizer (Pillow's bilinear in float), logits with their bias, 5 "
        "neighbours",
    ),
    "cleanfid": Protocol(
        num_fake=50_000,
        num_splits=1,
        quantise="round",
        preprocessing="cleanfid",
        says="clean-fid's mode clean: 50,000 images, rounded to the nearest, against all training "
        "images; Pillow's bicubic in float; a FID and KID, its score is nobody's",
    ),
    "pytorch-fid": Protocol(
        num_fake=50_000,
        num_splits=1,
        quantise="round",
        preprocessing="pytorch-fid",
        says="pytorch-fid's: 50,000 images, rounded to the nearest, against all training images; "
        "PyTorch's bilinear without antialiasing; a FID, its score is nobody's",
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
    kid_subset_size: int | None = None
    kid_subsets: int | None = None
    precision_neighbours: int | None = None  # and of recall
    density_neighbours: int | None = None  # and of coverage
    pairwise_images: int | None = None  # most that prdc and mind look at, and real ones of kid
    fid_infinity_sizes: int | None = None
    mind_directions: int | None = None
    fwd_levels: int | None = None
    draws_seed: int | None = None  # of what measures draw
    torch: str
    gan_nas: str

    def differences(self, other: Self) -> dict[str, tuple[Any, Any]]:
        """Return what forbids to compare numbers of both, as field -> both values.

        Settings of measures that only one of them made forbid nothing.
        """
        mine, theirs = self.model_dump(), other.model_dump()
        return {
            name: (mine[name], theirs[name])
            for name in mine
            if name not in INCIDENTAL
            and mine[name] != theirs[name]
            and not (name == "real_resize" and UNKNOWN in (mine[name], theirs[name]))
            and not (name in OF_MEASURES and None in (mine[name], theirs[name]))
        }


class Compared(BaseModel):
    """As many generated images as there are real ones that were held out, and their scores."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    num: int
    scores: dict[str, float]


class Comparison(BaseModel):
    """Generated images beside as many real ones: what a perfect generator would score.

    Most measures depend on the number of images (a Frechet distance of N is too high by about
    b / N), so that both sides have `num`, against the same `num_real` others. Deviations are those
    of the values; precision, recall, density, coverage and what has a deviation of its own lack
    them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    num: int
    num_real: int | None
    generated: dict[str, float]
    generated_deviations: dict[str, float] = {}
    real: dict[str, float]
    real_deviations: dict[str, float] = {}


class Scores(BaseModel):
    """Named scores, those of real images that were held out, and their protocol.

    `errors` are standard errors of the values over repeats, where there were any. `real` is
    `comparison.real`: of as many images as `comparison` says, in files of version 0.1 of all held
    out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    scores: dict[str, float]
    errors: dict[str, float] = {}
    real: dict[str, float]
    comparison: Comparison | None = None
    passport: Passport

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """Add to files of version 0.1 the settings of their measures, which were fixed then."""
        match values:
            case {"scores": dict() as scores, "passport": dict() as passport}:
                if not OF_MEASURES & passport.keys():
                    return {**values, "passport": passport | _fixed_settings(scores, passport)}
        return values


def _fixed_settings(scores: Mapping[str, Any], passport: Mapping[str, Any]) -> dict[str, Any]:
    """Return what files of version 0.1 leave out."""

    def has(*beginnings: str) -> bool:
        return any(name.startswith(beginnings) for name in scores)

    settings: dict[str, Any] = {}
    if has("kid", "kernel_distance"):
        numbers = [passport.get("num_fake"), passport.get("num_real"), 1000]
        settings["kid_subset_size"] = min(n for n in numbers if isinstance(n, int))
        settings["kid_subsets"] = 100
    if has("precision"):
        settings |= {"precision_neighbours": 3, "density_neighbours": 3}
    if has("kid", "kernel_distance", "precision"):
        settings["pairwise_images"] = 10_000
    if has("fid_infinity", "frechet_distance_infinity"):
        settings["fid_infinity_sizes"] = 15
    if has("kid", "kernel_distance", "fid_infinity", "frechet_distance_infinity"):
        settings["draws_seed"] = 2020
    return settings


def exceeds(difference: float, errors: Sequence[float], counts: Sequence[int]) -> bool:
    """Tell whether a difference of two means is more than noise would be in one case of twenty.

    That is twice the standard error of their difference for many repeats, and more for few, whose
    errors are themselves uncertain: Student's t with Welch's degrees of freedom (Welch 1947). The
    standard `errors` of both means are of so many repeats each, two or more.
    """
    squares = [error**2 for error in errors]
    if not any(squares):
        return difference != 0
    from scipy.special import stdtrit  # here, since help texts need no SciPy

    uncertain = sum(square**2 / (n - 1) for square, n in zip(squares, counts, strict=True))
    degrees = sum(squares) ** 2 / uncertain
    return abs(difference) > float(stdtrit(degrees, TWO_DEVIATIONS)) * sqrt(sum(squares))


def find_protocol(name: str) -> Protocol:
    """Return a protocol by name."""
    if name not in PROTOCOLS:
        hint = nearest(name, list(PROTOCOLS)) or f"; there are {', '.join(PROTOCOLS)}"
        raise InvalidInput(f"unknown protocol {name!r}{hint}")
    return PROTOCOLS[name]


def is_distance(score: str) -> bool:
    """Tell whether lower is better, by the name of a score."""
    return is_frechet(score) or _first_word(score) in ("kernel", "kid", "sliced", "mind")


def is_frechet(score: str) -> bool:
    """Tell whether a score is a Frechet distance, by its name: fid_infinity is, fidelity is not."""
    return _first_word(score) in ("frechet", "fid")


def _first_word(score: str) -> str:
    return score.partition("[")[0].partition("_")[0]


def by_importance(names: Iterable[str]) -> list[str]:
    """Put distances before scores, which say little alone."""
    return sorted(names, key=lambda name: not is_distance(name))


def differing(passports: Sequence[Passport]) -> dict[str, tuple[Any, ...]]:
    """Return what forbids to rank numbers of all of them, as field -> the values there are."""
    fields = {name for other in passports[1:] for name in passports[0].differences(other)}
    return {
        name: tuple(dict.fromkeys(getattr(passport, name) for passport in passports))
        for name in Passport.model_fields
        if name in fields
    }


def say_differences(differences: Mapping[str, Sequence[Any]]) -> str:
    """Say differences of passports in words."""
    return ", ".join(
        f"{name} {' and '.join(map(str, values))}" for name, values in differences.items()
    )
