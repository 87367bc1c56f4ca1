"""How far a table's numbers agree: between seeds, judges, frameworks, and early with late scores.

Rank correlations are Spearman's over genomes, of the distance that trials are compared by unless
another is named; a trial that did not come to a moment is left out there.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from math import log, sqrt
from statistics import fmean, median, stdev

from scipy.stats import spearmanr

from gan_nas.runs.results import Result
from gan_nas.trials.comparison import TINY
from gan_nas.trials.table import RecordedTrial, Table

FEWEST = 3  # genomes of which there is a rank correlation


class Moment(Result):
    """What scores at a moment say."""

    images: int
    """Real images that the discriminator has seen."""
    median: float | None
    """Of the distances of all trials in the first framework that came so far."""
    between_seeds: float | None
    """Rank correlation of two seeds, the mean over pairs."""
    with_the_end: float | None
    """Rank correlation with the end of the same trials, the mean over seeds."""


class Placed(Result):
    """A genome by its mean distance over seeds, in the first framework."""

    genome: int
    id: str
    words: tuple[str, ...]
    parameters: int
    seeds: int
    mean: float
    deviation: float | None
    """Of the distances of its seeds: from two on."""
    second: float | None
    """Mean of the second judge's distances."""


class Summary(Result):
    """A table in a page."""

    name: str
    version: int
    trials: int
    planned: int
    failed: dict[str, int]
    """Trials that came to no good end, by how."""
    processor_hours: float
    """Of the CPU, in all of its trials."""
    moments: tuple[Moment, ...]
    between_judges: float | None
    """Rank correlation of the first two judges' distances, of means over seeds."""
    between_frameworks: float | None
    """Rank correlation of both frameworks, of means over seeds."""
    seed_deviation: float | None
    """Standard deviation of the logarithm of distances that seeds alone make."""
    best: tuple[Placed, ...]


def summarised(table: Table, num_best: int) -> Summary:
    """Say in a page what a table holds and how far its numbers agree."""
    failed = Counter(row.status for row in table.rows if row.status != "completed")
    first, second = means_of_genomes(table), means_of_genomes(table, measure=table.distances[1])
    ranked = sorted(first, key=lambda number: first[number])[:num_best]
    return Summary(
        name=table.name,
        version=table.recipe.version,
        trials=len(table.rows),
        planned=table.planned,
        failed={str(status): number for status, number in failed.items()},
        processor_hours=sum(row.processor_seconds for row in table.rows) / 3600,
        moments=tuple(_moment(table, images) for images in table.moments),
        between_judges=between_judges(table),
        between_frameworks=between_frameworks(table),
        seed_deviation=seed_deviation(table),
        best=tuple(_standing(table, number, second.get(number)) for number in ranked),
    )


def _moment(table: Table, images: int) -> Moment:
    values = [value for seed in _seeds(table) for value in _of_seed(table, seed, images).values()]
    return Moment(
        images=images,
        median=median(values) if values else None,
        between_seeds=between_seeds(table, images),
        with_the_end=with_the_end(table, images),
    )


def _standing(table: Table, number: int, second: float | None) -> Placed:
    entry, rows = table.genomes[number], table.rows_of(number)
    values = [table.value(row, table.measures[0]) for row in rows if row.status == "completed"]
    known = [value for value in values if value is not None]
    return Placed(
        genome=number,
        id=entry.id,
        words=entry.words,
        parameters=entry.parameters,
        seeds=len(known),
        mean=fmean(known),
        deviation=stdev(known) if len(known) > 1 else None,
        second=second,
    )


def between_seeds(table: Table, images: int | None = None) -> float | None:
    """Return the mean rank correlation of two seeds after so many images, else at the end."""
    pairs = [
        _correlation(_of_seed(table, a, images), _of_seed(table, b, images))
        for a, b in combinations(_seeds(table), 2)
    ]
    known = [pair for pair in pairs if pair is not None]
    return fmean(known) if known else None


def between_judges(table: Table) -> float | None:
    """Return the rank correlation of the first two judges' distances, of means over seeds."""
    first, second, *_ = table.distances
    return _correlation(
        means_of_genomes(table, measure=first), means_of_genomes(table, measure=second)
    )


def between_frameworks(table: Table) -> float | None:
    """Return the rank correlation of both frameworks, of means over seeds."""
    other = table.recipe.second_framework
    return (
        None
        if other is None
        else _correlation(means_of_genomes(table), means_of_genomes(table, other))
    )


def with_the_end(table: Table, images: int) -> float | None:
    """Return the rank correlation of scores after so many images and at the end, of one seed.

    That is the mean over seeds: what a search knows of the end that stops there.
    """
    each = [
        _correlation(_of_seed(table, seed, images), _of_seed(table, seed, None))
        for seed in _seeds(table)
    ]
    known = [one for one in each if one is not None]
    return fmean(known) if known else None


def means_of_genomes(
    table: Table, framework: str | None = None, measure: str | None = None
) -> dict[int, float]:
    """Return the mean of a measure at the end over the seeds of each genome that ended well."""
    found: dict[int, list[float]] = {}
    for row in _of_framework(table, framework):
        value = table.value(row, measure or table.measures[0])
        if value is not None and row.status == "completed":
            found.setdefault(row.genome, []).append(value)
    return {genome: fmean(values) for genome, values in found.items()}


def seed_deviation(table: Table) -> float | None:
    """Return the standard deviation of the distance's logarithm that seeds alone make.

    It is pooled over all genomes of several seeds: noise is in proportion to distances.
    """
    squares, degrees = 0.0, 0
    for number in range(len(table.genomes)):
        values = [table.value(row, table.measures[0]) for row in table.rows_of(number)]
        logs = [log(max(value, TINY)) for value in values if value is not None]
        if len(logs) > 1:
            middle = fmean(logs)
            squares += sum((one - middle) ** 2 for one in logs)
            degrees += len(logs) - 1
    return sqrt(squares / degrees) if degrees else None


def _seeds(table: Table) -> list[int]:
    return sorted({row.seed for row in table.rows})


def _of_framework(table: Table, framework: str | None) -> list[RecordedTrial]:
    wanted = framework or table.recipe.framework
    return [row for row in table.rows if row.framework == wanted]


def _of_seed(table: Table, seed: int, images: int | None) -> dict[int, float]:
    values = {
        row.genome: table.value(row, table.measures[0], images)
        for row in _of_framework(table, None)
        if row.seed == seed
    }
    return {genome: value for genome, value in values.items() if value is not None}


def _correlation(a: Mapping[int, float], b: Mapping[int, float]) -> float | None:
    common = sorted(a.keys() & b.keys())
    if len(common) < FEWEST:
        return None
    return float(spearmanr([a[i] for i in common], [b[i] for i in common]).statistic)
