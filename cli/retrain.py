"""`gan-nas retrain`: train a GAN from scratch."""

from typing import Annotated, Any

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import (
    backbone_for,
    compute_on,
    default_directory,
    default_resolution,
    resized,
    settings,
)
from gan_nas.cli.plans import remark_on_long_run, show_plan, show_settings
from gan_nas.cli.printing import by_importance, duration, remark, show, show_json, suggest, table
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.errors import InvalidInput
from gan_nas.published import load_genome


def retrain(
    reference: Annotated[
        str | None,
        typer.Argument(metavar="GENOME", help="A genome file or a published name."),
    ] = None,
    data: options.Data = "digits",
    data_root: options.DataRoot = None,
    resolution: Annotated[
        int | None,
        typer.Option(metavar="N", min=8, max=512, help="Side of the images; else the data's own."),
    ] = None,
    width: options.Width = None,
    directory: options.RunDirectory = None,
    preset: options.Preset = "demo",
    seed: options.Seed = None,
    sets: options.Set = None,
    backbone: options.BackboneName = "classifier",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    dry_run: options.DryRun = False,
    help_config: options.HelpConfig = False,
    as_json: options.Json = False,
) -> None:
    """Train a found or published genome from scratch and score it; the same command goes on.

    Presets: demo (digits, minutes on a CPU), small (CIFAR-10 at width 32), paper (that of the
    genome's space) and, for adversarialnas, repo and repo-stl10, the authors' scripts.

    Example: gan-nas retrain autogan-cifar10-top1 --width 16
    """
    if help_config:
        from gan_nas.training import TrainingConfig, presets_for

        space = load_genome(reference).generator.space if reference else "autogan"
        show_settings(TrainingConfig, presets_for(space), preset, as_json)
        return
    if reference is None:
        raise InvalidInput("retrain needs a GENOME: a file, or a name that gan-nas genomes lists")
    named = load_genome(reference)
    genome = resized(named, width)

    from gan_nas.data import cache_dir, load_images
    from gan_nas.training import TrainingConfig, plan, presets_for, train

    on = compute_on(device, threads)
    presets = presets_for(genome.generator.space)
    config = settings(TrainingConfig, presets, preset, sets, precision, on, seed=seed)
    images = load_images(data, data_root)
    side = resolution or default_resolution(images)
    what = named.title + (f"-w{width}" if width else "")
    run = directory or default_directory(f"retrain-{what}", data, config.seed)
    if dry_run:
        show_plan(plan(genome, images, config, resolution=side, device=on), run, as_json)
        return
    remark(f"Training {what} on {data} at {side} px in {run} ({on}, {config.precision})")
    if not run.exists():
        remark_on_long_run(plan(genome, images, config, resolution=side, device=on))
    with stopping() as stop, progress_on_stderr() as progress:
        result = train(
            genome,
            images,
            config,
            run,
            resolution=side,
            device=on,
            backbone=backbone_for(backbone, images, on, stop, progress),
            cache=cache_dir(),
            stop=stop,
            progress=progress,
        )
    if as_json:
        show_json(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    """Print the scores before, at best and at the end, beside those of real images."""
    names = by_importance(result["real"])
    columns = ["steps", *(name.replace("_", " ") for name in names)]
    rows = table("", *columns, numbers=columns)
    for label, moment in (("untrained", "first"), ("best", "best"), ("last", "last")):
        row = result[moment]
        rows.add_row(label, f"{row['step']:,}", *(f"{row[name]:.4g}" for name in names))
    rows.add_row("real, held out", "", *(f"{result['real'][name]:.4g}" for name in names))
    show(rows, "")
    speed = f"{result['images_per_second']:,.0f} images/s"
    remark(f"{result['images']:,} images in {duration(result['seconds'])}, {speed}", style="dim")
    best = result["files"]["best"]
    show(*(f"{name}: {path}" for name, path in result["files"].items()))
    suggest(look=f"gan-nas sample {best}", score=f"gan-nas score {best} -n 10000")
