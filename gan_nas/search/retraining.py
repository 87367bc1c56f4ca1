"""Train the genomes a search found, each alone, and tell which is best, and how sure that is.

AutoGAN (Gong et al. 2019), sec. 3.3.3: the shared weights only rank architectures; the final
choice is made between the top K after each was trained alone.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from pathlib import Path

import torch
from pydantic import Field, JsonValue

from gan_nas.data import Images
from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import keep_judge
from gan_nas.progress import Progress, silent
from gan_nas.runs.results import Result, SearchResult, TrainingResult
from gan_nas.runs.run import never
from gan_nas.runs.stored import read_result
from gan_nas.runs.tensorboard import check_installed
from gan_nas.scoring.protocols import differing, say_differences
from gan_nas.search.inheritance import Supernets, start_from
from gan_nas.spaces.frameworks import framework_of, suited
from gan_nas.spaces.genome import Genome
from gan_nas.training.config import TrainingConfig
from gan_nas.trials.comparison import Standing, is_clear, ranked
from gan_nas.trials.executor import Executor, open_executor
from gan_nas.trials.training import TrainEvaluator
from gan_nas.trials.trial import Outcome, Status, Trial

HALVED = 2  # of so many genomes one goes on to the next rung, to so many times the images


class Retrained(Result):
    """One of several trainings: its result, or how it ended."""

    id: str
    """Of the genome as it was found."""
    name: str | None = None
    seed: int
    outcome: Status
    why: str | None = None
    """How it failed."""
    micro_batch: int | None = None
    """Images that passed the networks at once where memory did not suffice for more."""
    result: TrainingResult | None = None


class Retraining(Result):
    """Trainings with equal budgets, those of the best genome first."""

    trials: list[Retrained]
    ranking: list[Standing]
    """The genomes over all seeds, the best first."""
    best: str | None
    """The id of the first; none where no training came to its end."""
    winner: str | None
    """The same where all that ended are behind by more than seeds explain, or had one seed each."""
    ranked_by: str
    scored_differently: dict[str, list[JsonValue]] = Field(default={})
    """Fields in which the trainings' protocols differ: then do not trust the order."""


class DerivedResult(SearchResult):
    """What a derivation answers: genomes and, where they were trained, what became of them."""

    retraining: Retraining | None = None


