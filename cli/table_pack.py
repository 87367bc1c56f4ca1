"""`gan-nas table pack`: a table in the making as one file, with its data card."""

from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.printing import remark, show, show_json, suggest


def table_pack(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run directory of gan-nas table make.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The table's file; else in RUN."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write all trials that have ended as one file of JSON, and beside it a data card in Markdown.

    The file has a hash of itself, which reading it checks. Others may be training meanwhile: file
    and card say how complete the table is.

    Example: gan-nas table pack runs/00001-table-tied-digits
    """
    from gan_nas.files import write_text
    from gan_nas.trials.card import card
    from gan_nas.trials.making import packed
    from gan_nas.trials.table import read_table

    made = packed(run)
    file = output or run / f"{made.name}.json"
    made.save(file)
    write_text(file.with_suffix(".md"), card(read_table(str(file))))  # as whoever reads it does
    if as_json:
        show_json({"file": str(file), "card": str(file.with_suffix(".md")), "name": made.name})
        return
    show(str(file), str(file.with_suffix(".md")))
    remark(f"{len(made.rows):,} of {made.planned:,} trials")
    suggest(look=("table", "show", file))
