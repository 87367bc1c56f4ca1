"""Which of several genomes trains best, and how sure that is, from trials with several seeds."""

from collections.abc import Sequence
from math import inf, isfinite, log
from statistics import fmean, stdev

from scipy.stats import tukey_hsd

from gan_nas.runs.results import Result
from gan_nas.trials.trial import Outcome

SIGNIFICANT = 0.05  # below it a difference is more than the seeds'
TINY = 1e-9  # a distance of which there is a logarithm


class Standing(Result):
    """A genome's place among others, over all its seeds."""

    id: str
    """Of the genome as it was found."""
    name: str
    completed: int
    """Seeds that came to a good end."""
    failed: int
    images: int
    """Real images that a discriminator has seen by then."""
    mean: float | None = None
    """Of the distances of all seeds that ended well."""
    deviation: float | None = None
    """Their standard deviation: of two seeds or more."""
    p_value: float | None = None
    """How probable so large a difference to the first genome is, were they equal."""


def ranked(outcomes: Sequence[Outcome]) -> list[Standing]:
    """Rank genomes: the longest trained first, of those the never failed ones, by mean distance.

    A difference to the first is judged by Tukey's range test over all pairs of those that were
    trained as long (Tukey 1949; with Kramer's correction where numbers of seeds differ), on
    logarithms of distances, whose noise is in proportion to them. It allows for the first having
    been picked out of many.
    """
    by_genome: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_genome.setdefault(outcome.trial.genome.genome_id, []).append(outcome)
    rows = sorted(map(_standing, by_genome.values()), key=_place)
    compared = [row.id for row in rows if row.completed > 1 and row.images == rows[0].images]
    if rows and compared[:1] == [rows[0].id] and len(compared) > 1:
        logs = [[log(max(one.loss, TINY)) for one in _last(by_genome[name])] for name in compared]
        p_values = dict(zip(compared[1:], _tukey(logs), strict=True))
        rows = [row.model_copy(update={"p_value": p_values.get(row.id)}) for row in rows]
    return rows


def is_clear(standings: Sequence[Standing]) -> bool:
    """Tell whether the first is better than every other one by more than seeds explain.

    With one seed each nobody knows: it then is not; nor where no other was trained as long.
    """
    first, *others = standings
    ended = [row for row in others if row.completed]
    rivals = [row for row in ended if row.images == first.images]
    if first.completed < 2 or (ended and not rivals):
        return False
    return all(row.p_value is not None and row.p_value < SIGNIFICANT for row in rivals)


def _standing(outcomes: Sequence[Outcome]) -> Standing:
    ended = _last(outcomes)
    distances = [one.loss for one in ended]
    genome = outcomes[0].trial.genome
    most = max(one.trial.images for one in outcomes)
    seeds = {one.trial.seed for one in outcomes if one.trial.images == most}
    return Standing(
        id=genome.genome_id,
        name=genome.title,
        completed=len(ended),
        failed=len(seeds) - len(ended),
        images=most,
        mean=fmean(distances) if distances else None,
        deviation=stdev(distances) if len(distances) > 1 else None,
    )


def _last(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return those of the highest fidelity that ended well."""
    most = max(one.trial.images for one in outcomes)
    return [one for one in outcomes if one.trial.images == most and isfinite(one.loss)]


def _place(row: Standing) -> tuple[bool, int, int, float]:
    return row.mean is None, -row.images, row.failed, inf if row.mean is None else row.mean


def _tukey(samples: Sequence[Sequence[float]]) -> list[float]:
    """Return the probability of each sample's difference to the first."""
    if all(len(set(sample)) == 1 for sample in samples):  # no noise: any difference is one
        return [float(sample[0] == samples[0][0]) for sample in samples[1:]]
    return [float(p) for p in tukey_hsd(*samples).pvalue[0][1:]]