def retrain_all(
    directory: Path,
    genomes: Sequence[Genome],
    images: Images,
    config: TrainingConfig,
    *,
    resolution: int,
    device: torch.device,
    backbone: Backbone,
    seeds: int = 1,
    rungs: int = 1,
    jobs: int = 1,
    executor: str = "local",
    cache: Path | None = None,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
    supernets: Supernets | None = None,
    any_passport: bool = False,
    again: bool = False,
    tensorboard: bool = False,
) -> Retraining:
    """Train every genome in `directory`/retrained/ID with equal budgets; best distance first.

    ID is of the genome as it suits the framework, whose name follows where the discriminator does
    not tell it; trials have the id it was found with. Training starts from scratch, or from the
    weights of `supernets`, then in retrained/ID-inherited. Of several `seeds` the first is the
    settings' own, and the others' folders end in -seedN. With several `rungs` only the better half
    goes on to twice the images, the last rung being the whole length. `jobs` are trained at once,
    each in a process of its own, where the `executor` says; with `tensorboard` each writes events.

    A trial that diverged or collapsed is listed with this outcome and stops nothing; so is one that
    memory did not suffice for, after another try with half the micro-batch. One that is
    finished is not run again, and one that failed only if it is to run `again`. Raises Incompatible
    when trials were scored differently, as those of another day may be, unless `any_passport`;
    InvalidInput for rungs of trainings that cannot go on.
    """
    if rungs > 1 and (fixed_by := config.follows_length):
        raise InvalidInput(
            f"rungs let trainings go on to more images and {fixed_by} follows the length of a "
            "training: change it by --set, or train with one rung"
        )
    if tensorboard:
        check_installed()
    folder = directory / "retrained"
    keep_judge(folder, backbone, images)
    suiting = [suited(genome, config.framework) for genome in genomes]
    num, left = (len({one.genome_id for one in some}) for some in (genomes, suiting))
    if left < num:
        raise InvalidInput(
            f"the framework {config.framework} brings its own discriminator, with which {num} "
            f"genomes of this search are {left}: leave the framework out"
        )
    starts = {}
    if supernets is not None:
        starts = {
            one.genome_id: start_from(supernets, one, resolution, images.channels)
            for one in suiting
        }

    evaluator = TrainEvaluator(
        config=config,
        folder=folder,
        images=images,
        resolution=resolution,
        device=device,
        backbone=backbone,
        named=partial(_name_of, config=config, inherits=supernets is not None),
        starts=starts,
        again=again,
        tensorboard=tensorboard,
        cache=cache,
        stop=stop,
        progress=progress,
    )
    with open_executor(executor, evaluator, jobs) as pool:
        outcomes = _judged(pool, genomes, config, seeds, rungs)
    trials = [_retrained(evaluator, outcome) for outcome in outcomes]
    passports = [trial.result.passport for trial in trials if trial.result]
    differences = differing(passports)
    if differences and not any_passport:
        raise Incompatible(
            f"the trials in {folder} were scored differently ({say_differences(differences)}), so "
            "they cannot be ranked; move that folder away to train them anew, or allow any passport"
        )
    ranking = ranked(outcomes)
    places = {row.id: place for place, row in enumerate(ranking)}
    best = ranking[0].id if ranking and ranking[0].completed else None
    return Retraining(
        trials=sorted(trials, key=lambda trial: places[trial.id]),
        ranking=ranking,
        best=best,
        winner=best if seeds == 1 or (best and is_clear(ranking)) else None,
        ranked_by=f"last {backbone.distance_name}",
        scored_differently={name: list(values) for name, values in differences.items()},
    )


def _name_of(trial: Trial, *, config: TrainingConfig, inherits: bool) -> str:
    """Name the folder of a training."""
    trained = suited(trial.genome, config.framework)
    parts = [trained.genome_id]
    if config.framework != framework_of(trained.discriminator):
        parts.append(config.framework)
    if inherits:
        parts.append("inherited")
    if trial.seed != config.seed:
        parts.append(f"seed{trial.seed}")
    return "-".join(parts)


def _judged(
    jobs: Executor, genomes: Sequence[Genome], config: TrainingConfig, seeds: int, rungs: int
) -> list[Outcome]:
    """Train all genomes with all seeds, the better ones longer; returns the last of each."""
    whole = config.steps * config.num_critic * config.batch_size
    alive, last = list(genomes), dict[tuple[str, int], Outcome]()
    for rung in range(rungs):
        images = ceil(whole / HALVED ** (rungs - 1 - rung))
        trials = [
            Trial(genome=genome, images=images, seed=config.seed + seed)
            for genome in alive
            for seed in range(seeds)
        ]
        of = f" of rung {rung + 1}/{rungs}" * (rungs > 1)
        begun = [
            jobs.begin(trial, f"training {number}/{len(trials)}{of}")
            for number, trial in enumerate(trials, start=1)
        ]
        outcomes = [jobs.outcome(one) for one in begun]
        last |= {(one.trial.genome.genome_id, one.trial.seed): one for one in outcomes}
        good = [row.id for row in ranked(outcomes) if row.completed]
        kept = good[: ceil(len(alive) / HALVED)]
        alive = [genome for genome in alive if genome.genome_id in kept]
    return list(last.values())


def _retrained(evaluator: TrainEvaluator, outcome: Outcome) -> Retrained:
    genome, run = outcome.trial.genome, evaluator.run_of(outcome.trial)
    is_done = outcome.status == "completed"
    return Retrained(
        id=genome.genome_id,
        name=genome.title,
        seed=outcome.trial.seed,
        outcome=outcome.status,
        why=outcome.why,
        micro_batch=outcome.micro_batch,
        result=read_result(run, TrainingResult) if is_done else None,
    )
