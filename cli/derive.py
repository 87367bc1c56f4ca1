"""`gan-nas derive`: the best genomes of a search, and which of them trains best."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import (
    backbone_for,
    compute_on,
    framework_for,
    jobs_on,
    load_data_of_run,
    options_again,
    settings,
    whole_number,
)
from gan_nas.cli.plans import remark_on_discriminator, show_settings
from gan_nas.cli.printing import show_result, suggest
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.ranking import show_ranking, show_retrained
from gan_nas.cli.shell import as_path
from gan_nas.cli.signals import stopping
from gan_nas.cli.threads import settle_threads
from gan_nas.errors import InvalidInput, MissingResource, RunFailed
from gan_nas.spaces.registry import space_names

if TYPE_CHECKING:
    from gan_nas.search.retraining import Retraining

TOP_K = 5


def derive(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="The run directory of a finished search.")
    ] = None,
    top_k: Annotated[
        int, typer.Option("--top-k", metavar="K", min=1, max=1000, help="Genomes to keep.")
    ] = TOP_K,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train each alone, score it, name the winner.")
    ] = False,
    inherit: Annotated[
        bool, typer.Option("--inherit", help="Let --retrain start from the search's own weights.")
    ] = False,
    seeds: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=1000, help="Seeds that --retrain trains each with."),
    ] = 1,
    rungs: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=10,
            help="Let --retrain halve: on each of N rungs the better half goes on, twice as long.",
        ),
    ] = 1,
    jobs: options.Jobs = None,
    executor: options.ExecutorName = "local",
    max_params: options.MaxParams = None,
    max_macs: options.MaxMacs = None,
    data: options.SameData = None,
    data_root: options.DataRoot = None,
    preset: options.Preset = "demo",
    seed: options.Seed = None,
    framework: options.FrameworkName = None,
    augment: options.Augment = None,
    sets: options.Set = None,
    backbone: options.BackboneName = "classifier",
    features_precision: options.FeaturesPrecision = "float32",
    any_passport: options.AnyPassport = False,
    again: options.Again = False,
    tensorboard: options.TensorBoard = False,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    help_config: options.HelpConfig = False,
    as_json: options.Json = False,
) -> None:
    """Keep the best genomes of a search.

    AutoGAN's are drawn from its policy and scored on its weights; AdversarialNAS' are those of
    highest log-probability, exactly; DEGAS' those of highest log-odds, the first being what its
    pruning keeps; those of random, evolution, nsga2, halving, reinforce and optuna were judged in
    trials, and the best are kept. They are written to RUN/genomes. Preset, framework, augmentation,
    seed, --set and precision are those of --retrain, which starts from scratch without --inherit;
    its first seed is another than that of a search's trials, which chose by what they saw.
    With --seeds a winner is named only where Tukey's range test tells it from all others. Trainings
    that were scored differently are not ranked (exit code 4) without --any-passport. Trainings that
    failed are not tried again without --again; where all did the exit code is 5.

    Example: gan-nas derive runs/00001-autogan-digits --retrain
    """
    from gan_nas.search.drive import derive as run_derivation
    from gan_nas.search.drive import method_of, stored_space
    from gan_nas.training.config import TrainingConfig, presets_for

    if help_config:
        space = stored_space(run) if run else space_names()[0]
        presets = presets_for(space, framework_for(framework, None, space))
        show_settings(TrainingConfig, presets, preset, as_json)
        return

    from gan_nas.data import DATA_SETS, cache_dir
    from gan_nas.runs.folders import CONFIG
    from gan_nas.runs.stored import stored_config, stored_settings
    from gan_nas.search.best import Limit
    from gan_nas.search.inheritance import check_sizes, read_supernets
    from gan_nas.search.retraining import DerivedResult, retrain_all
    from gan_nas.spaces.genome import Genome, read_genome
    from gan_nas.training.plan import work
    from gan_nas.trials.executor import check_executor

    if run is None:
        raise InvalidInput("derive needs a RUN: the directory of a finished search")
    if inherit and not retrain:
        raise InvalidInput("--inherit says where --retrain starts: give both")
    if tensorboard and not retrain:
        raise InvalidInput("--tensorboard writes what --retrain trains: give both")
    if (seeds, rungs, jobs, executor) != (1, 1, None, "local") and not retrain:
        raise InvalidInput(
            "--seeds, --rungs, --jobs and --executor say how --retrain trains: give it, too"
        )
    check_executor(executor)
    limit = Limit(whole_number(max_params), whole_number(max_macs))
    chosen, space = method_of(run), stored_space(run)
    on = compute_on(device, threads)
    at_once = jobs_on(jobs, on, device, threads)
    settle_threads(threads, on, [run])

    def config_for(genome: Genome | None) -> TrainingConfig:
        presets = presets_for(space, framework_for(framework, genome, space))
        return settings(
            TrainingConfig, presets, preset, sets, precision, on, seed=seed, augment=augment
        )

    if retrain and seed is None:
        seen = chosen.seen_seed(stored_settings(run, stored_config(run), chosen.Config))
        # What was found by a training would be judged by the same training once more.
        sets = [*([] if seen is None else [f"seed={seen + 1}"]), *(sets or [])]
    config_for(None)  # what is misspelt is refused before the work
    supernets = None
    if inherit:
        supernets = read_supernets(run)
        sizes = supernets.trained.sizes
        width = stored_settings(run, stored_config(run), chosen.Config).derived_width
        check_sizes(supernets, sizes.model_copy(update={"width": width}))
    with stopping() as stop, progress_on_stderr() as progress:
        images = scored_by = None
        if retrain or "derive" in chosen.scores:
            images = load_data_of_run(run, data, data_root)
            scored_by = backbone_for(
                backbone, images, on, stop, progress, precision=features_precision, run=run
            )
        result = run_derivation(
            run,
            count=top_k,
            limit=limit,
            images=images,
            device=on,
            backbone=scored_by,
            cache=cache_dir(),
            stop=stop,
            progress=progress,
        )
        retraining = None
        if retrain:
            assert images is not None
            assert scored_by is not None
            genomes = [read_genome(Path(row.file)) for row in result.genomes]
            config = config_for(genomes[0] if genomes else None)
            if genomes:
                remark_on_discriminator(genomes[0], config.framework)
                side, channels = result.resolution, images.channels
                # One number for all, whose times are compared: that of trials which are there.
                trials = [path.parent for path in sorted(run.glob(f"retrained/*/{CONFIG}"))]
                sample = work(genomes[0], config, side, channels, on)
                settle_threads(threads, on, trials, sample, at_once)
            retraining = retrain_all(
                run,
                genomes,
                images,
                config,
                resolution=result.resolution,
                device=on,
                backbone=scored_by,
                cache=cache_dir(),
                stop=stop,
                progress=progress,
                seeds=seeds,
                rungs=rungs,
                jobs=at_once,
                executor=executor,
                supernets=supernets,
                any_passport=any_passport,
                again=again,
                tensorboard=tensorboard,
            )
    if as_json:
        show_result(DerivedResult(**dict(result), retraining=retraining))
        check_winner(retraining)
        return
    show_ranking(chosen, result)
    same = options_again(
        data_root=data_root,
        backbone=backbone,
        features_precision=features_precision,
        device=device,
    )
    if retraining is None:
        limited = {
            "--top-k": None if top_k == TOP_K else top_k,
            "--max-params": max_params,
            "--max-macs": max_macs,
        }
        more = [str(word) for pair in limited.items() if pair[1] is not None for word in pair]
        if data is not None:
            more += ["--data", as_path(data)]
        suggest(train_them_all=("derive", run, "--retrain", *more, *same))
        return
    show_retrained(retraining)
    check_winner(retraining)
    best = next(trial.result for trial in retraining.trials if trial.result)
    assert best is not None
    last = Path(best.files["last"])
    assert images is not None
    if images.name not in DATA_SETS:  # a path is read only if it is named
        same = ("--data", as_path(images.name), *same)
    suggest(look=("sample", last), score=("score", last, *same))


def check_winner(retraining: "Retraining | None") -> None:
    """Raise RunFailed, or MissingResource, when genomes were trained and none to its end."""
    if retraining is None or retraining.best is not None:
        return
    outcomes = Counter(trial.outcome for trial in retraining.trials)
    if set(outcomes) == {"out_of_memory"}:
        raise MissingResource(
            f"there is no winner: the memory does not suffice for any of {outcomes.total()} "
            "trainings, with half the micro-batch either; lower batch_size, generator_batch_size "
            "or micro_batch by --set"
        )
    failed = " and ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
    raise RunFailed(
        f"there is no winner: of {outcomes.total()} trainings {failed}; try lower learning rates "
        "or another seed with --set, or --again for the same once more"
    )
