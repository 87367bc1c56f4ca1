"""All ways to search at equal time, several seeds each, beside genomes that are just drawn.

A search is as long as fits into so many seconds of one CPU thread: that is measured first, on two
short searches by each method. What it finds first is trained anew, alike for all, with several
seeds, and judged by a second network, too. Methods are compared within their space.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from gan_nas.configs import find_preset, resolve
from gan_nas.files import write_json
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.loading import load_backbone
from gan_nas.search import drive, load_method
from gan_nas.search.method import Method, SearchConfig, Task
from gan_nas.spaces.frameworks import Framework
from gan_nas.spaces.genome import Genome, read_genome
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.studies.against_random import compared
from gan_nas.studies.pictures import save_dots
from gan_nas.studies.searches import DRAW, Contender, parsed
from gan_nas.studies.study import Findings, Study, StudyConfig, StudyTask, numbers_in
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.trials.jobs import Jobs
from gan_nas.trials.training import TrainEvaluator
from gan_nas.trials.trial import Outcome, Trial

SHORT = (0.05, 0.15)  # of a preset's length: two searches that tell time from length
TIMES = "times.json"


class MethodsConfig(StudyConfig):
    """Settings of the comparison."""

    searches: tuple[str, ...] = (
        *("draw:autogan", "random:autogan", "evolution:autogan", "nsga2:autogan"),
        *("halving:autogan", "autogan", "draw:adversarialnas", "random:adversarialnas"),
        *("adversarialnas", "draw:degas", "random:degas", "degas"),
    )
    """What is compared: METHOD, or METHOD:SPACE where it searches any; draw:SPACE takes a genome at
    random, without a search. @KEY=VALUE behind it changes a setting, as in degas@lr=0.1."""
    seconds: float = Field(default=90.0, gt=0)
    """Of one CPU thread, for a search."""
    seeds: int = Field(default=3, ge=2, le=100)
    """Searches by each method, and genomes that are drawn."""
    preset: str = "demo"
    """Of the searches."""
    search_set: tuple[str, ...] = ()
    """Settings of searches on top of it, for those methods that have them."""
    resolution: int = Field(default=16, ge=8, le=512)
    """Side of the images."""
    width: int = Field(default=16, ge=1, le=2048)
    """Of both networks of the genomes that are trained."""
    framework: Framework = "hinge-sn"
    """How genomes that were found are trained."""
    training: str = "demo"
    """Preset of these trainings."""
    training_set: tuple[str, ...] = ("steps=500", "score_every=500")
    """Settings of these trainings on top of it."""
    training_seeds: int = Field(default=3, ge=1, le=100)
    """Trainings of each genome."""


class Times(BaseModel):
    """What was measured of time, which resumed studies must not measure again."""

    lengths: dict[str, float] = {}
    """How many times as long as the preset a search is, by its name."""
    seconds: dict[str, float] = {}
    """CPU seconds of each search, by its folder."""


class MethodsStudy(Study[MethodsConfig]):
    """What `gan-nas study methods` runs."""

    name = "methods"
    question = "Which way to search finds better genomes than a random draw, in equal time?"
    Config = MethodsConfig
    presets: ClassVar = {"demo": {}}

    def check(self, task: StudyTask[MethodsConfig]) -> None:
        """Refuse methods, spaces and settings that there are not."""
        config = task.config
        searches = parsed(config.searches)
        training_of(config)
        for search in searches:
            if search.method != DRAW:
                method = load_method(search.method)
                method.longer(search_config(method, search, config, 0), 1.0)

    def work(self, task: StudyTask[MethodsConfig]) -> Findings:
        """Search, train what was found, compare."""
        searches = parsed(task.config.searches)
        found = {search: _found(task, search) for search in searches}
        outcomes = _trained(task, [genome for genomes in found.values() for genome in genomes])
        times, config = _read(task), task.config
        seconds = {
            search: [
                times.seconds[where]
                for seed in range(config.seeds)
                if (where := _where(search, config.seed + seed)) in times.seconds
            ]
            for search in searches
        }
        return compared(found, outcomes, seconds)

    def draw(self, findings: Findings, path: Path) -> None:
        """Draw each training as a dot, by what found its genome."""
        groups = {str(row["search"]): numbers_in(row, "distances") for row in findings.rows}
        save_dots(groups, path, "distance of a training (lower is better)", self.question)


STUDY = MethodsStudy()


def training_of(config: MethodsConfig) -> TrainingConfig:
    """Return how genomes that were found are trained."""
    preset = find_preset(presets_for("autogan", config.framework), config.training)
    return resolve(
        TrainingConfig,
        preset,
        config.training_set,
        {"framework": config.framework, "seed": config.seed},
    )


def search_config(
    method: Method[Any, Any], search: Contender, config: MethodsConfig, seed: int
) -> SearchConfig:
    """Return the settings of a search, of the preset's length."""
    fields = method.Config.model_fields
    sets = [text for text in config.search_set if text.partition("=")[0].strip() in fields]
    options: dict[str, Any] = {
        "seed": config.seed + seed,
        "space": search.space,
        "resolution": config.resolution,
        "width": config.width,
        "derived_width": config.width,
        "derived_discriminator_width": config.width,
    }
    known = {name: value for name, value in options.items() if name in fields}
    found: SearchConfig = resolve(
        method.Config, find_preset(method.presets, config.preset), [*sets, *search.sets], known
    )
    return found


