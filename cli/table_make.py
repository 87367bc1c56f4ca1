"""`gan-nas table make`: train all genomes of a space, several times, and keep what came of it."""

from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import backbone_for, compute_on, jobs_on, load_data, prepared
from gan_nas.cli.plans import show_settings
from gan_nas.cli.printing import remark, show_json, suggest
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.cli.threads import settle_threads
from gan_nas.trials.recipes import RECIPES, Recipe, find_recipe


def table_make(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"Which: {options.one_of(list(RECIPES))}.")
    ],
    directory: options.RunDirectory = None,
    data_root: options.DataRoot = None,
    sets: options.Set = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    jobs: options.Jobs = None,
    executor: options.ExecutorName = "local",
    help_config: options.HelpConfig = False,
    as_json: options.Json = False,
) -> None:
    """Train every genome of a table's recipe and keep each outcome; the same command goes on.

    Trials come in an order in which a part of the table is useful, too: seed 0 of all genomes
    first. A trial that fails is an outcome. Of what training writes only scores are kept: some
    kilobytes a trial. What is there can be looked at and packed meanwhile.

    A pilot is a small one: --set only=24 --set seeds=2 --set width=8, then gan-nas table show tells
    the rank correlation between seeds, and seconds.

    Example: gan-nas table make tied-digits --jobs 2
    """
    if help_config:
        show_settings(Recipe, RECIPES, name, as_json)
        return

    from gan_nas.data import cache_dir
    from gan_nas.trials.executor import check_executor
    from gan_nas.trials.making import make

    check_executor(executor)

    recipe = find_recipe(name, sets or ())
    run = directory or Path("runs") / f"table-{name}"
    on = compute_on(device, threads)
    at_once = jobs_on(jobs, on, device, threads)
    settle_threads(threads, on, [run])
    images = load_data(recipe.data, data_root, prepared(None, None, None, skip_odd=False), None)
    remark(f"Making {name} in {run}: {len(recipe.planned()):,} trials ({on})")
    with stopping() as stop, progress_on_stderr() as progress:
        judges = [
            backbone_for(judge, images, on, stop, progress, run=run) for judge in recipe.judges
        ]
        made = make(
            recipe,
            images,
            run,
            judges=judges,
            device=on,
            jobs=at_once,
            executor=executor,
            cache=cache_dir(),
            stop=stop,
            progress=progress,
        )
    if as_json:
        show_json({"run": str(run), **made._asdict()})
    remark(f"{made.ended:,} of {made.planned:,} trials have ended")
    suggest(look=("table", "show", run), pack=("table", "pack", run))
