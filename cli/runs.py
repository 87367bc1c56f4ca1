"""`gan-nas runs`: which runs there are, how far they are and how good."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.table import Table

from gan_nas.cli import options
from gan_nas.cli.printing import (
    console,
    duration,
    lines,
    remark,
    short_name,
    show,
    show_csv,
    show_json,
    table,
)
from gan_nas.cli.signals import stopping
from gan_nas.cli.where import RUNS
from gan_nas.errors import InvalidInput

if TYPE_CHECKING:
    from gan_nas.runs.listing import Listed

EVERY = 2.0  # seconds between two looks of --watch
STYLES = {"running": "cyan", "finished": "green", "failed": "red", "damaged": "red"}


def runs(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="A folder of runs, or a run and those in it [runs]."),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Look again every two seconds, the newest first, until Ctrl-C."
        ),
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print comma-separated values, all columns.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """List runs: method, data, step, state, best score, time left.

    A run is running while a process holds it, finished when it has a result, failed when it
    diverged or collapsed, and stopped otherwise: the command that made it, which its config.json
    tells, goes on with it. A command that names no run finds its own by settings, data, threads and
    backbone, and begins the next number where there is none. The time left is at the pace of all
    steps so far, scoring included.

    Example: gan-nas runs --watch
    """
    from gan_nas.runs.listing import Listed, list_runs

    where = folder or RUNS
    if folder is not None and not folder.is_dir():
        raise InvalidInput(f"{folder} is not there or is no folder: name one of runs, or a run")
    if watch:
        _watch(where, as_json=as_json or as_csv)
        return
    found = list_runs(where)
    rows = [one.model_dump(mode="json") for one in found]
    if as_json:
        show_json({"runs": rows})
    elif as_csv:
        show_csv(rows, Listed.model_fields)
    elif found:
        show(_table(found, where))
        for one in found:
            if one.why:
                remark(f"{one.run}: {one.why}")
    else:
        remark(f"There are no runs in {where}.")


def _watch(where: Path, *, as_json: bool) -> None:
    from gan_nas.runs.listing import list_runs

    out = console()
    if as_json or not out.is_terminal:
        raise InvalidInput("--watch redraws a terminal: leave it out where something else reads")
    with stopping(says=False) as stop, Live(console=out, auto_refresh=False) as live:
        while not stop():
            live.update(_table(reversed(list_runs(where)), where), refresh=True)
            waited = time.monotonic() + EVERY
            while time.monotonic() < waited and not stop():
                time.sleep(0.05)


def _table(found: "Iterable[Listed]", where: Path) -> Table:
    numbers = ("step", "best", "left")
    rows = table("run", "method, data", "step", "state", "best", "left", numbers=numbers)
    rows.columns[0].overflow = "fold"
    for one in found:
        path = Path(one.run)
        name = (
            str(path.relative_to(where))
            if path != where and path.is_relative_to(where)
            else one.run
        )
        step = "" if one.step is None else f"{one.step:,}"
        of = f"/{one.steps:,}" if one.steps and one.steps != one.step else ""
        best = "" if one.best is None else f"{one.best:.4g}"
        left = "" if one.seconds_left is None else duration(one.seconds_left)
        rows.add_row(
            name,
            lines(filter(None, (one.method, Path(one.data).name))),
            step + of,
            one.state,
            lines(filter(None, (best, one.score and short_name(one.score)))),
            left,
            style=STYLES.get(one.state) if one.state != "finished" else None,
        )
    return rows
