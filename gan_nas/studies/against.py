"""Is a search better than another? By how much, and how sure is that?"""

from collections.abc import Mapping, Sequence
from math import exp, isfinite
from statistics import fmean

from pydantic import JsonValue
from scipy.stats import ttest_ind

from gan_nas.spaces.genome import Genome
from gan_nas.studies.searches import RANDOM, Contender
from gan_nas.studies.study import Findings, TableColumn
from gan_nas.studies.trainings import sampled
from gan_nas.trials.comparison import SIGNIFICANT
from gan_nas.trials.trial import Outcome

LIMITS = [
    "Searches of minutes: the papers' take GPU-days, and what is best may change with the length.",
    "What no @ changes is as in the presets, of which some were chosen by such a study on digits.",
    "Spaces differ in size and cost, so only methods of one space are compared.",
]


def compared(
    found: Mapping[Contender, Sequence[Genome]],
    outcomes: Mapping[str, Sequence[Outcome]],
    seconds: Mapping[Contender, Sequence[float]],
    baselines: Mapping[Contender, Contender],
) -> Findings:
    """Compare each search with its baseline, by Welch's test over its seeds.

    `found` are the genomes of a search's seeds, `outcomes` the trainings of a genome, by its id,
    `seconds` what each of a search's seeds took of the CPU. Distances are compared by their
    logarithms: geometric means, and ratios of these.
    """
    samples = {search: sampled(genomes, outcomes) for search, genomes in found.items()}
    rows, findings, num_seeds = [], list[str](), max(map(len, found.values()))
    for search, sample in samples.items():
        row: dict[str, JsonValue] = {
            "search": search.name,
            "space": search.space,
            "seconds": fmean(seconds[search]) if seconds[search] else 0.0,
            **sample.row(),
            "genomes": [genome.genome_id for genome in found[search]],
        }
        if (baseline := baselines.get(search)) is not None:
            theirs = samples[baseline].genomes
            against, said = _against(search, sample.genomes, baseline, theirs)
            row |= against
            findings.append(said)
        rows.append(row)
    repeated = any(
        len(genomes) > len({one.genome_id for one in genomes}) for genomes in found.values()
    )
    return Findings(
        columns=[
            TableColumn(name="search", words="search"),
            TableColumn(name="seconds", words="CPU s", format=".0f"),
            TableColumn(name="distance", words="distance"),
            TableColumn(name="spread", words="spread", format=".2f"),
            TableColumn(name="second_distance", words="2nd judge"),
            TableColumn(name="failed", words="failed", format="d"),
            TableColumn(name="ratio", words="ratio", format=".2f"),
            TableColumn(name="low", words="95 %: from", format=".2f"),
            TableColumn(name="high", words="to", format=".2f"),
            TableColumn(name="p_value", words="p", format=".2g"),
        ],
        rows=rows,
        findings=findings,
        limits=[f"{num_seeds} seeds: small differences go unseen.", *LIMITS]
        + ["A genome that a search found with several seeds counts once."] * repeated,
    )


def _against(
    search: Contender, ours: list[float], baseline: Contender, theirs: list[float]
) -> tuple[dict[str, JsonValue], str]:
    """Compare with a baseline: the ratio of distances, its 95 % interval, Welch's p."""
    other = f"random search in {search.space}" if baseline.method == RANDOM else baseline.name
    if min(len(ours), len(theirs)) < 2:
        return {}, f"{search.name}: too few trainings ended well to compare it with {other}."
    test = ttest_ind(ours, theirs, equal_var=False)
    low, high = (exp(end) for end in test.confidence_interval())
    ratio, p_value = exp(fmean(ours) - fmean(theirs)), float(test.pvalue)
    if not isfinite(p_value):
        return {}, f"{search.name}: its trainings and those of {other} are all alike."
    better, much = ("lower", 1 - ratio) if ratio < 1 else ("higher", ratio - 1)
    verdict = "beats" if ratio < 1 else "loses to"
    if p_value >= SIGNIFICANT:
        verdict = "cannot be told from"
    said = (
        f"{search.name} {verdict} {other}: its distances are {100 * much:.0f} % {better} (95 %: "
        f"{low:.2f} to {high:.2f} times, p = {p_value:.2g})."
    )
    return {"ratio": ratio, "low": low, "high": high, "p_value": p_value}, said
