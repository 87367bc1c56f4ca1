"""Trials side by side, wherever they are judged: equal to one after the other."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from extras import needs_ray, needs_submitit

from gan_nas.errors import Incompatible, Interrupted, InvalidInput, MissingResource
from gan_nas.progress import ENDED
from gan_nas.runs.run import Run
from gan_nas.spaces.published import published_genome
from gan_nas.training.config import TrainingConfig
from gan_nas.trials.executor import check_executor
from gan_nas.trials.jobs import Jobs
from gan_nas.trials.remote import Engine, Judge, Remote, WorkerLost
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


class Here(Engine):
    """Calls in this very process, when they are waited for; the first ones are lost."""

    def __init__(self, losses: int = 0) -> None:
        self.losses, self.calls = losses, list[str]()

    def start(self, work: Judge, num: int) -> None:
        self.work = work

    def submit(self, content: str) -> int:
        self.calls.append(content)
        return len(self.calls) - 1

    def ended(self, tickets: Sequence[int], seconds: float) -> Sequence[int]:
        return tickets[:1]

    def answer(self, ticket: int) -> str:
        if self.losses:
            self.losses -= 1
            raise WorkerLost("a test has it")
        return self.work(self.calls[ticket])

    def cancel(self, ticket: int) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("losses", [0, 1])
def test_an_engine_comes_to_the_same_outcomes_and_what_it_has_lost_is_begun_once_more(
    losses: int, tmp_path: Path, here: list[Outcome]
) -> None:
    engine, ended = Here(losses), list[str]()

    def progress(phase: str, *_: object, row: str = "") -> None:
        assert phase == ENDED
        ended.append(row)

    judge = replace(evaluator(tmp_path), progress=progress)
    with Remote(judge, 2, engine) as remote:
        begun = [remote.begin(trial, str(number)) for number, trial in enumerate(TRIALS[:2])]
        outcomes = [remote.outcome(one) for one in begun]
    assert all(map(same, outcomes, here))
    assert len(engine.calls) == 2 + losses
    assert sorted(ended) == ["0", "1"]


def test_a_trial_that_an_engine_loses_twice_is_an_outcome(tmp_path: Path) -> None:
    with Remote(evaluator(tmp_path), 1, Here(2)) as remote:
        outcome = remote.outcome(remote.begin(TRIALS[0], "1"))
    assert outcome.status == "out_of_memory"
    assert outcome.why
    assert outcome.why.startswith("its process ended 2 times, at last as a test has it")


def test_what_is_raised_elsewhere_is_raised_here_and_a_request_to_stop_ends_all(
    tmp_path: Path,
) -> None:
    with Run.open(tmp_path / TRIALS[0].name, {"another": "run"}):
        pass
    asked = [False]
    with Remote(replace(evaluator(tmp_path), stop=lambda: asked[0]), 1, Here()) as remote:
        with pytest.raises(Incompatible, match="another"):
            remote.outcome(remote.begin(TRIALS[0], "1"))
        begun = remote.begin(TRIALS[1], "2")
        asked[0] = True
        with pytest.raises(Interrupted, match="run the same command again"):
            remote.outcome(begun)


def test_executors_that_are_not_there_are_refused() -> None:
    with pytest.raises(InvalidInput, match="unknown executor 'rya', did you mean ray"):
        check_executor("rya")


@needs_submitit
def test_without_slurm_its_executor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingResource, match="there is no srun here"):
        check_executor("slurm")


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], Engine]]:
    """What makes engines whose processes know the tests' own backbone."""
    monkeypatch.setenv("PYTHONPATH", str(Path(tiny.__file__).parent))

    def ray() -> Engine:
        from gan_nas.trials.engines.ray import RayEngine

        return RayEngine()

    def slurm() -> Engine:
        from gan_nas.trials.engines.slurm import SlurmEngine

        return SlurmEngine("local")

    return {"ray": ray, "slurm": slurm}


OTHERS = [pytest.param("ray", marks=needs_ray), pytest.param("slurm", marks=needs_submitit)]
LONG = Trial(genome=GENOMES[0], images=10**9, seed=5)


def worker_of(run: Path) -> int:
    """Return the number of the process that works in a run, once it has saved."""
    while not list(run.glob("checkpoint/0*")):
        time.sleep(0.1)
    return int((run / ".lock").read_text().split()[0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", OTHERS)
def test_ray_and_slurm_judge_survive_kills_and_stop(
    name: str, engines: dict[str, Callable[[], Engine]], tmp_path: Path, here: list[Outcome]
) -> None:
    asked, answered = [False], []
    before = signal.signal(signal.SIGTERM, lambda *_: answered.append(True))
    judge = replace(evaluator(tmp_path / "trials"), stop=lambda: asked[0])
    try:
        with Remote(judge, 2, engines[name]()) as remote:
            begun = [remote.begin(trial, str(number)) for number, trial in enumerate(TRIALS)]
            assert all(map(same, [remote.outcome(one) for one in begun], here))
            with Run.open(tmp_path / "trials" / f"{GENOMES[0].genome_id}-9", {"another": "run"}):
                pass
            with pytest.raises(Incompatible, match="another"):
                remote.outcome(remote.begin(TRIALS[0].model_copy(update={"seed": 9}), "4"))

            run, victims = tmp_path / "trials" / LONG.name, list[int]()

            def interfere() -> None:
                victims.append(worker_of(run))
                os.kill(victims[0], signal.SIGKILL)
                while (number := worker_of(run)) == victims[0]:
                    time.sleep(0.1)
                victims.append(number)
                asked[0] = True

            threading.Thread(target=interfere, daemon=True).start()
            with pytest.raises(Interrupted, match="the state of all trials is saved"):
                remote.outcome(remote.begin(LONG, "5"))
        assert len(victims) == 2
        assert list(run.glob("checkpoint/0*"))
        os.kill(os.getpid(), signal.SIGTERM)
        assert answered
    finally:
        signal.signal(signal.SIGTERM, before)
