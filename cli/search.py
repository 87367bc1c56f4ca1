"""`gan-nas search`: find architectures."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import (
    backbone_for,
    compute_on,
    data_for,
    jobs_on,
    load_to_train,
    options_again,
    prepared,
    settings,
    whole_number,
)
from gan_nas.cli.plans import remark_on_plan, show_plan, show_settings
from gan_nas.cli.printing import remark, show_result, suggest
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.ranking import show_ranking
from gan_nas.cli.signals import stopping
from gan_nas.cli.threads import settle_threads
from gan_nas.cli.where import begun_by_first, choose_run
from gan_nas.errors import InvalidInput
from gan_nas.machine.ranks import launched, launched_rank
from gan_nas.search import method_names
from gan_nas.spaces.genome import read_genome
from gan_nas.spaces.published import load_genome
from gan_nas.spaces.registry import space_names
from gan_nas.trials import EVALUATORS, load_evaluator

if TYPE_CHECKING:
    from gan_nas.search.method import Method
    from gan_nas.spaces.schema import GeneratorGenome

METHODS = options.one_of(method_names())
EVALUATED = options.one_of(tuple(EVALUATORS))


def search(
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help=f"How to search: {METHODS}.",
            autocompletion=options.among(method_names),
        ),
    ],
    space: Annotated[
        str | None,
        typer.Option(
            metavar="SPACE",
            help="Space that is searched, where the method searches any: "
            f"{options.one_of(space_names())}.",
            autocompletion=options.among(space_names),
        ),
    ] = None,
    evaluator: Annotated[
        str | None,
        typer.Option(
            metavar="EVALUATOR",
            help=f"How a method of any space judges genomes: {EVALUATED}; shared has one "
            "supernet's weights, pairs takes --genome, table:NAME has recorded trials.",
        ),
    ] = None,
    genome: Annotated[
        str | None,
        typer.Option(
            metavar="GENOME|RUN",
            help="Search discriminators (EAGAN's) for this genome's generator, or for that of the "
            "best genome of a search.",
        ),
    ] = None,
    data: options.ImpliedData = None,
    data_root: options.DataRoot = None,
    crop: options.Crop = None,
    resize: options.Resize = None,
    background: options.Background = None,
    skip_odd: options.SkipOdd = False,
    directory: options.RunDirectory = None,
    preset: options.Preset = "demo",
    seed: options.Seed = None,
    max_params: options.MaxParams = None,
    max_macs: options.MaxMacs = None,
    sets: options.Set = None,
    backbone: options.BackboneName = "classifier",
    features_precision: options.FeaturesPrecision = "float32",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    jobs: options.Jobs = None,
    executor: options.ExecutorName = "local",
    again: options.Again = False,
    tensorboard: options.TensorBoard = False,
    dry_run: options.DryRun = False,
    help_config: options.HelpConfig = False,
    as_json: options.Json = False,
) -> None:
    """Search for architectures and keep the best as genome files; the same command goes on.

    autogan is a controller that learns by reinforcement, adversarialnas a differentiable search of
    generator and discriminator against each other, degas a differentiable search of a generator
    alone, by reconstruction; in all three, architectures share weights. random, evolution, nsga2,
    halving, reinforce (autogan's controller) and optuna (its samplers and pruners; an extra of
    gan-nas) search any --space and train each genome alone, for a budget of trials, images
    or seconds; with --evaluator shared (all but halving) they score it on the weights of one
    supernet. With --genome they search for the discriminator that suits a generator.

    Presets: demo (digits, minutes on a CPU), small (CIFAR-10 at width 32), paper, published (what
    the authors' code does, quirks included) and, for degas, whose code is not public, paper-cifar10
    and paper-stl10, for evolution eagan and eagan-discriminators, the two stages of EAGAN, and
    eagan-demo and eagan-discriminators-demo, both on digits in minutes; repo is an older name of
    published.

    Several GPUs, or machines, train one supernet together under torchrun: docs/many-machines.md.

    Examples: gan-nas search --method autogan; gan-nas search --method evolution --preset
    eagan-discriminators-demo --genome runs/00001-evolution-adversarialnas-shared-digits
    """
    from gan_nas.search import load_method

    chosen = load_method(method)
    if help_config:
        show_settings(chosen.Config, chosen.presets, preset, as_json)
        return

    from gan_nas.data import cache_dir
    from gan_nas.metrics.loading import identities_of
    from gan_nas.runs.numbering import Asked
    from gan_nas.search.drive import absent_of, plan, settings_of
    from gan_nas.search.drive import search as run_search
    from gan_nas.search.method import Task
    from gan_nas.training.config import presets_for
    from gan_nas.trials.executor import check_executor

    check_executor(executor)
    fixed = _implied(_judged(chosen, evaluator), sets or ())
    data = data_for(data, preset) if data or "data" not in fixed else fixed["data"]
    on = compute_on(device, threads)
    given = _given(chosen, genome)
    if given is not None:
        space = space or given.space
    config = settings(
        chosen.Config,
        chosen.presets,
        preset,
        sets,
        precision,
        on,
        seed=seed,
        max_params=whole_number(max_params),
        max_macs=whole_number(max_macs),
        space=_asked(chosen, space or fixed.get("space")),
        resolution=fixed.get("resolution"),
        evaluator=evaluator,
        generator=given,
    )
    side_by_side = chosen.side_by_side(config)
    if jobs is not None and jobs > 1 and not side_by_side:
        raise InvalidInput(
            f"{method} trains one network, whose weights its architectures share: --jobs is for "
            "searches that train each alone"
        )
    if executor != "local" and not side_by_side:
        raise InvalidInput(
            f"--executor {executor} is for searches that train each genome alone, and this one by "
            f"{method} does not: several processes train its network together under torchrun"
        )
    at_once = jobs_on(jobs, on, device, threads) if side_by_side else 1
    preparation = prepared(crop, resize, background, skip_odd=skip_odd)
    images, chosen_side = load_to_train(data, data_root, preparation, config.resolution)
    searched = chosen.space_of(config)
    what = method if searched == chosen.spaces[0] else f"{method}-{searched}"
    if (judged := getattr(config, "evaluator", "train")) != "train":
        what += f"-{judged.partition(':')[0]}"
    if given is not None:
        what += "-discriminators"
    if chosen_side != config.resolution:
        config = config.model_copy(update={"resolution": chosen_side})
    task = Task(config=config, images=images, device=on, cache=cache_dir(), jobs=at_once)
    task = replace(task, executor=executor)
    side = task.side
    work = chosen.work(config, side, images.channels, on)
    asked = Asked(
        settings_of(chosen, task),
        absent_of(chosen, task),
        identities_of(backbone) if "search" in chosen.scores_by(config) else (),
        threads,
    )
    choice = choose_run(directory, what, data, config.seed, asked)
    settle_threads(threads, on, choice.known, work, at_once)
    if dry_run:
        show_plan(plan(chosen, task, work), choice.planned, images, side, as_json)
        return
    precise = f", {config.precision}" if hasattr(config, "precision") else ""
    if launched_rank() == 0 and choice.is_new:
        remark_on_plan(plan(chosen, task, work), on)
    with stopping() as stop, launched(on) as ranks, progress_on_stderr() as progress:
        task = replace(task, stop=stop, ranks=ranks)
        if "search" in chosen.scores_by(config):
            judge = partial(backbone_for, backbone, images, on, stop, progress)
            scored_by = ranks.in_turn(
                partial(judge, precision=features_precision, run=choice.there)
            )
            task = replace(task, backbone=scored_by)
        with begun_by_first(choice, ranks) as run:
            if not choice.has_ended:
                remark(f"Searching by {method} on {data} in {run} ({on}{precise})")
            result = run_search(
                chosen, task, run, progress=progress, again=again, tensorboard=tensorboard
            )
    if as_json:
        show_result(result)
        return
    show_ranking(chosen, result)
    if chosen.evidence:
        remark(f"{chosen.evidence} gan-nas study methods asks it of your data.", style="dim")
    best = result.genomes[0].file
    side = result.resolution
    for_all = partial(
        options_again,
        data_root=data_root,
        preset=preset if preset in presets_for(searched) else getattr(config, "training", "paper"),
        backbone=backbone,
        features_precision=features_precision,
        device=device,
    )
    # A path's images have their own side again when they are loaded without one.
    implied = images.preparation is None and side == images.default_resolution
    for_one = partial(
        for_all,
        data=data,
        preparation=images.preparation,
        resolution=None if implied else side,
    )
    suggest(
        train_them_all=("derive", run, "--retrain", *for_all()),
        train_the_best=("retrain", Path(best), *for_one()),
    )


def _given(chosen: "Method[Any, Any]", reference: str | None) -> "GeneratorGenome | None":
    """Return the generator whose discriminators are searched, where one was named."""
    if reference is None:
        return None
    if "generator" not in chosen.Config.model_fields:
        raise InvalidInput(f"{chosen.name} searches generators alone: it takes no --genome")
    if not (reference and Path(reference).is_dir()):
        return load_genome(reference).generator

    from gan_nas.search.drive import finished_search

    run = Path(reference)
    best = finished_search(run).finished.result.genomes[0]
    return read_genome(run / "genomes" / f"{best.id}.json").generator


def _judged(chosen: "Method[Any, Any]", evaluator: str | None) -> str | None:
    """Return the evaluator that was asked for, where the method has the setting."""
    if evaluator is not None and "evaluator" not in chosen.Config.model_fields:
        raise InvalidInput(f"{chosen.name} judges genomes in its own way: it takes no --evaluator")
    return evaluator


def _implied(evaluator: str | None, sets: Sequence[str]) -> dict[str, Any]:
    """Return what an evaluator has no other of, but for settings that were asked for."""
    if evaluator is None:
        return {}
    asked = {one.partition("=")[0].strip() for one in sets}
    implied = load_evaluator(evaluator).implied(evaluator)
    return {name: value for name, value in implied.items() if name not in asked}


def _asked(chosen: "Method[Any, Any]", space: str | None) -> str | None:
    """Return the space that was asked for, where the method has the setting."""
    if space is None or "space" in chosen.Config.model_fields:
        return space
    if space not in chosen.spaces:
        known = options.one_of(chosen.spaces)
        raise InvalidInput(f"{chosen.name} searches {known} alone, not {space}")
    return None
