"""All ways to search at equal time, several seeds each, beside genomes that are just drawn.

A search is as long as fits into so many seconds of one CPU thread: that is measured first, on two
short searches by each method. What it finds first is trained anew, alike for all, with several
seeds, and judged by a second network, too. Methods are compared within their space.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from math import exp, log
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, Field, JsonValue
from scipy.stats import ttest_ind

from gan_nas.configs import find_preset, resolve
from gan_nas.data import Images
from gan_nas.errors import InvalidInput
from gan_nas.files import write_json
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import in_domain_classifier
from gan_nas.networks.weights import load_generator
from gan_nas.scoring.generating import generate
from gan_nas.scoring.scorer import Scorer
from gan_nas.search import drive, load_method
from gan_nas.search.method import Method, SearchConfig, Task
from gan_nas.spaces.frameworks import Framework
from gan_nas.spaces.genome import Genome, read_genome
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.registry import space_names
from gan_nas.studies.pictures import save_dots
from gan_nas.studies.study import Column, Findings, Study, StudyConfig, StudyTask, numbers_in
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.trials.comparison import SIGNIFICANT
from gan_nas.trials.jobs import Jobs
from gan_nas.trials.training import TrainEvaluator
from gan_nas.trials.trial import Outcome, Trial

DRAW, RANDOM = "draw", "random"
SHORT = (0.05, 0.15)  # of a preset's length: two searches that tell time from length
TIMES = "times.json"
LIMITS = [
    "Searches of minutes: the papers' take GPU-days, and what is best may change with the length.",
    "The settings are the presets' own; nothing was tuned on these seeds.",
    "Spaces differ in size and cost, so only methods of one space are compared.",
]


class MethodsConfig(StudyConfig):
    """Settings of the comparison."""

    searches: tuple[str, ...] = (
        *("draw:autogan", "random:autogan", "evolution:autogan", "nsga2:autogan"),
        *("halving:autogan", "autogan", "draw:adversarialnas", "random:adversarialnas"),
        *("adversarialnas", "draw:degas", "random:degas", "degas"),
    )
    """What is compared: METHOD, or METHOD:SPACE where it searches any; draw:SPACE takes a genome at
    random, without a search."""
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


class Search(NamedTuple):
    """What is compared: a method in a space, or a draw from it."""

    method: str
    space: str

    @property
    def name(self) -> str:
        """Return it as it is asked for."""
        return f"{self.method}:{self.space}" if self.method != self.space else self.method


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
    presets: ClassVar = {
        "demo": {},
        "small": {
            "seconds": 600.0,
            "training_set": ("steps=1500", "score_every=1500"),
        },
    }

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
        return compared(task, found, outcomes, _read(task).seconds)

    def draw(self, findings: Findings, path: Path) -> None:
        """Draw each training as a dot, by what found its genome."""
        groups = {str(row["search"]): numbers_in(row, "distances") for row in findings.rows}
        save_dots(groups, path, "distance of a training (lower is better)", self.question)


STUDY = MethodsStudy()


def parsed(names: Sequence[str]) -> list[Search]:
    """Read METHOD and METHOD:SPACE; raises InvalidInput for what there is not."""
    searches = []
    for name in names:
        method, _, space = name.partition(":")
        if method == DRAW:
            known: Sequence[str] = space_names()
        else:
            chosen = load_method(method)
            known = space_names() if "space" in chosen.Config.model_fields else chosen.spaces
        space = space or known[0]
        if space not in known:
            raise InvalidInput(f"{method} does not search {space!r}; it can be {', '.join(known)}")
        searches.append(Search(method, space))
    return searches


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
    method: Method[Any, Any], search: Search, config: MethodsConfig, seed: int
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
        method.Config, find_preset(method.presets, config.preset), sets, known
    )
    return found


def _found(task: StudyTask[MethodsConfig], search: Search) -> list[Genome]:
    """Return what a search finds first, for each seed."""
    config = task.config
    if search.method == DRAW:
        return [
            sample_genomes(search.space, 1, config.seed + seed, config.width, config.width)[0]
            for seed in range(config.seeds)
        ]
    genomes = []
    for seed in range(config.seeds):
        length = _length(task, search)
        where = f"searches/{search.method}-{search.space}-{config.seed + seed}"
        genomes.append(_searched(task, search, seed, length, where))
    return genomes


def _length(task: StudyTask[MethodsConfig], search: Search) -> float:
    """Return the length that fits into the time, of two short searches and their CPU times."""
    times = _read(task)
    if search.name not in times.lengths:
        spent = []
        for length in SHORT:
            where = f"timing/{search.method}-{search.space}-{length}"
            _searched(task, search, 0, length, where)
            spent.append(_read(task).seconds[where])
        per_length = max((spent[1] - spent[0]) / (SHORT[1] - SHORT[0]), 1e-9)
        start = max(0.0, spent[0] - SHORT[0] * per_length)
        length = max(SHORT[0], (task.config.seconds - start) / per_length)
        times = _read(task)
        times.lengths[search.name] = float(f"{length:.3g}")
        _write(task, times)
    return _read(task).lengths[search.name]


def _searched(
    task: StudyTask[MethodsConfig], search: Search, seed: int, length: float, where: str
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


def _trained(
    task: StudyTask[MethodsConfig], genomes: Sequence[Genome]
) -> dict[tuple[str, int], tuple[Outcome, float | None]]:
    """Train each genome with all seeds; returns outcomes, and the second judge's distances."""
    config, training = task.config, training_of(task.config)
    evaluator = TrainEvaluator(
        config=training,
        folder=task.directory / "trainings",
        images=task.real,
        resolution=config.resolution,
        device=task.device,
        backbone=task.judge,
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
    second = Scorer(
        second_judge(task), task.real.at(config.resolution), config.resolution, cache=task.cache
    )
    judged = {}
    with Jobs(evaluator, task.jobs) as jobs:
        begun = [
            jobs.begin(trial, f"training {number}/{len(trials)}")
            for number, trial in enumerate(trials, start=1)
        ]
        for trial, one in zip(trials, begun, strict=True):
            outcome = jobs.outcome(one)
            other = None
            if outcome.status == "completed":
                file = evaluator.run_of(trial) / "generator.safetensors"
                other = _distance(second, file, training, task)
            judged[trial.genome.genome_id, trial.seed] = outcome, other
    return judged


def second_judge(task: StudyTask[MethodsConfig]) -> Backbone:
    """Return a network that has never heard of classes: it tells how images are turned."""
    unlabelled: Images = replace(task.real, train_labels=None, held_out_labels=None)
    return in_domain_classifier(unlabelled, task.cache, task.device, task.stop)


def _distance(
    scorer: Scorer, file: Path, training: TrainingConfig, task: StudyTask[MethodsConfig]
) -> float:
    generator = load_generator(file, task.device)
    latent_dim = generator.about.genome.generator.latent_dim
    fakes = generate(
        generator, training.num_scored, latent_dim, training.seed, task.device, stop=task.stop
    )
    return float(scorer.score(fakes)[scorer.backbone.distance_name])


class Sample(NamedTuple):
    """Logarithms of a search's distances: of each training, and their means over each genome."""

    all: list[float]
    genomes: list[float]
    second: list[float]
    failed: int


def compared(
    task: StudyTask[MethodsConfig],
    found: dict[Search, list[Genome]],
    outcomes: dict[tuple[str, int], tuple[Outcome, float | None]],
    seconds: dict[str, float],
) -> Findings:
    """Compare each search with random search in its space, by Welch's test over its seeds.

    Distances are compared by their logarithms: geometric means, and ratios of these.
    """
    seeds = range(task.config.seed, task.config.seed + task.config.training_seeds)
    samples = {}
    for search, genomes in found.items():
        pairs = [[outcomes[genome.genome_id, seed] for seed in seeds] for genome in genomes]
        ended = [[pair for pair in pairs_of if pair[0].status == "completed"] for pairs_of in pairs]
        samples[search] = Sample(
            all=[log(pair[0].loss) for pairs_of in ended for pair in pairs_of],
            genomes=[
                fmean(log(pair[0].loss) for pair in pairs_of) for pairs_of in ended if pairs_of
            ],
            second=[
                fmean(log(pair[1]) for pair in pairs_of if pair[1])
                for pairs_of in ended
                if pairs_of
            ],
            failed=sum(map(len, pairs)) - sum(map(len, ended)),
        )
    rows, findings = [], list[str]()
    for search, sample in samples.items():
        own = f"searches/{search.method}-{search.space}-"
        spent = [used for where, used in seconds.items() if where.startswith(own)]
        row: dict[str, JsonValue] = {
            "search": search.name,
            "space": search.space,
            "seconds": fmean(spent) if spent else 0.0,
            "distance": exp(fmean(sample.genomes)) if sample.genomes else None,
            "spread": exp(stdev(sample.genomes)) if len(sample.genomes) > 1 else None,
            "second_distance": exp(fmean(sample.second)) if sample.second else None,
            "failed": sample.failed,
            "distances": [exp(value) for value in sample.all],
            "genomes": [genome.genome_id for genome in found[search]],
        }
        baseline = samples.get(Search(RANDOM, search.space))
        if search.method != RANDOM and baseline is not None:
            against, said = _against_random(search, sample.genomes, baseline.genomes)
            row |= against
            findings.append(said)
        rows.append(row)
    return Findings(
        columns=[
            Column(name="search", words="search"),
            Column(name="seconds", words="CPU seconds", format=".0f"),
            Column(name="distance", words="distance"),
            Column(name="spread", words="spread", format=".2f"),
            Column(name="second_distance", words="second judge"),
            Column(name="failed", words="failed", format="d"),
            Column(name="ratio", words="to random", format=".2f"),
            Column(name="low", words="95 %: from", format=".2f"),
            Column(name="high", words="to", format=".2f"),
            Column(name="p_value", words="p", format=".2g"),
        ],
        rows=rows,
        findings=findings,
        limits=[f"{task.config.seeds} seeds: small differences go unseen.", *LIMITS],
    )


def _against_random(
    search: Search, ours: list[float], theirs: list[float]
) -> tuple[dict[str, JsonValue], str]:
    """Compare with random search: the ratio of distances, its 95 % interval, Welch's p."""
    if min(len(ours), len(theirs)) < 2:
        return {}, f"{search.name}: too few trainings ended well to compare it with random search."
    test = ttest_ind(ours, theirs, equal_var=False)
    low, high = (exp(end) for end in test.confidence_interval())
    ratio, p_value = exp(fmean(ours) - fmean(theirs)), float(test.pvalue)
    better, much = ("lower", 1 - ratio) if ratio < 1 else ("higher", ratio - 1)
    verdict = (
        f"cannot be told from random search in {search.space}"
        if p_value >= SIGNIFICANT
        else f"{'beats' if ratio < 1 else 'loses to'} random search in {search.space}"
    )
    said = (
        f"{search.name} {verdict}: its distances are {100 * much:.0f} % {better} (95 %: "
        f"{low:.2f} to {high:.2f} times, p = {p_value:.2g})."
    )
    return {"ratio": ratio, "low": low, "high": high, "p_value": p_value}, said


def _read(task: StudyTask[MethodsConfig]) -> Times:
    path = task.directory / TIMES
    return Times.model_validate_json(path.read_text()) if path.exists() else Times()


def _write(task: StudyTask[MethodsConfig], times: Times) -> None:
    write_json(task.directory / TIMES, times.model_dump())
