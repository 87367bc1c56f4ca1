"""`gan-nas table`: tables of trials, in which a strategy is tested in seconds."""

from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import (
    backbone_for,
    compute_on,
    jobs_on,
    load_data,
    prepared,
)
from gan_nas.cli.printing import remark
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.cli.threads import settle_threads
from gan_nas.trials.recipes import RECIPES, find_recipe

table_app = typer.Typer(help="Make, show, check and export tables of trained genomes.")


@table_app.command()
def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help=options.one_of(list(RECIPES)))],
    directory: Annotated[Path, typer.Option("--run", metavar="DIR", help="Run directory.")],
    data_root: options.DataRoot = None,
    sets: options.Set = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    jobs: options.Jobs = None,
) -> None:
    """Train all."""
    from gan_nas.data import cache_dir
    from gan_nas.trials.making import make as make_table

    recipe = find_recipe(name, tuple(sets or ()))
    on = compute_on(device, threads)
    at_once = jobs_on(jobs, on, device, threads)
    settle_threads(threads, on, [directory])
    images = load_data(recipe.data, data_root, prepared(None, None, None, skip_odd=False), None)
    with stopping() as stop, progress_on_stderr() as progress:
        judges = [
            backbone_for(judge, images, on, stop, progress, run=directory)
            for judge in recipe.judges
        ]
        made = make_table(
            recipe,
            images,
            directory,
            judges=judges,
            device=on,
            jobs=at_once,
            cache=cache_dir(),
            stop=stop,
            progress=progress,
        )
    remark(f"{made.ended} of {made.planned} trials")
