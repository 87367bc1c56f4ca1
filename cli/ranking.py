"""The table of the best genomes, as search and derive print it, by what their method declares."""

from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from gan_nas.cli.drawing import explain_words
from gan_nas.cli.printing import (
    WARNING,
    big,
    duration,
    lines,
    remark,
    short_name,
    show,
    table,
)
from gan_nas.errors import Incompatible
from gan_nas.scoring.protocols import by_importance, say_differences
from gan_nas.spaces.genome import read_genome

if TYPE_CHECKING:
    from rich.text import Text

    from gan_nas.runs.results import Found, SearchResult
    from gan_nas.search.method import Method
    from gan_nas.search.retraining import Retraining


def show_ranking(method: "Method[Any, Any]", result: "SearchResult") -> None:
    """Print the top K with what they are ranked by, and costs, and how far that can be trusted."""
    scored = ["scores"] if any(row.scores for row in result.genomes) else []
    known = {name for row in result.genomes for name in row.values}
    columns = [column.words for column in method.columns if column.name in known]
    ranked_by = ", ".join(columns + scored)
    rows = table("", "genome", method.parts, ranked_by, numbers=[ranked_by])
    for place, row in enumerate(result.genomes, start=1):
        size = [f"{big(row.parameters)} params", f"{big(row.macs)} MACs"]
        errors = result.deviations if place == 1 else {}
        rows.add_row(
            str(place),
            lines([row.id, *size]),
            lines(row.words),
            lines([*_values(method, row, errors), *_words(row.scores)]),
            end_section=True,
        )
    if result.supernet:
        scores = {name: result.supernet[name] for name in result.supernet if name in result.real}
        others = [
            f"{name} {value:.4g}" for name, value in result.supernet.items() if name not in scores
        ]
        rows.add_row("", "supernet", "all operations mixed", lines([*_words(scores), *others]))
    beside = result.compared  # runs of the first release have none
    if beside and result.passport and beside.num < result.passport.num_fake:
        what = "supernet" if result.supernet else "genome 1"
        scores = {name: value for name, value in beside.scores.items() if name in result.real}
        rows.add_row("", what, f"{beside.num:,} images only", lines(_words(scores)))
    if result.real:
        held_out = f"held out: {beside.num:,}" if beside else "held out"
        rows.add_row("", "real images", held_out, lines(_words(result.real)))
    show(rows, "")
    explain_words(map(_legend, result.genomes[:1]))
    if explained := _explained(method, result):
        remark(explained, style="dim")
    remark(f"Found in {duration(result.seconds)}; the genome files:", style="dim")
    remark("")
    show(*(row.file for row in result.genomes))


def _explained(method: "Method[Any, Any]", result: "SearchResult") -> str:
    """Return what a method says of a result; what facts are is each method's own affair."""
    try:
        return method.explain(result)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Incompatible(
            f"the facts {', '.join(result.facts) or '(none)'} of this search are not as this "
            f"version of gan-nas writes them for {method.name}: use the version that it was made by"
        ) from error


def _legend(row: "Found") -> str:
    """Return how to read a genome's words: they are of its generator or of its discriminator."""
    genome = read_genome(Path(row.file))
    of_discriminator = row.words == genome.words_of("discriminator")
    return genome.discriminator.legend if of_discriminator else genome.generator.legend


def _values(method: "Method[Any, Any]", row: "Found", errors: dict[str, float]) -> list[str]:
    """Say what a genome is ranked by: the first value alone, the others by name."""
    words = []
    for place, column in enumerate(method.columns):
        if column.name in row.values:
            name = f"{column.words} " if place else ""
            error = f" ± {errors[column.name]:.2g}" if column.name in errors else ""
            words.append(f"{name}{row.values[column.name]:{column.format}}{error}")
    return words


