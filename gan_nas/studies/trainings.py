"""Trainings of genomes, alike for all and with several seeds, which two networks judge."""

from collections.abc import Mapping, Sequence
from math import exp, log
from statistics import fmean, stdev
from typing import NamedTuple, TypeVar

from pydantic import Field, JsonValue

from gan_nas.configs import find_preset, resolve
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.loading import load_backbone
from gan_nas.spaces.frameworks import Framework
from gan_nas.spaces.genome import Genome
from gan_nas.studies.study import StudyConfig, StudyTask
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.trials.executor import open_executor
from gan_nas.trials.training import TrainEvaluator
from gan_nas.trials.trial import Outcome, Trial

SECOND = "frechet_distance[residual"  # the second judge's, of labelled data and others


class TrainingsConfig(StudyConfig):
    """How genomes are trained to be compared."""

    resolution: int = Field(default=16, ge=8, le=512)
    """Side of the images."""
    framework: Framework = "hinge-sn"
    """How genomes are trained."""
    training: str = "demo"
    """Preset of these trainings."""
    training_set: tuple[str, ...] = ("steps=500", "score_every=500")
    """Settings of these trainings on top of it."""
    training_seeds: int = Field(default=3, ge=1, le=100)
    """Trainings of each genome."""

    @property
    def first_seed(self) -> int:
        """Return the first seed of these trainings."""
        return self.seed


T = TypeVar("T", bound=TrainingsConfig)


def training_of(config: TrainingsConfig) -> TrainingConfig:
    """Return how genomes are trained; raises InvalidInput for settings that there are not."""
    preset = find_preset(presets_for("autogan", config.framework), config.training)
    return resolve(
        TrainingConfig,
        preset,
        config.training_set,
        {"framework": config.framework, "seed": config.seed},
    )


def second_judge(task: StudyTask[T]) -> Backbone:
    """Return another network, which knows nothing of the first."""
    return load_backbone("residual", task.real, task.cache, task.device, task.stop, task.progress)


def train_all(task: StudyTask[T], genomes: Sequence[Genome]) -> dict[str, list[Outcome]]:
    """Train each genome with all seeds; returns the outcomes of each, by its id.

    Each training is a run of its own in the study's directory, and the same call goes on.
    """
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
        Trial(genome=genome, images=images, seed=config.first_seed + seed)
        for seed in range(config.training_seeds)
        for genome in different.values()
    ]
    trained: dict[str, list[Outcome]] = {name: [] for name in different}
    with open_executor(task.executor, evaluator, task.jobs) as jobs:
        begun = [
            jobs.begin(trial, f"training {number}/{len(trials)}")
            for number, trial in enumerate(trials, start=1)
        ]
        for one in begun:
            trained[one.trial.genome.genome_id].append(jobs.outcome(one))
    return trained


class Sample(NamedTuple):
    """Logarithms of distances: of each training, and means over those of each genome."""

    all: list[float]
    genomes: list[float]
    second: list[float]
    """Means over those of each genome, by the second judge."""
    failed: int
    """Trainings that came to no good end."""

    def row(self) -> dict[str, JsonValue]:
        """Return geometric means, the spread between genomes as a factor, and all distances."""
        return {
            "distance": exp(fmean(self.genomes)) if self.genomes else None,
            "spread": exp(stdev(self.genomes)) if len(self.genomes) > 1 else None,
            "second_distance": exp(fmean(self.second)) if self.second else None,
            "failed": self.failed,
            "distances": [exp(value) for value in self.all],
        }


def sampled(genomes: Sequence[Genome], outcomes: Mapping[str, Sequence[Outcome]]) -> Sample:
    """Gather the trainings of genomes from the outcomes of each, by its id.

    A genome that was found twice counts once: its trainings are the same.
    """
    different = {genome.genome_id: genome for genome in genomes}
    trained = [outcomes[name] for name in different]
    ended = [[one for one in each if one.status == "completed"] for each in trained]
    return Sample(
        all=[log(one.loss) for each in ended for one in each],
        genomes=[fmean(log(one.loss) for one in each) for each in ended if each],
        second=[fmean(log(_second(one)) for one in each) for each in ended if each],
        failed=sum(map(len, trained)) - sum(map(len, ended)),
    )


def _second(outcome: Outcome) -> float:
    """Return the distance by the second judge."""
    (name,) = (name for name in outcome.scores[-1] if name.startswith(SECOND))
    return float(outcome.scores[-1][name])
