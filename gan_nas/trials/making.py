"""Making a table: every trial of a recipe, each in a folder of its own until its outcome is kept.

The same call goes on wherever it was stopped, killed or not: trials whose outcome is there are not
run again, the one that was under way goes on.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gan_nas.configs import defaults, find_preset, resolve
from gan_nas.data import Images
from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.files import read_text, write_json, write_text
from gan_nas.machine.processor import processor_model
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import keep_judge
from gan_nas.progress import Progress, silent
from gan_nas.runs.folders import LOG, TRIALS
from gan_nas.runs.logs import read
from gan_nas.runs.results import Values
from gan_nas.runs.run import Run, never
from gan_nas.runs.stored import as_written, stored_config
from gan_nas.scoring.protocols import Passport
from gan_nas.scoring.scorer import Scorer
from gan_nas.spaces.frameworks import Framework
from gan_nas.spaces.genome import Genome
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.trials.executor import open_executor
from gan_nas.trials.recipes import Planned, Recipe, name_of
from gan_nas.trials.table import Entry, Judge, RecordedTrial, Table
from gan_nas.trials.training import TrainEvaluator, steps_of
from gan_nas.trials.trial import Outcome, Trial
from gan_nas.versions import versions

OUTCOMES = "outcomes"  # in the run directory: a file for each trial that has ended
PASSPORTS = "passports.json"  # how each judge scores
BESIDE = ("event", "time", "spread", "seconds")  # scores in a log, which are none
WHEN = ("step", "images")  # of a score, which are no measures
LONGEST = 10**9  # steps: never


class Made(NamedTuple):
    """How far a table is."""

    ended: int
    planned: int


def make(
    recipe: Recipe,
    images: Images,
    directory: Path,
    *,
    judges: Sequence[Backbone],
    device: torch.device,
    jobs: int = 1,
    executor: str = "local",
    cache: Path | None = None,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
) -> Made:
    """Train all trials of a recipe and keep their outcomes in `directory`/outcomes.

    Of what training writes nothing else stays. `jobs` are trained at once, where the
    `executor` says. Raises Interrupted when
    `stop` says, with all state saved; Incompatible where the directory is another recipe's.
    """
    settings = {
        "method": "table",
        "recipe": recipe.model_dump(mode="json"),
        **images.identity([recipe.resolution]),
        "judges": [judge.fingerprint for judge in judges],
        "device": device.type,
        "versions": versions() | {"processor": processor(device)},
    }
    planned, genomes = recipe.planned(), recipe.genomes()
    absent = {"recipe": defaults(Recipe)}  # what a table was begun without
    with Run.open(directory, settings, stop, absent=absent):
        for judge in judges:
            keep_judge(directory, judge, images)
        if not (directory / PASSPORTS).exists():
            means = device, cache, stop, progress
            write_json(directory / PASSPORTS, _passports(recipe, images, judges, *means))
        for framework, group in groupby(planned, attrgetter("framework")):
            evaluator = evaluator_of(recipe, framework, directory / TRIALS, images, judges, device)
            evaluator = replace(evaluator, cache=cache, stop=stop, progress=progress)
            _judge(directory, recipe, genomes, list(group), evaluator, jobs, executor)
    return Made(sum(path_of(directory, one).exists() for one in planned), len(planned))


def packed(directory: Path) -> Table:
    """Return the table of all trials in a directory that have ended; more may be under way there.

    Raises InvalidInput where none has.
    """
    settings = stored_config(directory)
    if settings.get("method") != "table":
        raise InvalidInput(f"{directory} is a run, but not one of gan-nas table make")
    with as_written(directory):
        return _packed(directory, settings)


def _packed(directory: Path, settings: Mapping[str, Any]) -> Table:
    recipe = resolve(Recipe, settings["recipe"])
    genomes, planned = recipe.genomes(), recipe.planned()
    ended = {one: read_outcome(directory, one) for one in planned}
    outcomes = {one: outcome for one, outcome in ended.items() if outcome is not None}
    if not outcomes:
        raise InvalidInput(f"no trial has ended in {directory} yet")
    passports = json.loads(read_text(directory / PASSPORTS))
    scored = [one for one in outcomes.values() if one.scores]
    if not scored:
        statuses = ", ".join(sorted({str(one.status) for one in outcomes.values()}))
        raise InvalidInput(f"no trial in {directory} has come to a score yet: {statuses}")
    judges = tuple(Judge(name=judge, **about) for judge, about in passports.items())
    by, measures = judges[0].passport, tuple(key for key in scored[0].scores[0] if key not in WHEN)
    if any(one.passport and by.differences(one.passport) for one in outcomes.values()):
        raise Incompatible(f"the trials in {directory} were scored differently: make them anew")
    latest = max(path_of(directory, one).stat().st_mtime for one in outcomes)
    made = settings["versions"] | {"until": date.fromtimestamp(latest).isoformat()}
    prices = {one.number: (end.parameters, end.macs) for one, end in outcomes.items()}
    return Table(
        name=name_of(recipe) or directory.resolve().name,
        recipe=recipe,
        planned=len(planned),
        data_fingerprint=settings["data_fingerprint"],
        made=made,
        judges=judges,
        moments=(0, *recipe.fidelities),
        measures=measures,
        genomes=tuple(
            Entry(
                id=genome.genome_id,
                generator_id=genome.generator_id,
                words=tuple(genome.generator.words),
                parameters=prices.get(number, (0, 0))[0],
                macs=prices.get(number, (0, 0))[1],
            )
            for number, genome in enumerate(genomes)
        ),
        rows=tuple(
            RecordedTrial(
                genome=one.number,
                framework=one.framework,
                seed=one.seed,
                status=outcome.status,
                why=outcome.why,
                seconds=outcome.seconds,
                processor_seconds=outcome.processor_seconds,
                micro_batch=outcome.micro_batch,
                scores=tuple(tuple(row[key] for key in measures) for row in outcome.scores),
            )
            for one, outcome in outcomes.items()
        ),
    )


def evaluator_of(
    recipe: Recipe,
    framework: Framework,
    folder: Path,
    images: Images,
    judges: Sequence[Backbone],
    device: torch.device,
) -> TrainEvaluator:
    """Return what trains the trials of a recipe, in a framework and a folder."""
    return TrainEvaluator(
        config=training_of(recipe, framework),
        folder=folder,
        images=images,
        resolution=recipe.resolution,
        device=device,
        backbone=judges[0],
        judges=tuple(judges[1:]),
        plain=True,
    )


def training_of(recipe: Recipe, framework: Framework) -> TrainingConfig:
    """Return how trials of a recipe are trained in a framework, but for seed and length."""
    presets = presets_for(recipe.space, framework)
    preset = find_preset(presets, "demo") | {"framework": framework, "precision": "float32"}
    config = resolve(TrainingConfig, preset, recipe.training)
    parts = recipe.fidelities
    moments = tuple(steps_of(config, images) for images in parts)
    if [step * config.num_critic * config.batch_size for step in moments] != parts:
        raise InvalidInput(
            f"trials of {recipe.images:,} images have no scores after {parts} of them in steps of "
            f"{config.num_critic * config.batch_size}: take 36 times as many, or a multiple of that"
        )
    longer = {"score_at": moments, "score_every": LONGEST, "save_every": LONGEST}
    return config.model_copy(update=longer)


def path_of(directory: Path, planned: Planned) -> Path:
    """Return where the outcome of a trial is kept."""
    return directory / OUTCOMES / f"{planned.name}.json"


def read_outcome(directory: Path, planned: Planned) -> Outcome | None:
    """Return the outcome of a trial, None where it has not ended."""
    path = path_of(directory, planned)
    if not path.exists():
        return None
    with as_written(directory):
        return Outcome.model_validate_json(read_text(path))


def processor(device: torch.device) -> str:
    """Name what computes: the GPU, or the model of the CPU where the system tells it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor_model()


