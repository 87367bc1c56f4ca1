"""How much of a score is the seed, from a table of trials: and how many seeds a claim needs.

A one-way analysis of variance with random effects, of logarithms of distances: what genomes differ
by, and what trainings of one genome differ by, after each number of images (Searle, Casella and
McCulloch 1992, ch. 3).
"""

from collections.abc import Sequence
from math import ceil, exp, log, sqrt
from pathlib import Path
from statistics import fmean, variance
from typing import ClassVar, NamedTuple

from pydantic import Field, JsonValue
from scipy.stats import norm

from gan_nas.errors import InvalidInput
from gan_nas.studies.pictures import save_sorted
from gan_nas.studies.study import Findings, Study, StudyConfig, StudyTask, TableColumn, number_in
from gan_nas.trials.agreement import between_seeds
from gan_nas.trials.comparison import TINY
from gan_nas.trials.table import Table, read_table


class NoiseConfig(StudyConfig):
    """Settings of the analysis."""

    table: str = "tied-digits"
    """Table of trials: a name or a file."""
    difference: float = Field(default=0.1, gt=0, lt=1)
    """Difference of two genomes' distances that is to be seen, as a share."""
    power: float = Field(default=0.8, gt=0.5, lt=1)
    """Probability to see it, at the level 0.05."""


class Parts(NamedTuple):
    """Standard deviations of logarithms: between genomes, and between the seeds of one."""

    genomes: float
    seeds: float

    @property
    def share(self) -> float:
        """Return the part of a single score's variance that is the seed's."""
        return self.seeds**2 / (self.genomes**2 + self.seeds**2)


class NoiseStudy(Study[NoiseConfig]):
    """What `gan-nas study noise` runs."""

    name = "noise"
    question = "How much of a score is the seed, and how many seeds does a claim need?"
    Config = NoiseConfig
    presets: ClassVar = {"demo": {}}
    needs_images = False

    def check(self, task: StudyTask[NoiseConfig]) -> None:
        """Refuse a table in which no genome has two seeds."""
        table = read_table(task.config.table)
        if len(logs_of(table, table.measures[0], table.moments[-1])) < 2:
            raise InvalidInput(
                f"the table {table.name} holds no two genomes of several seeds: take another one"
            )

    def identity(self, task: StudyTask[NoiseConfig]) -> dict[str, JsonValue]:
        """Return what tells the table from others."""
        return read_table(task.config.table).identity

    def work(self, task: StudyTask[NoiseConfig]) -> Findings:
        """Take variances apart, for each judge and number of images."""
        config, table = task.config, read_table(task.config.table)
        rows = [
            _row(table, measure, images, config)
            for measure in table.distances
            for images in table.moments[1:]
        ]
        logs = logs_of(table, table.measures[0], table.moments[-1])
        last = rows[len(table.moments) - 2]
        last["distances"] = [[exp(value) for value in values] for values in logs]
        findings = [
            f"The seed makes {100 * number_in(last, 'share'):.0f} % of the variance of one score "
            f"at the end, of {len(logs)} genomes: distances differ by a factor of "
            f"{number_in(last, 'seed_factor'):.2f} between seeds of a genome and of "
            f"{number_in(last, 'genome_factor'):.2f} between genomes (one standard deviation).",
            f"To tell two genomes apart whose distances differ by {100 * config.difference:.0f} %, "
            f"with probability {config.power:g}, takes {last['seeds_needed']} seeds of each.",
        ]
        return Findings(
            columns=[
                TableColumn(name="judge", words="distance of"),
                TableColumn(name="images", words="images", format=",d"),
                TableColumn(name="genomes", words="genomes", format="d"),
                TableColumn(name="genome_factor", words="between genomes", format=".3f"),
                TableColumn(name="seed_factor", words="between seeds", format=".3f"),
                TableColumn(name="share", words="share of the seed", format=".2f"),
                TableColumn(name="rank_correlation", words="rank correlation", format=".2f"),
                TableColumn(name="seeds_needed", words="seeds needed", format="d"),
            ],
            rows=rows,
            findings=findings,
            limits=[
                "Trainings of one length, one width and one way to train.",
                "Seeds needed hold for two genomes that were named before; the best of many needs "
                "more.",
            ],
        )

    def draw(self, findings: Findings, path: Path) -> None:
        """Draw the distances themselves: genomes in order, their seeds as dots."""
        (row,) = (row for row in findings.rows if "distances" in row)
        distances = row["distances"]
        assert isinstance(distances, list)
        save_sorted(
            [
                [float(str(value)) for value in values]
                for values in distances
                if isinstance(values, list)
            ],
            path,
            "genomes, by their geometric mean",
            f"distance of {row['judge']} after {row['images']:,} images",
            self.question,
        )


STUDY = NoiseStudy()


def logs_of(table: Table, measure: str, images: int) -> list[list[float]]:
    """Return the logarithms of each genome's values that has several seeds."""
    found = []
    for number in range(len(table.genomes)):
        values = [table.value(row, measure, images) for row in table.rows_of(number)]
        logs = [log(max(value, TINY)) for value in values if value is not None]
        if len(logs) > 1:
            found.append(logs)
    return found


def parts_of(logs: Sequence[Sequence[float]]) -> Parts:
    """Return the parts of the variance, by the expected mean squares of unequal groups."""
    sizes = [len(values) for values in logs]
    num, groups = sum(sizes), len(sizes)
    within = sum(variance(values) * (len(values) - 1) for values in logs) / (num - groups)
    middle = fmean(value for values in logs for value in values)
    between = sum(len(v) * (fmean(v) - middle) ** 2 for v in logs) / (groups - 1)
    size = (num - sum(n * n for n in sizes) / num) / (groups - 1)  # n_0, of groups of one size: n
    return Parts(sqrt(max(0.0, (between - within) / size)), sqrt(within))


def seeds_needed(deviation: float, difference: float, power: float) -> int:
    """Return the seeds of each of two genomes that tell a difference, two-sided at 0.05.

    n >= 2 ((z_0.975 + z_power) deviation / log(1 + difference))^2, of a normal distribution.
    """
    z = float(norm.ppf(0.975) + norm.ppf(power))
    return max(2, ceil(2 * (z * deviation / log(1 + difference)) ** 2))


def _row(table: Table, measure: str, images: int, config: NoiseConfig) -> dict[str, JsonValue]:
    logs = logs_of(table, measure, images)
    parts = parts_of(logs)
    is_first = measure == table.measures[0]
    return {
        "judge": measure.removeprefix("frechet_distance[").removesuffix("]"),
        "images": images,
        "genomes": len(logs),
        "genome_factor": exp(parts.genomes),
        "seed_factor": exp(parts.seeds),
        "share": parts.share,
        "rank_correlation": between_seeds(table, images) if is_first else None,
        "seeds_needed": seeds_needed(parts.seeds, config.difference, config.power),
    }
