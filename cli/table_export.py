"""`gan-nas table export`: a table as CSV, or as a blackbox of Syne Tune."""

from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.printing import show, show_csv, show_json
from gan_nas.cli.table_show import Reference, read
from gan_nas.errors import InvalidInput

FORMS = ("csv", "syne-tune")


def table_export(
    reference: Reference = "tied-digits",
    form: Annotated[
        str, typer.Option("--to", metavar="FORM", help="csv, on stdout, or syne-tune, a folder.")
    ] = "csv",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="A new folder, for syne-tune."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Print a table as CSV, a line for each trial and moment, or write a blackbox of Syne Tune.

    With --json the lines are objects. A blackbox is a folder as Syne Tune's repository has them, of
    the table's first framework; pandas and fastparquet, which gan-nas does not bring, write its
    Parquet file.

    Example: gan-nas table export tied-digits > tied-digits.csv
    """
    from gan_nas.trials.exporting import csv_rows, write_syne_tune

    if form not in FORMS:
        raise InvalidInput(f"a table cannot be exported to {form!r}; allowed are csv and syne-tune")
    if (form == "syne-tune") != (output is not None):
        raise InvalidInput(
            "--to syne-tune writes a folder: name it by -o; csv is printed, without -o"
        )
    found = read(reference)
    if output is not None:
        write_syne_tune(found, output)
        if as_json:
            show_json({"folder": str(output)})
        else:
            show(str(output))
    elif as_json:
        show_json({"rows": list(csv_rows(found))})
    else:
        show_csv(csv_rows(found))
