"""`gan-nas reconstruct`: how well an architecture reconstructs images, which DEGAS selects by."""

from functools import partial

from gan_nas.cli import options
from gan_nas.cli.inputs import (
    compute_on,
    data_for,
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
from gan_nas.cli.where import choose_run
from gan_nas.errors import InvalidInput
from gan_nas.spaces.published import load_genome


def reconstruct(
    reference: options.OptionalGenomeReference = None,
    data: options.ImpliedData = None,
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
    tensorboard: options.TensorBoard = False,
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
    from gan_nas.runs.numbering import Asked
    from gan_nas.search.degas.config import PRESETS, Config
    from gan_nas.search.degas.reconstruct import (
        ABSENT,
        reconstruction_plan,
        reconstruction_work,
        settings_of,
    )
    from gan_nas.search.degas.reconstruct import reconstruct as run_reconstruction

    if help_config:
        show_settings(Config, PRESETS, preset, as_json)
        return
    if reference is None:
        raise InvalidInput(
            "reconstruct needs a GENOME: a file, or a name that gan-nas genomes lists"
        )
    named = load_genome(reference)
    genome = resized(named, width)

    data = data_for(data, preset)
    on = compute_on(device, threads)
    config = settings(Config, PRESETS, preset, sets, precision, on, seed=seed)
    preparation = prepared(crop, resize, background, skip_odd=skip_odd)
    images, chosen_side = load_to_train(data, data_root, preparation, config.resolution)
    side = chosen_side or images.default_resolution
    config = config.model_copy(update={"resolution": side})
    what = named.title + (f"-w{width}" if width else "")
    asked = Asked(settings_of(genome, config, images, on), ABSENT, threads=threads)
    choice = choose_run(directory, f"reconstruct-{what}", data, config.seed, asked)
    forecast = reconstruction_work(genome, config, side, images.channels, on)
    planned = partial(reconstruction_plan, genome, config, images, device=on, forecast=forecast)
    settle_threads(threads, on, choice.known, forecast)
    if dry_run:
        show_plan(planned(), choice.planned, images, side, as_json)
        return
    if choice.is_new:
        remark_on_plan(planned(), on)
    with stopping() as stop, progress_on_stderr() as progress, choice.begun() as run:
        if not choice.has_ended:
            remark(f"Reconstructing {data} with {what} in {run} ({on}, {config.precision})")
        result = run_reconstruction(
            genome,
            config,
            images,
            run,
            device=on,
            stop=stop,
            progress=progress,
            again=again,
            tensorboard=tensorboard,
        )
    if as_json:
        show_result(result)
        return
    show(f"loss: {result.loss:.4f}", f"run:  {run}")
    spent = duration(result.seconds)
    remark(f"{result.iterations:,} iterations in {spent}; pictures in {run}/samples", style="dim")
