"""Is a search better than random search in its space? By how much, and how sure is that?"""

from collections.abc import Mapping, Sequence
from math import exp, log
from statistics import fmean, stdev
from typing import NamedTuple

from pydantic import JsonValue
from scipy.stats import ttest_ind

from gan_nas.spaces.genome import Genome
from gan_nas.studies.searches import RANDOM, Contender
from gan_nas.studies.study import Findings, TableColumn
from gan_nas.trials.comparison import SIGNIFICANT
from gan_nas.trials.trial import Outcome

SECOND = "frechet_distance[residual"  # the second judge's, of labelled data and others
LIMITS = [
    "Searches of minutes: the papers' take GPU-days, and what is best may change with the length.",
    "The settings are the presets' own; nothing was tuned on these seeds.",
    "Spaces differ in size and cost, so only methods of one space are compared.",
]


class Sample(NamedTuple):
    """Logarithms of a search's distances: of each training, and their means over each genome."""

    all: list[float]
    genomes: list[float]
    second: list[float]
    failed: int


def compared(
    found: Mapping[Contender, Sequence[Genome]],
    outcomes: Mapping[str, Sequence[Outcome]],
    seconds: Mapping[Contender, Sequence[float]],
) -> Findings:
    """Compare each search with random search in its space, by Welch's test over its seeds.

    `found` are the genomes of a search's seeds, `outcomes` the trainings of a genome, by its id,
    `seconds` what each of a search's seeds took of the CPU. Distances are compared by their
    logarithms: geometric means, and ratios of these.
    """
    samples = {}
    for search, genomes in found.items():
        trained = [outcomes[genome.genome_id] for genome in genomes]
        ended = [[one for one in each if one.status == "completed"] for each in trained]
        samples[search] = Sample(
            all=[log(one.loss) for each in ended for one in each],
            genomes=[fmean(log(one.loss) for one in each) for each in ended if each],
            second=[fmean(log(_second(one)) for one in each) for each in ended if each],
            failed=sum(map(len, trained)) - sum(map(len, ended)),
        )
    rows, findings, num_seeds = [], list[str](), max(map(len, found.values()))
    for search, sample in samples.items():
        row: dict[str, JsonValue] = {
            "search": search.name,
            "space": search.space,
            "seconds": fmean(seconds[search]) if seconds[search] else 0.0,
            "distance": exp(fmean(sample.genomes)) if sample.genomes else None,
            "spread": exp(stdev(sample.genomes)) if len(sample.genomes) > 1 else None,
            "second_distance": exp(fmean(sample.second)) if sample.second else None,
            "failed": sample.failed,
            "distances": [exp(value) for value in sample.all],
            "genomes": [genome.genome_id for genome in found[search]],
        }
        baseline = samples.get(Contender(RANDOM, search.space))
        if search != Contender(RANDOM, search.space) and baseline is not None:
            against, said = _against_random(search, sample.genomes, baseline.genomes)
            row |= against
            findings.append(said)
        rows.append(row)
    return Findings(
        columns=[
            TableColumn(name="search", words="search"),
            TableColumn(name="seconds", words="CPU seconds", format=".0f"),
            TableColumn(name="distance", words="distance"),
            TableColumn(name="spread", words="spread", format=".2f"),
            TableColumn(name="second_distance", words="second judge"),
            TableColumn(name="failed", words="failed", format="d"),
            TableColumn(name="ratio", words="to random", format=".2f"),
            TableColumn(name="low", words="95 %: from", format=".2f"),
            TableColumn(name="high", words="to", format=".2f"),
            TableColumn(name="p_value", words="p", format=".2g"),
        ],
        rows=rows,
        findings=findings,
        limits=[f"{num_seeds} seeds: small differences go unseen.", *LIMITS],
    )


def _second(outcome: Outcome) -> float:
    """Return the distance by the second judge."""
    (name,) = (name for name in outcome.scores[-1] if name.startswith(SECOND))
    return float(outcome.scores[-1][name])


def _against_random(
    search: Contender, ours: list[float], theirs: list[float]
) -> tuple[dict[str, JsonValue], str]:
    """Compare with random search: the ratio of distances, its 95 % interval, Welch's p."""
    if min(len(ours), len(theirs)) < 2:
        return {}, f"{search.name}: too few trainings ended well to compare it with random search."
    test = ttest_ind(ours, theirs, equal_var=False)
    low, high = (exp(end) for end in test.confidence_interval())
    ratio, p_value = exp(fmean(ours) - fmean(theirs)), float(test.pvalue)
    better, much = ("lower", 1 - ratio) if ratio < 1 else ("higher", ratio - 1)
    verdict = (
        f"cannot be told from random search in {search.space}"
        if p_value >= SIGNIFICANT
        else f"{'beats' if ratio < 1 else 'loses to'} random search in {search.space}"
    )
    said = (
        f"{search.name} {verdict}: its distances are {100 * much:.0f} % {better} (95 %: "
        f"{low:.2f} to {high:.2f} times, p = {p_value:.2g})."
    )
    return {"ratio": ratio, "low": low, "high": high, "p_value": p_value}, said