def _found(task: StudyTask[MethodsConfig], search: Contender) -> list[Genome]:
    """Return what a search finds first, for each seed."""
    config = task.config
    if search.method == DRAW:
        return [
            sample_genomes(search.space, 1, config.seed + seed, config.width, config.width)[0]
            for seed in range(config.seeds)
        ]
    length = _length(task, search)
    return [
        _searched(task, search, seed, length, _where(search, config.seed + seed))
        for seed in range(config.seeds)
    ]


def _where(search: Contender, seed: int) -> str:
    return f"searches/{search.folder(seed)}"


def _length(task: StudyTask[MethodsConfig], search: Contender) -> float:
    """Return the length that fits into the time, of two short searches and their CPU times."""
    if (known := _read(task).lengths.get(search.name)) is not None:
        return known
    spent = []
    for short in SHORT:
        where = f"timing/{search.folder(short)}"
        _searched(task, search, 0, short, where)
        spent.append(_read(task).seconds[where])
    per_length = max((spent[1] - spent[0]) / (SHORT[1] - SHORT[0]), 1e-9)
    start = max(0.0, spent[0] - SHORT[0] * per_length)
    length = float(f"{max(SHORT[0], (task.config.seconds - start) / per_length):.3g}")
    times = _read(task)
    times.lengths[search.name] = length
    _write(task, times)
    return length


def _searched(
    task: StudyTask[MethodsConfig], search: Contender, seed: int, length: float, where: str
) -> Genome:
    """Search, and return the first genome; the CPU time goes into the times."""
    method = load_method(search.method)
    config = method.longer(search_config(method, search, task.config, seed), length)
    directory = task.directory / where

    def show(phase: str, done: int, total: int, values: Any, *, row: str = "") -> None:
        task.progress(f"{search.name}, seed {config.seed}: {phase}", done, total, values, row=row)

    job: Task[Any] = Task(
        config=config,
        images=task.real,
        device=task.device,
        backbone=task.judge,
        cache=task.cache,
        stop=task.stop,
    )
    before = time.process_time()
    try:
        result = drive.search(method, job, directory, progress=show)
    finally:
        times = _read(task)
        spent = times.seconds.get(where, 0.0) + time.process_time() - before
        times.seconds[where] = spent
        _write(task, times)
    return read_genome(Path(result.genomes[0].file))


def second_judge(task: StudyTask[MethodsConfig]) -> Backbone:
    """Return another network, which knows nothing of the first."""
    return load_backbone("residual", task.real, task.cache, task.device, task.stop, task.progress)


def _trained(task: StudyTask[MethodsConfig], genomes: Sequence[Genome]) -> dict[str, list[Outcome]]:
    """Train each genome with all seeds; returns the outcomes of each, by its id."""
    config, training = task.config, training_of(task.config)
    evaluator = TrainEvaluator(
        config=training,
        folder=task.directory / "trainings",
        images=task.real,
        resolution=config.resolution,
        device=task.device,
        backbone=task.judge,
        judges=(second_judge(task),),
        plain=True,
        cache=task.cache,
        stop=task.stop,
        progress=task.progress,
    )
    images = training.steps * training.num_critic * training.batch_size
    different = {genome.genome_id: genome for genome in genomes}
    trials = [
        Trial(genome=genome, images=images, seed=config.seed + seed)
        for seed in range(config.training_seeds)
        for genome in different.values()
    ]
    trained: dict[str, list[Outcome]] = {name: [] for name in different}
    with Jobs(evaluator, task.jobs) as jobs:
        begun = [
            jobs.begin(trial, f"training {number}/{len(trials)}")
            for number, trial in enumerate(trials, start=1)
        ]
        for one in begun:
            trained[one.trial.genome.genome_id].append(jobs.outcome(one))
    return trained


def _read(task: StudyTask[MethodsConfig]) -> Times:
    path = task.directory / TIMES
    return Times.model_validate_json(path.read_text()) if path.exists() else Times()


def _write(task: StudyTask[MethodsConfig], times: Times) -> None:
    write_json(task.directory / TIMES, times.model_dump())
