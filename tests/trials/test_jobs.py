"""Trials side by side, each in a process of its own: equal to one after the other."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from gan_nas.errors import Incompatible, Interrupted
from gan_nas.progress import ENDED
from gan_nas.runs.run import Run
from gan_nas.spaces.published import published_genome
from gan_nas.training.config import TrainingConfig
from gan_nas.trials.jobs import Jobs
from gan_nas.trials.training import TrainEvaluator
from gan_nas.trials.trial import Outcome, Trial

GENOMES = [
    published_genome(name).resized(4, 4)
    for name in ("autogan-cifar10-top1", "autogan-cifar10-top2", "adversarialnas-cifar10")
]
TRIALS = [Trial(genome=genome, images=32, seed=1) for genome in GENOMES]


def evaluator(folder: Path) -> TrainEvaluator:
    return TrainEvaluator(
        config=TrainingConfig.model_validate(tiny.TRAINING),
        folder=folder,
        images=tiny.digits(),
        resolution=16,
        device=tiny.CPU,
        backbone=tiny.backbone(),
    )


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """What comes of the trials one after the other."""
    return list(map(evaluator(tmp_path_factory.mktemp("here")), TRIALS))


def same(a: Outcome, b: Outcome) -> bool:
    timeless = {"seconds": 0.0, "processor_seconds": 0.0}
    return a.model_copy(update=timeless) == b.model_copy(update=timeless)


def test_jobs_come_to_the_same_outcomes_killed_or_not_and_tell_how_far_they_are(
    tmp_path: Path, here: list[Outcome]
) -> None:
    told: dict[str, list[str]] = {}
    killed = []

    def progress(phase: str, *_: object, row: str = "") -> None:
        told.setdefault(row, []).append(phase)
        if row == "1" and phase != ENDED and not killed:
            assert jobs._workers[0].process.pid
            killed.append(jobs._workers[0].process.pid)
            os.kill(killed[0], signal.SIGKILL)

    with Jobs(replace(evaluator(tmp_path / "a folder"), progress=progress), 2) as jobs:
        begun = [jobs.begin(trial, str(number)) for number, trial in enumerate(TRIALS, start=1)]
        outcomes = [jobs.outcome(one) for one in begun[::-1]][::-1]
        assert len(jobs._workers) == 2
    assert killed
    assert all(map(same, outcomes, here))
    assert set(told) == set("123")
    assert all(phases[-1] == ENDED and len(phases) > 1 for phases in told.values())


def test_what_a_job_raises_is_raised_here_and_stopped_jobs_have_saved(tmp_path: Path) -> None:
    asked = [False]
    judge = replace(evaluator(tmp_path), stop=lambda: asked[0])
    taken = tmp_path / TRIALS[0].name
    with Jobs(judge, 2) as jobs:
        with Run.open(taken, {"another": "run"}):
            pass
        with pytest.raises(Incompatible, match="another"):
            jobs.outcome(jobs.begin(TRIALS[0], "1"))
        long = Trial(genome=GENOMES[0], images=10**9, seed=5)
        begun = jobs.begin(long, "2")

        def stop_when_it_trains(phase: str, *_: object, row: str = "") -> None:
            asked[0] = asked[0] or phase.endswith("training images")

        jobs.evaluator = replace(judge, progress=stop_when_it_trains)
        with pytest.raises(Interrupted, match="the state of all trials is saved"):
            jobs.outcome(begun)
    assert list((tmp_path / long.name / "checkpoint").iterdir())


def test_a_trial_that_went_on_to_more_images_is_still_known_at_fewer(tmp_path: Path) -> None:
    judge = replace(evaluator(tmp_path), score_every=32)
    short = judge(TRIALS[0])
    longer = TRIALS[0].model_copy(update={"images": 64})
    assert judge(longer).trial.images == 64
    again = judge(TRIALS[0])
    assert (again.distance, again.scores) == (short.distance, short.scores)
    assert again == short
    assert judge(longer).distance == judge(longer).scores[-1]["frechet_distance[classifier]"]
