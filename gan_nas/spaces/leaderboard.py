"""The leaderboard: what papers report of GANs for small images, and what was measured here.

Its rows are data: leaderboard.json beside this file. No reported number was measured here, and
numbers of different protocols, recipes or budgets cannot be ranked; a row says what is known (no
torch).
"""

from importlib.resources import files
from math import inf
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gan_nas.spaces.schema import Frozen

SearchKind = Literal["rl", "gradient", "evolution", "growth", "random", "hand-made"]
Positive = Annotated[float, Field(gt=0)]


class Reported(Frozen):
    """Scores on one data set, as the source prints them."""

    inception_score: Positive | None = None
    inception_score_deviation: Positive | None = Field(
        default=None, description="over the splits of one set of samples, unless remarks differ"
    )
    fid: Positive | None = None
    fid_deviation: Positive | None = None


class Row(Frozen):
    """One system as its paper, or a later paper's table, reports it."""

    name: str
    venue: str = Field(description="in short")
    year: int = Field(ge=2014)
    kind: SearchKind = Field(description="how the architecture was found")
    searched: tuple[Literal["generator", "discriminator", "loss"], ...] = ()
    gpu_days: Positive | None = Field(default=None, description="of the search")
    parameters: Positive | None = Field(default=None, description="of the generator, in millions")
    cifar10: Reported = Field(default=Reported(), description="32x32")
    stl10: Reported = Field(default=Reported(), description="48x48")
    genomes: tuple[str, ...] = Field(default=(), description="packaged genomes of it")
    protocol: str = Field(description="of the scores, a key of protocols")
    labels: bool = Field(default=False, description="class-conditional, so not comparable")
    verified: bool = Field(
        default=True, description="read in the paper or code, not in an abstract or index alone"
    )
    code: str | None = Field(default=None, description="repository on GitHub")
    licence: str | None = Field(default=None, description="of the code; none: it has no licence")
    source: str = Field(description="where the scores were read")
    remarks: str | None = None


class Measurement(Frozen):
    """Scores measured here, with the protocol behind them."""

    genome: str = Field(description="name of the packaged genome")
    data: Literal["cifar10", "stl10"]
    scores: dict[str, float] = Field(description="fid and inception_score are Inception's only")
    width: int = Field(ge=1, description="of both networks, which may not be the genome's own")
    framework: str
    steps: int = Field(ge=1, description="generator steps of the training")
    num_scored: int = Field(ge=2, description="samples behind the scores")
    backbone: str
    seeds: tuple[int, ...] = Field(min_length=1, description="several: scores are their mean")
    precision: Literal["float32", "bf16"]
    hardware: str
    date: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    source: str = Field(description="where more is told")
    remarks: str | None = None


class Leaderboard(Frozen):
    """What papers report, the lowest FID on CIFAR-10 first, and what was measured here."""

    protocols: dict[str, str] = Field(description="what a row's protocol means")
    rows: tuple[Row, ...]
    measured: tuple[Measurement, ...]

    @model_validator(mode="after")
    def _protocols_are_known(self) -> Self:
        unknown = {row.protocol for row in self.rows} - self.protocols.keys()
        if unknown:
            raise ValueError(f"protocols that are not explained: {', '.join(sorted(unknown))}")
        return self

    def measured_of(self, row: Row) -> list[Measurement]:
        """Return what was measured here of a row's genomes."""
        return [found for found in self.measured if found.genome in row.genomes]


def read_leaderboard() -> Leaderboard:
    """Read the packaged leaderboard and rank its rows."""
    text = (files("gan_nas.spaces") / "leaderboard.json").read_text("utf-8")
    read = Leaderboard.model_validate_json(text)
    return read.model_copy(update={"rows": tuple(sorted(read.rows, key=_rank))})


def _rank(row: Row) -> tuple[bool, float, float, float]:
    """Order by FID on CIFAR-10, rows without by their inception score; those with labels last."""
    c, s = row.cifar10, row.stl10
    return row.labels, c.fid or inf, -(c.inception_score or 0), -(s.inception_score or 0)
