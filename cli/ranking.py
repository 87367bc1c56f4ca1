"""The table of the best genomes, as search and derive print it, by what their method declares."""

from typing import TYPE_CHECKING, Any

from gan_nas.cli.printing import (
    big,
    duration,
    lines,
    remark,
    short_name,
    show,
    table,
)
from gan_nas.scoring.protocols import by_importance, describe

if TYPE_CHECKING:
    from gan_nas.runs.results import Found, Retraining, SearchResult
    from gan_nas.search.method import Method


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
    if explained := method.explain(result):
        remark(explained, style="dim")
    remark(f"Found in {duration(result.seconds)}; the genome files:", style="dim")
    remark("")
    show(*(row.file for row in result.genomes))


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
    """Print the scores of the genomes trained alone, the best first, and the winner."""
    results = [trial.result for trial in result.trials if trial.result]
    real = results[0].real if results else {}
    first = "inherited" if any(one.inherited_from for one in results) else "untrained"
    columns = [(name, moment) for name in by_importance(real) for moment in (first, "best", "last")]
    titles = [lines([short_name(name), moment]) for name, moment in columns]
    rows = table("", "trained alone", *titles, numbers=titles)
    for place, trial in enumerate(result.trials, start=1):
        if trial.result is None:
            rows.add_row(str(place), trial.id, trial.outcome)
            remark(f"{trial.id} {trial.outcome}: {trial.why}", style="yellow")
            continue
        moments = {first: trial.result.first, "best": trial.result.best, "last": trial.result.last}
        values = (f"{moments[moment][name]:.4g}" for name, moment in columns)
        rows.add_row(str(place), trial.id, *values)

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
    if result.scored_differently:
        show(f"Scored differently, do not trust the order: {describe(result.scored_differently)}")
    if result.winner is not None:
        show(f"winner: {result.winner} by {result.ranked_by}, one seed each")


def _words(scores: dict[str, float]) -> list[str]:
    return [f"{short_name(name)} {scores[name]:.4g}" for name in by_importance(scores)]
