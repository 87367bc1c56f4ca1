"""`gan-nas bench load`: how much slower runs get on a machine that does something else."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from gan_nas.cli import options
from gan_nas.cli.printing import duration, remark, show, show_json, table
from gan_nas.search import method_names
from gan_nas.spaces.published import EXAMPLE

# A policy that says nothing to GNU's OpenMP, and to others what they do anyway.
DEFAULT_SPIN = {"KMP_BLOCKTIME": "200"}


def bench_load(
    method: Annotated[
        str, typer.Option(metavar="METHOD", help="The search that is timed.")
    ] = method_names()[0],
    preset: Annotated[
        str,
        typer.Option(metavar="NAME", help="One of those that gan-nas search --help-config names."),
    ] = "demo",
    busy: Annotated[
        int, typer.Option(metavar="N", min=1, max=1024, help="Processes that keep cores busy.")
    ] = 4,
    genome: Annotated[
        str, typer.Option(metavar="GENOME", help="What is trained, at width 16.")
    ] = EXAMPLE,
    search_sets: Annotated[
        list[str] | None,
        typer.Option(
            "--search-set", metavar="KEY=VALUE", help="A setting of the search; repeatable."
        ),
    ] = None,
    training_sets: Annotated[
        list[str] | None,
        typer.Option(
            "--training-set", metavar="KEY=VALUE", help="A setting of the training; repeatable."
        ),
    ] = None,
    threads: options.Threads = None,
    old: Annotated[
        bool,
        typer.Option(
            "--all-cores", help="Time quiet runs on all cores with OpenMP's own spinning, too."
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Time a search and a training on digits, alone and beside busy processes.

    Every run is a process of its own, from its start to its end, in a directory that is thrown
    away; each chooses its threads as it always does. Runs are those of the presets, and short ones
    of them with --search-set and --training-set: a demo search takes a minute alone. Measure on a
    machine that does nothing else.

    Example: gan-nas bench load --search-set discriminator_steps=40 --training-set steps=300
    """
    from gan_nas.bench.load import time_beside
    from gan_nas.machine.cores import available_cores

    works = {
        f"search by {method}": ["search", "--method", method, "--preset", preset]
        + [f"--set={text}" for text in search_sets or []],
        f"train {genome}": ["retrain", genome, "--width", "16", "--preset", preset]
        + [f"--set={text}" for text in training_sets or []],
    }
    asked = [] if threads is None else [f"--threads={threads}"]
    all_cores = [f"--threads={available_cores()}"]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        remark("Making the classifier, which is not timed", style="dim")
        once = ["retrain", genome, "--width", "4", "--set=steps=0"]
        time_beside(once, Path(folder) / "once", 0)
        for what, arguments in works.items():
            for number, others in enumerate((0, busy)):
                remark(f"Timing {what} beside {others} busy processes", style="dim")
                run = Path(folder) / f"{arguments[0]}-{number}"
                timed = time_beside([*arguments, *asked], run, others)
                rows.append({"what": what, **timed._asdict()})
                rows[-1]["ratio"] = timed.seconds / rows[-1 - number]["seconds"]
            if old:
                run = Path(folder) / f"{arguments[0]}-old"
                timed = time_beside([*arguments, *all_cores], run, 0, DEFAULT_SPIN)
                row = {"what": f"{what}, all cores", **timed._asdict()}
                rows.append(row | {"ratio": timed.seconds / rows[-2]["seconds"]})
    measured = {"cores": available_cores(), "method": method, "preset": preset, "rows": rows}
    if as_json:
        show_json(measured)
        return
    columns = ("busy", "CPU threads", "time", "ratio")
    lines = table("", *columns, numbers=columns)
    for row in rows:
        cells = str(row["busy"]), str(row["threads"]), duration(row["seconds"])
        lines.add_row(row["what"], *cells, f"{row['ratio']:.2f}")
    show(lines, "", f"on: {measured['cores']} cores; ratios are to the same run alone")
