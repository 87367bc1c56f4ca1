"""`gan-nas report`: what runs have left, as one file to look at."""

from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.printing import remark, show, show_json
from gan_nas.cli.shell import command_line
from gan_nas.errors import InvalidInput


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run directories: searches, trainings, studies."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="HTML", help="The file to write.")
    ] = Path("report.html"),
    as_json: options.Json = False,
) -> None:
    """Write a report of one run, or of several compared, as one HTML file without a network.

    It shows summary and lineage, the genome's drawing, curves (of several runs over each other),
    samples over time, tables that can be sorted, the Pareto front, passports, and the command to
    repeat each run. Runs under way are told of as far as they are.

    Example: gan-nas report runs/first runs/second -o report.html
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise InvalidInput(f"{output} does not end in .html, the only kind of report written here")

    from gan_nas.reports.report import report as write_report

    written = write_report(runs, output, say=command_line)
    if as_json:
        described = [
            {"run": str(one.directory), "kind": one.kind, "state": one.state}
            for one in written.records
        ]
        show_json({"file": str(output), "bytes": written.num_bytes, "runs": described})
        return
    for record in written.records:
        for trouble in record.troubles:
            remark(f"{record.directory}: {trouble}")
    show(str(output))