def show_retrained(result: "Retraining") -> None:
    """Print what became of the genomes trained alone, the best first, and how sure the order is."""
    for trial in result.trials:
        if trial.result is None:
            remark(f"{trial.id}, seed {trial.seed}: {trial.outcome}: {trial.why}", style=WARNING)
        elif trial.micro_batch is not None:
            remark(
                f"{trial.id}, seed {trial.seed}: memory did not suffice for whole batches; it was "
                f"trained on {trial.micro_batch} images at a time, whose gradients add up",
                style=WARNING,
            )
    if max((row.completed + row.failed for row in result.ranking), default=0) > 1:
        _show_seeds(result)
    else:
        _show_trainings(result)
    if result.scored_differently:
        differences = say_differences(result.scored_differently)
        show(f"Scored differently, do not trust the order: {differences}")
    if result.best is None:
        return
    from gan_nas.trials.comparison import SIGNIFICANT

    one_each = all(row.completed + row.failed == 1 for row in result.ranking)
    if result.winner is None:
        rivals = [row for row in result.ranking[1:] if row.p_value and row.p_value >= SIGNIFICANT]
        near = f": {rivals[0].id} is as good with p = {rivals[0].p_value:.2g}" if rivals else ""
        show(f"no winner: {result.best} leads by no more than seeds explain{near}")
    else:
        how = "one seed each, which may be all there is to it" if one_each else "beyond its seeds"
        show(f"winner: {result.winner} by {result.ranked_by}, {how}")


def _show_trainings(result: "Retraining") -> None:
    """Print the scores of one training each: before, at best and at the end."""
    results = [trial.result for trial in result.trials if trial.result]
    real = results[0].real if results else {}
    first = "inherited" if any(one.inherited_from for one in results) else "untrained"
    columns = [(name, moment) for name in by_importance(real) for moment in (first, "best", "last")]
    titles = [lines([short_name(name), moment]) for name, moment in columns]
    rows = table("", "trained alone", *titles, numbers=titles)
    for place, trial in enumerate(result.trials, start=1):
        if trial.result is None:
            rows.add_row(str(place), trial.id, trial.outcome)
            continue
        moments = {first: trial.result.first, "best": trial.result.best, "last": trial.result.last}
        values = (f"{moments[moment][name]:.4g}" for name, moment in columns)
        named = _with_images(trial.id, trial.result.images, result)
        rows.add_row(str(place), named, *values)

    def at_last(scores: dict[str, float]) -> list[str]:
        return [f"{scores[name]:.4g}" if moment == "last" else "" for name, moment in columns]

    # Distances of fewer images are higher: beside few real images stand few generated ones.
    numbers = set()
    for trial in result.trials:
        if trial.result and (beside := trial.result.compared):
            numbers.add(beside.num)
            if beside.num < trial.result.passport.num_fake:
                few = lines([trial.id, f"{beside.num:,} images only"])
                rows.add_row("", few, *at_last(beside.scores))
    told = [f"{num:,} held out" for num in sorted(numbers)]
    rows.add_row("", lines(["real images", *told]), *at_last(real))
    show(rows, "")


def _show_seeds(result: "Retraining") -> None:
    """Print means and deviations over the seeds of each genome, of the last scores."""
    ended = [trial for trial in result.trials if trial.result]
    real = ended[0].result.real if ended and ended[0].result else {}
    names = by_importance(real)
    titles = [lines([short_name(name), "last"]) for name in names]
    rows = table("", "trained alone", "seeds", *titles, "p", numbers=["seeds", *titles, "p"])
    for place, row in enumerate(result.ranking, start=1):
        last = [one.result.last for one in ended if one.id == row.id and one.result]
        last = [scores for scores in last if scores["images"] == row.images]
        means = [_mean_and_deviation([scores[name] for scores in last]) for name in names]
        seeds = f"{row.completed}" + (f" of {row.completed + row.failed}" if row.failed else "")
        sure = "" if row.p_value is None else f"{row.p_value:.2g}"
        named = _with_images(row.id, row.images, result)
        rows.add_row(str(place), named, seeds, *means, sure)
    rows.add_row("", "real images, held out", "", *(f"{real[name]:.4g}" for name in names), "")
    show(rows, "")
    remark(
        "Mean ± deviation over seeds; p: how probable so large a difference to the first is "
        "between equal genomes (Tukey's range test).",
        style="dim",
    )


def _with_images(name: str, images: int, result: "Retraining") -> "str | Text":
    """Name a genome, and what it has seen where that is less than the best has."""
    most = result.ranking[0].images
    return name if images == most else lines([name, f"{images:,} images of {most:,}"])


def _mean_and_deviation(values: list[float]) -> str:
    if not values:
        return "failed"
    spread = f" ± {stdev(values):.2g}" if len(values) > 1 else ""
    return f"{fmean(values):.4g}{spread}"


def _words(scores: dict[str, float]) -> list[str]:
    return [f"{short_name(name)} {scores[name]:.4g}" for name in by_importance(scores)]
