"""`gan-nas table show`: what a table holds, and how far its numbers agree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.drawing import explain_words
from gan_nas.cli.printing import remark, show, show_result, suggest, table
from gan_nas.spaces.registry import load_space

if TYPE_CHECKING:
    from gan_nas.trials.agreement import Summary
    from gan_nas.trials.table import Table

Reference = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        help="A table's name, as gan-nas table lists them, its file, or the run directory of one "
        "that is being made.",
    ),
]
NOTHING = "-"


def table_show(
    reference: Reference = "tied-digits",
    top_k: Annotated[
        int, typer.Option("--top-k", metavar="K", min=1, max=1000, help="Genomes to list.")
    ] = 10,
    as_json: options.Json = False,
) -> None:
    """Summarise a table: how complete it is, its best genomes, and how far its numbers agree.

    Rank correlations are Spearman's, of the first judge's distance: between seeds after so many
    real images, with the end of the same trials, between judges and between frameworks.

    Example: gan-nas table show tied-digits
    """
    from gan_nas.trials.agreement import summarised

    found = read(reference)
    summary = summarised(found, top_k)
    if as_json:
        show_result(summary)
        return
    _show(found, summary)
    suggest(check=("table", "check", reference, "-n", "3"), all=("table", "export", reference))


def read(reference: str) -> "Table":
    """Read a table by name, from its file, or as far as it is made."""
    from gan_nas.trials.table import read_table, table_names

    if reference not in table_names() and Path(reference).is_dir():
        from gan_nas.trials.making import packed

        return packed(Path(reference))
    return read_table(reference)


def _show(found: "Table", summary: "Summary") -> None:
    recipe = found.recipe
    failed = "".join(f", {number} {status}" for status, number in summary.failed.items())
    show(
        f"{found.name}, version {recipe.version}: {summary.trials:,} of {summary.planned:,} trials"
        f"{failed}, {summary.processor_hours:.2f} h of a core",
        f"{recipe.space} on {recipe.data} at {recipe.resolution} px, width {recipe.width}, "
        f"{recipe.framework}, {found.licence}",
        "",
    )
    heads = ["real images", "median distance", "between seeds", "with the end"]
    moments = table(*heads, numbers=heads)
    for moment in summary.moments:
        moments.add_row(
            f"{moment.images:,}",
            _said(moment.median),
            _said(moment.between_seeds),
            _said(moment.with_the_end),
        )
    numbers = ["genome", "distance", "+-", "seeds", "2nd judge", "parameters"]
    best = table(*numbers, "cells", numbers=numbers)
    for one in summary.best:
        best.add_row(
            str(one.genome),
            f"{one.mean:.3g}",
            _said(one.deviation),
            str(one.seeds),
            _said(one.second),
            f"{one.parameters:,}",
            "; ".join(one.words),
        )
    show(moments, "", best, "")
    explain_words([load_space(recipe.space).Generator.legend])
    remark(
        f"Rank correlation of judges {_said(summary.between_judges)}, of frameworks "
        f"{_said(summary.between_frameworks)}; seeds let a distance's logarithm deviate by "
        f"{_said(summary.seed_deviation)}.",
        style="dim",
    )


def _said(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"
