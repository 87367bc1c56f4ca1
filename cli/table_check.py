"""`gan-nas table check`: train some of a table's trials anew."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import backbone_for, compute_on, load_data, prepared
from gan_nas.cli.printing import remark, show, show_json, table
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.cli.table_show import NOTHING, Reference, read

if TYPE_CHECKING:
    from gan_nas.trials.checking import Checked

DIFFERENT = 1  # the exit code, as compare's


def table_check(
    reference: Reference = "tied-digits",
    count: Annotated[
        int, typer.Option("-n", metavar="N", min=1, max=1000, help="Trials, drawn at random.")
    ] = 3,
    directory: options.RunDirectory = None,
    data_root: options.DataRoot = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Train random trials of a table anew and compare them with what is recorded.

    On the same versions and kind of CPU all scores are equal to the last digit. Elsewhere they are
    those of another seed: a trial holds where it is as near as three standard deviations of two
    seeds' difference. Exit code 1 where one does not.

    Example: gan-nas table check tied-digits -n 3
    """
    from gan_nas.data import cache_dir
    from gan_nas.trials.checking import check

    found = read(reference)
    on = compute_on(device, int(found.made["threads"]))
    run = directory or Path("runs") / f"check-{found.name}-{seed or 0}"
    recipe = found.recipe
    images = load_data(recipe.data, data_root, prepared(None, None, None, skip_odd=False), None)
    with stopping() as stop, progress_on_stderr() as progress:
        judges = [
            backbone_for(judge, images, on, stop, progress, run=run) for judge in recipe.judges
        ]
        checked = check(
            found,
            images,
            run,
            count=count,
            seed=seed or 0,
            judges=judges,
            device=on,
            cache=cache_dir(),
            stop=stop,
            progress=progress,
        )
    if as_json:
        show_json({"trials": [_flat(one) for one in checked]})
    else:
        _show(checked)
    if not all(one.holds for one in checked):
        raise typer.Exit(DIFFERENT)


def _flat(one: "Checked") -> dict[str, object]:
    return {
        "genome": one.row.genome,
        "framework": one.row.framework,
        "seed": one.row.seed,
        "recorded": one.recorded,
        "anew": one.anew.distance,
        "status": one.anew.status,
        "equal": one.is_equal,
        "deviations": one.deviations,
        "holds": one.holds,
    }


def _show(checked: "list[Checked]") -> None:
    numbers = ["genome", "seed", "recorded", "anew", "deviations"]
    rows = table("framework", *numbers, "", numbers=numbers)
    for one in checked:
        distances = (one.recorded, one.anew.distance)
        rows.add_row(
            one.row.framework,
            str(one.row.genome),
            str(one.row.seed),
            *(NOTHING if value is None else f"{value:.4f}" for value in distances),
            NOTHING if one.deviations is None else f"{one.deviations:.2f}",
            "equal" if one.is_equal else "holds" if one.holds else "differs",
        )
    show(rows)
    held = sum(one.holds for one in checked)
    remark(f"{held} of {len(checked)} trials hold; a deviation is that of two seeds' difference")
