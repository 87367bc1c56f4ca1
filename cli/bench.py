"""`gan-nas bench`: how fast this machine trains, and how long a preset would take."""

from typing import Annotated, Any

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import compute_on, framework_for, resized, settings
from gan_nas.cli.printing import duration, mebibytes, remark, show, show_json, table
from gan_nas.cli.threads import settle_threads
from gan_nas.search import method_names
from gan_nas.spaces.published import load_genome


def bench(
    reference: Annotated[
        str | None,
        typer.Argument(
            metavar="GENOME", help=f"{options.GENOME_IN_WORDS}, to train; else a published one."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help=f"The search, {options.one_of(method_names())}; else that of the genome's space.",
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(metavar="NAME", help="One of those that gan-nas search --help-config names."),
    ] = "demo",
    resolution: Annotated[
        int | None,
        typer.Option(metavar="N", min=8, max=512, help="Side of the images; else the preset's."),
    ] = None,
    channels: options.Channels = 3,
    width: options.Width = None,
    framework: options.FrameworkName = None,
    repeats: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Steps timed; the median is shown.")
    ] = 5,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Time the steps of a search and of a training, and predict a preset's hours here.

    The genome is the one that is trained, at the preset's widths. Hours are of training steps
    alone, without scoring, which gan-nas bench score times; gan-nas bench load times whole runs
    on a machine that does something else.
    """
    from gan_nas.bench.steps import report
    from gan_nas.search import load_method
    from gan_nas.training.config import TrainingConfig, presets_for

    genome = load_genome(reference or load_method(method or method_names()[0]).example)
    space = genome.generator.space
    method = method or space
    chosen = load_method(method)
    on = compute_on(device, threads)
    search = settings(chosen.Config, chosen.presets, preset, None, precision, on)
    presets = presets_for(space, framework_for(framework, genome, space))
    # A search has presets of its own, such as paper-stl10.
    of_training = preset if preset in presets else "paper"
    training = settings(TrainingConfig, presets, of_training, None, precision, on)
    if width is None:
        genome = genome.resized(search.derived_width, search.derived_discriminator_width)
    else:
        genome = resized(genome, width)
    side = resolution or search.resolution or 32
    settle_threads(threads, on, [], chosen.work(search, side, channels, on))
    remark(
        f"Timing {method}'s preset {preset} at {side} px on {on}, {training.precision}", style="dim"
    )
    measured = report(
        method,
        search,
        genome,
        training,
        resolution=side,
        image_channels=channels,
        device=on,
        repeats=repeats,
    )
    if as_json:
        show_json(measured)
    else:
        _show(measured)


def _show(measured: dict[str, Any]) -> None:
    of_alpha = any("alpha_ms" in row for row in measured["rows"])
    steps = ("alpha or D", "weights or G") if of_alpha else ("D step", "G step")
    columns = (*steps, "together", "images/s", "steps", "time")
    rows = table("", *columns, numbers=columns)
    for row in measured["rows"]:
        parts = ("alpha", "weights") if "alpha_ms" in row else ("discriminator", "generator")
        rows.add_row(
            row["what"],
            *(f"{row[f'{part}_ms']:.1f} ms" for part in (*parts, "amortised")),
            f"{row['images_per_second']:,.0f}",
            f"{row['steps']:,}",
            duration(3600 * row["hours"]),
        )
    show(rows, "")
    if of_alpha:
        show("search:   a step on alpha, and one on weights and latents")
    memory = measured["peak_memory_bytes"]
    show(
        "together: a D step and its share of a G step",
        f"sampling: {measured['samples_per_second']:,.0f} images/s",
        f"memory:   {mebibytes(memory) + ' at most' if memory else 'this system does not tell'}",
        f"on:       {measured['device']}, {measured['threads']} CPU threads",
    )
