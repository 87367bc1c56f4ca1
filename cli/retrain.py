"""`gan-nas retrain`: train a GAN, from scratch or from given weights."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import (
    backbone_for,
    compute_on,
    data_for,
    framework_for,
    load_to_train,
    options_again,
    prepared,
    resized,
    settings,
)
from gan_nas.cli.plans import remark_on_discriminator, remark_on_plan, show_plan, show_settings
from gan_nas.cli.printing import duration, remark, show, show_result, suggest, table
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.cli.threads import settle_threads
from gan_nas.cli.where import begun_by_first, choose_run
from gan_nas.errors import InvalidInput
from gan_nas.machine.ranks import launched, launched_rank
from gan_nas.scoring.protocols import by_importance
from gan_nas.spaces.frameworks import framework_of, suited
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import load_genome
from gan_nas.spaces.registry import space_names

if TYPE_CHECKING:
    from gan_nas.runs.results import TrainingResult
    from gan_nas.training.finetuning import Given
    from gan_nas.training.units import Start


def retrain(
    reference: options.OptionalGenomeReference = None,
    data: options.ImpliedData = None,
    data_root: options.DataRoot = None,
    crop: options.Crop = None,
    resize: options.Resize = None,
    background: options.Background = None,
    skip_odd: options.SkipOdd = False,
    resolution: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=8,
            max=512,
            help="Side of the images; else that of --from, or the data's own.",
        ),
    ] = None,
    width: options.Width = None,
    framework: options.FrameworkName = None,
    augment: options.Augment = None,
    inherit: Annotated[
        Path | None,
        typer.Option(
            "--inherit",
            metavar="RUN",
            help="Start from the weights of this finished search, which the genome must fit.",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Start from the weights in this generator.safetensors, or from the last ones of "
            "this training's directory and their discriminator; without a GENOME train theirs.",
        ),
    ] = None,
    directory: options.RunDirectory = None,
    preset: options.Preset = "demo",
    seed: options.Seed = None,
    sets: options.Set = None,
    backbone: options.BackboneName = "classifier",
    features_precision: options.FeaturesPrecision = "float32",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    again: options.Again = False,
    tensorboard: options.TensorBoard = False,
    dry_run: options.DryRun = False,
    help_config: options.HelpConfig = False,
    as_json: options.Json = False,
) -> None:
    """Train a found or published genome and score it; the same command goes on.

    Presets: demo (digits, minutes on a CPU), small (CIFAR-10 at width 32), paper (that of the
    framework, or of the genome's space), published (what the authors' code does, for CIFAR-10) and,
    for autogan and adversarialnas, published-stl10; repo and repo-stl10 are older names of these. A
    framework that cannot use the genome's discriminator brings its own.

    Papers train from scratch; --inherit takes the supernet's weights over, and the
    discriminator's where the search trained just that one. --from takes over a trained generator's,
    on other data if wanted: all tensors must have the same shapes.

    Several GPUs, or machines, train one genome together under torchrun: docs/many-machines.md.

    Example: gan-nas retrain autogan-cifar10-top1 --width 16
    """
    if source is not None and inherit is not None:
        raise InvalidInput("--from and --inherit both say where the weights come from: name one")
    given = None
    if source is not None:
        from gan_nas.training.finetuning import read_given

        given = read_given(source, directory)
    if help_config:
        from gan_nas.training.config import TrainingConfig, presets_for

        shown = _named(reference, given) if reference or given else None
        space = shown.generator.space if shown else space_names()[0]
        presets = presets_for(space, framework_for(framework, shown, space))
        show_settings(TrainingConfig, presets, preset, as_json)
        return
    named = _named(reference, given)
    genome = resized(named, width)
    chosen = framework_for(framework, genome, genome.generator.space)

    from gan_nas.data import cache_dir
    from gan_nas.metrics.loading import identities_of
    from gan_nas.runs.numbering import Asked
    from gan_nas.training.config import TrainingConfig, presets_for
    from gan_nas.training.loop import absent_of, settings_of, train
    from gan_nas.training.plan import plan, work

    data = data_for(data, preset)
    on = compute_on(device, threads)
    presets = presets_for(genome.generator.space, chosen)
    config = settings(
        TrainingConfig, presets, preset, sets, precision, on, seed=seed, augment=augment
    )
    preparation = prepared(crop, resize, background, skip_odd=skip_odd)
    resolution = resolution or (given and given.resolution)
    images, chosen_side = load_to_train(data, data_root, preparation, resolution)
    side = chosen_side or images.default_resolution
    what = named.title + (f"-w{width}" if width else "")
    if config.framework != framework_of(genome.discriminator):
        what += f"-{config.framework}"
    remark_on_discriminator(genome, config.framework)
    start = None
    if inherit is not None:
        from gan_nas.search.inheritance import read_supernets, start_from

        fitting = suited(genome, config.framework)
        start = start_from(read_supernets(inherit), fitting, side, images.channels)
        what += "-inherited"
        taken = "generator" if start.discriminator is None else "generator and discriminator"
        remark(f"Starts from the {taken} of {inherit}", style="dim")
    if given is not None:
        from gan_nas.training.finetuning import start_with

        start = start_with(given, suited(genome, config.framework), side, images.channels)
        what += "-finetuned"
        remark(_said(given, start), style="dim")
    trained = suited(genome, config.framework)
    asked = Asked(
        settings_of(trained, images, config, side, on, start),
        absent_of(trained),
        identities_of(backbone),
        threads,
    )
    choice = choose_run(directory, f"retrain-{what}", data, config.seed, asked)
    work_of_run = work(genome, config, side, images.channels, on)
    planned = partial(
        plan, genome, images, config, resolution=side, device=on, forecast=work_of_run
    )
    settle_threads(threads, on, choice.known, work_of_run)
    if dry_run:
        show_plan(planned(), choice.planned, images, side, as_json)
        return
    if launched_rank() == 0 and choice.is_new:
        remark_on_plan(planned(), on)
    with stopping() as stop, launched(on) as ranks, progress_on_stderr() as progress:
        judge = partial(backbone_for, backbone, images, on, stop, progress)
        scored_by = ranks.in_turn(partial(judge, precision=features_precision, run=choice.there))
        with begun_by_first(choice, ranks) as run:
            if not choice.has_ended:
                remark(
                    f"Training {what} on {data} at {side} px in {run} ({on}, {config.precision})"
                )
            result = train(
                genome,
                images,
                config,
                run,
                resolution=side,
                device=on,
                backbone=scored_by,
                cache=cache_dir(),
                stop=stop,
                progress=progress,
                start=start,
                again=again,
                tensorboard=tensorboard,
                ranks=ranks,
            )
    if as_json:
        show_result(result)
    else:
        from gan_nas.data import DATA_SETS

        same = options_again(
            data=None if data in DATA_SETS else data,  # a path is read only if it is named
            data_root=data_root,
            backbone=backbone,
            features_precision=features_precision,
            device=device,
        )
        _show(result, same)


def _named(reference: str | None, given: "Given | None") -> Genome:
    """Return the genome that is named, or that of given weights."""
    if reference is not None:
        return load_genome(reference)
    if given is not None:
        return given.genome
    raise InvalidInput(
        "retrain needs a GENOME: a file, or a name that gan-nas genomes lists; or weights, --from "
        "a generator.safetensors"
    )


def _said(given: "Given", start: "Start") -> str:
    """Say which networks start from given weights."""
    if given.generator is None:
        return f"{given.source} is no longer there: the run goes on from its own checkpoint"
    if start.discriminator is not None:
        return f"Starts from the generator and discriminator of {given.source}"
    lacks = "holds no discriminator" if given.discriminator is None else "has another discriminator"
    return f"Starts from the generator of {given.source}, which {lacks}: one is drawn as usual"


def _show(result: "TrainingResult", same: tuple[str | Path, ...]) -> None:
    """Print the scores before, at best and at the end, beside those of real images."""
    names = by_importance(result.real)
    columns = ["steps", *(name.replace("_", " ") for name in names)]
    rows = table("", *columns, numbers=columns)
    first = "inherited" if result.inherited_from else "untrained"
    for label, row in ((first, result.first), ("best", result.best), ("last", result.last)):
        rows.add_row(label, f"{row['step']:,}", *(f"{row[name]:.4g}" for name in names))
    beside = result.compared  # runs of the first release have none
    if beside and beside.num < result.passport.num_fake:
        few = (f"{beside.scores[name]:.4g}" for name in names)
        rows.add_row(f"last, {beside.num:,} images", "", *few)
    real = (f"{result.real[name]:.4g}" for name in names)
    number = f": {beside.num:,}" if beside else ""
    rows.add_row(f"real, held out{number}", "", *real)
    show(rows, "")
    speed = f"{result.images_per_second:,.0f} images/s"
    remark(f"{result.images:,} images in {duration(result.seconds)}, {speed}", style="dim")
    best = Path(result.files["best"])
    show(*(f"{name}: {path}" for name, path in result.files.items()))
    suggest(look=("sample", best), score=("score", best, "-n", "10000", *same))
