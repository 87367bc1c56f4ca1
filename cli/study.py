"""`gan-nas study`: the papers' comparisons, each a command."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import (
    backbone_for,
    compute_on,
    data_for,
    jobs_on,
    load_to_train,
    prepared,
    settings,
)
from gan_nas.cli.plans import show_settings
from gan_nas.cli.printing import console, lines, remark, show, show_result, table
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.cli.threads import settle_threads
from gan_nas.cli.where import RUNS, choose_run
from gan_nas.errors import InvalidInput
from gan_nas.studies import STUDIES, load_study

if TYPE_CHECKING:
    from gan_nas.studies.study import StudyResult

WIDE = 1000  # characters: no table has as many
NAME = 24  # characters that a row's name has at least; numbers have all they need


def study(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help=f"What is studied: {options.one_of(STUDIES)}.",
            autocompletion=options.among(lambda: STUDIES),
        ),
    ],
    data: options.ImpliedData = None,
    data_root: options.DataRoot = None,
    crop: options.Crop = None,
    resize: options.Resize = None,
    background: options.Background = None,
    skip_odd: options.SkipOdd = False,
    directory: options.RunDirectory = None,
    preset: options.Preset = "demo",
    seed: options.Seed = None,
    sets: options.Set = None,
    backbone: options.BackboneName = "classifier",
    device: options.Device = "auto",
    threads: options.Threads = None,
    jobs: options.Jobs = None,
    executor: options.ExecutorName = "local",
    help_config: options.HelpConfig = False,
    as_json: options.Json = False,
) -> None:
    """Answer a question by experiments; the same command goes on.

    methods compares all ways to search at equal time with genomes that are just drawn, several
    seeds each: who beats random search in its space, by how much, with what confidence. strategies
    searches a table of trials that are recorded, hundreds of times: regret against budget, and the
    probability to beat random search; noise tells how much of a score is the seed, and how many
    seeds a claim needs; proxy what tells early which genomes end well. reward, reset, levels and
    discriminator compare a part of AutoGAN's or AdversarialNAS' search with what stands in for it;
    transfer what was found on other data with what was found on these; leaderboard trains the
    published genomes alike, scaling some at several widths. A study's directory then holds
    study.json, study.csv and study.png, and what they were made of.

    Example: gan-nas study strategies
    """
    chosen = load_study(name)
    if help_config:
        show_settings(chosen.Config, chosen.presets, preset, as_json)
        return

    from gan_nas.data import cache_dir
    from gan_nas.machine.cores import available_cores
    from gan_nas.metrics.loading import identities_of
    from gan_nas.runs.numbering import Asked
    from gan_nas.studies.study import StudyTask, run_study, settings_of
    from gan_nas.trials.executor import check_executor

    check_executor(executor)
    if executor != "local" and not chosen.needs_images:
        raise InvalidInput(
            f"--executor {executor} is for studies that train, and {name} looks at tables of "
            "trials: --jobs N makes it faster"
        )

    data = data_for(data, preset)
    on = compute_on(device, threads)
    config = settings(chosen.Config, chosen.presets, preset, sets, "auto", on, seed=seed)
    takes_images = chosen.takes_images(config)
    what = data if takes_images else "tables"
    task = StudyTask(
        config=config,
        directory=RUNS,
        device=on,
        cache=cache_dir(),
        data_root=data_root,
        executor=executor,
    )
    if takes_images:
        task = replace(task, jobs=jobs_on(jobs, on, device, threads))
        preparation = prepared(crop, resize, background, skip_odd=skip_odd)
        side = getattr(config, "resolution", None)
        images, _ = load_to_train(data, data_root, preparation, side)
        task = replace(task, images=images)
    else:
        task = replace(task, jobs=jobs or available_cores())
    judges = identities_of(backbone) if chosen.needs_images else ()
    asked = Asked(settings_of(chosen, task), judges=judges, threads=threads)
    choice = choose_run(directory, f"study-{name}", what, config.seed, asked)
    settle_threads(threads, on, choice.known, jobs=task.jobs)
    with stopping() as stop, progress_on_stderr() as progress:
        if task.images is not None:
            scored_by = backbone_for(backbone, task.images, on, stop, progress, run=choice.there)
            task = replace(task, backbone=scored_by)
        with choice.begun() as run:
            if not choice.has_ended:
                remark(f"Study {name} on {what} in {run} ({on})")
            task = replace(task, directory=run, stop=stop, progress=progress)
            result = run_study(chosen, task)
    if as_json:
        show_result(result)
        return
    _show(result)


def _show(result: "StudyResult") -> None:
    """Print the question, the table and what follows from it."""
    remark(result.question, style="bold")
    columns = [  # counts that are all zero, such as those of failures, tell nothing
        column
        for column in result.columns
        if column.format != "d" or any(row.get(column.name) for row in result.rows)
    ]
    words = [column.words for column in columns]
    numbers = [
        column.words
        for column in columns
        if any(isinstance(row.get(column.name), int | float) for row in result.rows)
    ]
    rows = table(*words, numbers=numbers)
    for row in result.rows:
        cells = []
        for column in columns:
            value = row.get(column.name)
            is_number = isinstance(value, int | float)
            cells.append(f"{value:{column.format}}" if is_number else str(value or ""))
        # Settings behind a search's name get lines of their own, so that numbers have room.
        rows.add_row(lines(cells[0].replace("@", "\n@").split("\n")), *cells[1:])
    for place, (name, drawn) in enumerate(zip(words, rows.columns, strict=True)):
        texts = [text for cell in drawn.cells for text in str(cell).split("\n")]
        longest = max(map(len, [*name.split(), *texts]))
        drawn.min_width = longest if place else min(longest, NAME)
    rows.columns[0].overflow = "fold"
    out = console()
    if out.measure(rows, options=out.options.update(width=WIDE)).maximum > out.width:
        rows.padding = 0
        for name, drawn in zip(words, rows.columns, strict=True):
            drawn.header = lines(name.split())
    show(rows, "")
    show(*result.findings, "")
    remark("What it does not show:", style="dim")
    for limit in result.limits:
        remark(f"- {limit}", style="dim")
    show(*result.files.values())