def _judge(
    directory: Path,
    recipe: Recipe,
    genomes: Sequence[Genome],
    planned: Sequence[Planned],
    evaluator: TrainEvaluator,
    jobs: int,
    executor: str,
) -> None:
    """Judge what has no outcome yet, in one framework."""
    names = {
        Trial(genome=genomes[one.number], images=recipe.images, seed=one.seed).name: one.name
        for one in planned
    }
    evaluator = replace(evaluator, named=partial(_named, names=names))
    with open_executor(executor, evaluator, jobs) as pool:
        begun = []
        for number, one in enumerate(planned, start=1):
            if path_of(directory, one).exists():
                shutil.rmtree(evaluator.folder / one.name, ignore_errors=True)
                continue
            trial = Trial(genome=genomes[one.number], images=recipe.images, seed=one.seed)
            row = f"{one.framework}, trial {number}/{len(planned)}"
            begun.append((one, pool.begin(trial, row)))
        for one, waiting in begun:
            outcome = pool.outcome(waiting)
            if outcome.status != "completed":
                outcome = outcome.model_copy(update={"scores": _before(evaluator, one)})
            write_text(path_of(directory, one), outcome.model_dump_json() + "\n")
            shutil.rmtree(evaluator.folder / one.name, ignore_errors=True)


def _before(evaluator: TrainEvaluator, failed: Planned) -> tuple[Values, ...]:
    """Return the scores of a trial until it failed."""
    distance = evaluator.backbone.distance_name
    lines = [row for row in read(evaluator.folder / failed.name / LOG) if distance in row]
    return tuple({key: row[key] for key in row if key not in BESIDE} for row in lines)


def _named(trial: Trial, *, names: dict[str, str]) -> str:
    return names[trial.name]


def _passports(
    recipe: Recipe,
    images: Images,
    judges: Sequence[Backbone],
    device: torch.device,
    cache: Path | None,
    stop: Callable[[], bool],
    progress: Progress,
) -> dict[str, Any]:
    """Return how each judge scores, by its name."""
    config = training_of(recipe, recipe.framework)
    real = images.at(recipe.resolution).to(device)
    about: dict[str, Any] = {}
    for judge in judges:
        scorer = Scorer(
            judge,
            real,
            recipe.resolution,
            config.num_splits,
            config.num_reference,
            cache,
            stop=stop,
            progress=progress,
        )
        passport: Passport = scorer.passport(config.num_scored, None, config.precision)
        about[judge.name] = {
            "passport": passport.model_dump(mode="json"),
            "accuracy": judge.accuracy,
            "real": scorer.real(config.num_scored),
        }
    return about
