"""`gan-nas reconstruct`: how well an architecture reconstructs images, which DEGAS selects by."""

from functools import partial

from gan_nas.cli import options
from gan_nas.cli.inputs import (
    compute_on,
    default_directory,
    load_to_train,
    prepared,
    resized,
    settings,
)
from gan_nas.cli.plans import remark_on_plan, show_plan, show_settings
from gan_nas.cli.printing import duration, remark, show, show_result
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.cli.threads import settle_threads
from gan_nas.errors import InvalidInput
from gan_nas.spaces.published import load_genome


def reconstruct(
    reference: options.OptionalGenomeReference = None,
    data: options.Data = "digits",
    data_root: options.DataRoot = None,
    crop: options.Crop = None,
    resize: options.Resize = None,
    background: options.Background = None,
    skip_odd: options.SkipOdd = False,
    width: options.Width = None,
    directory: options.RunDirectory = None,
    preset: options.Preset = "demo",
    seed: options.Seed = None,
    sets: options.Set = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    again: options.Again = False,
    dry_run: options.DryRun = False,
    help_config: options.HelpConfig = False,
    as_json: options.Json = False,
) -> None:
    """Train a genome's generator to reconstruct images from latents of their own (GLO).

    That is what DEGAS' search does with all architectures at once: the loss a genome reaches alone
    can be laid beside the distance it reaches as a GAN. Settings and presets are those of
    gan-nas search --method degas; the same command goes on.

    Example: gan-nas reconstruct ctgan-cifar10 --width 16
    """
    from gan_nas.search.degas.config import PRESETS, Config
    from gan_nas.search.degas.reconstruct import reconstruct as run_reconstruction
    from gan_nas.search.degas.reconstruct import reconstruction_plan, reconstruction_work

    if help_config:
        show_settings(Config, PRESETS, preset, as_json)
        return
    if reference is None:
        raise InvalidInput(
            "reconstruct needs a GENOME: a file, or a name that gan-nas genomes lists"
        )
    named = load_genome(reference)
    genome = resized(named, width)

    on = compute_on(device, threads)
    config = settings(Config, PRESETS, preset, sets, precision, on, seed=seed)
    preparation = prepared(crop, resize, background, skip_odd=skip_odd)
    images, chosen_side = load_to_train(data, data_root, preparation, config.resolution)
    side = chosen_side or images.default_resolution
    config = config.model_copy(update={"resolution": side})
    what = named.title + (f"-w{width}" if width else "")
    run = directory or default_directory(f"reconstruct-{what}", data, config.seed)
    forecast = reconstruction_work(genome, config, side, images.channels, on)
    planned = partial(reconstruction_plan, genome, config, images, device=on, forecast=forecast)
    settle_threads(threads, on, [run], forecast)
    if dry_run:
        show_plan(planned(), run, images, side, as_json)
        return
    remark(f"Reconstructing {data} with {what} in {run} ({on}, {config.precision})")
    if not run.exists():
        remark_on_plan(planned(), on)
    with stopping() as stop, progress_on_stderr() as progress:
        result = run_reconstruction(
            genome, config, images, run, device=on, stop=stop, progress=progress, again=again
        )
    if as_json:
        show_result(result)
        return
    show(f"loss: {result.loss:.4f}", f"run:  {run}")
    spent = duration(result.seconds)
    remark(f"{result.iterations:,} iterations in {spent}; pictures in {run}/samples", style="dim")
