"""Searches whose trials are trained, and several trials at once."""

from functools import partial
from pathlib import Path
from typing import Any

import extras
import pytest
import tiny
import torch
from landscape import Judge, landscape

from gan_nas.errors import Incompatible, Interrupted, InvalidInput, RunFailed
from gan_nas.runs.loop import read_state
from gan_nas.search import STRATEGIES, drive, load_method
from gan_nas.search.best import Limit
from gan_nas.search.strategies.search import State
from gan_nas.spaces.genome import Genome
from gan_nas.training.loop import train
from gan_nas.trials.trial import Outcome, Trial


@pytest.fixture(params=extras.methods(STRATEGIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_halving_refuses_a_training_that_cannot_go_on(tmp_path: Path) -> None:
    for settings in ({"space": "degas"}, {"training_set": (*tiny.FEW, "lr_decay=linear")}):
        with pytest.raises(InvalidInput, match="lr_decay follows the length of a training"):
            tiny.run_search("halving", tmp_path / "run", **settings)
        assert not (tmp_path / "run").exists()
    method, task = load_method("halving"), tiny.search_task("halving", space="degas", rungs=1)
    method.check(task)


def failing(*args: Any, **options: Any) -> Any:
    raise RunFailed("it has diverged")


def test_a_budget_of_seconds_ends_a_search_of_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_nas.trials.training.train", failing)
    with pytest.raises(RunFailed, match="no trial came to a good end"):
        tiny.run_search("random", tmp_path, trials=None, seconds=1e-6)


def test_a_bad_trial_is_an_outcome_and_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Genome] = []
    errors: dict[int, Exception] = {
        0: RunFailed("it has diverged"),
        1: RunFailed("all images are the same", "collapsed"),
        2: torch.OutOfMemoryError("CUDA out of memory"),
        3: RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"),
    }

    def harmed(genome: Genome, *args: Any, **options: Any) -> Any:
        asked.append(genome)
        if error := errors.get(len(asked) - 1):
            raise error
        return train(genome, *args, **options)

    monkeypatch.setattr("gan_nas.trials.training.train", harmed)
    result = tiny.run_search("random", tmp_path, trials=6)
    assert len(result.genomes) == 2
    failed = {"diverged": 1, "collapsed": 1, "out_of_memory": 2}
    told = {"trials": 6, "images": 6 * 32, "failed": failed, "evaluator": "train"}
    assert result.facts == told
    statuses = [row["status"] for row in tiny.Searched(tmp_path, result).log]
    assert statuses == [*("diverged", "collapsed"), *("out_of_memory",) * 2, *("completed",) * 2]


@pytest.mark.parametrize(
    "name",
    [
        "evolution",
        pytest.param("halving", marks=pytest.mark.slow),  # rungs: test_retraining stops them
        pytest.param("nsga2", marks=pytest.mark.slow),
        pytest.param("reinforce", marks=pytest.mark.slow),
        pytest.param("optuna", marks=[pytest.mark.slow, extras.needs_optuna]),
    ],
)
def test_a_search_stopped_again_and_again_is_the_one_that_was_not(
    name: str, tmp_path: Path
) -> None:
    tiny.run_search(name, tmp_path / "whole")
    interrupted = 0
    while not (tmp_path / "run" / "result.json").exists():
        looks = iter([False] * (5 + interrupted % 3))
        try:
            tiny.run_search(name, tmp_path / "run", partial(next, looks, True))
        except Interrupted:
            interrupted += 1
    assert interrupted >= 4
    assert tiny.traces(tmp_path / "run") == tiny.traces(tmp_path / "whole")


def test_latency_is_measured_when_a_trial_ends_and_kept_for_good(tmp_path: Path) -> None:
    run = partial(tiny.run_search, "nsga2", tmp_path, trials=3, population=2, against="latency")
    looks = iter([False] * 14)
    with pytest.raises(Interrupted):
        run(partial(next, looks, True))
    first = [one.latency_ms for one in outcomes_of(tmp_path)]
    assert 1 <= len(first) < 3
    result = run()
    latencies = [one.latency_ms for one in outcomes_of(tmp_path)]
    assert latencies[: len(first)] == first
    assert all(one is not None and 0 < one < 1_000 for one in latencies)
    assert [row["latency_ms"] for row in tiny.Searched(tmp_path, result).log] == latencies
    assert {row.values["latency_ms"] for row in result.genomes} <= set(latencies)
    assert {row.values["latency_ms"] for row in tiny.derive(tmp_path, 2)} <= set(latencies)
    tiny.run_search("nsga2", tmp_path / "other", trials=1)
    assert outcomes_of(tmp_path / "other")[0].latency_ms is None


def outcomes_of(directory: Path) -> list[Outcome]:
    return read_state(State, tiny.state_of(directory)).outcomes


def test_a_bug_is_no_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("gan_nas.trials.training.train", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        tiny.run_search("random", tmp_path)


def test_a_search_of_which_no_trial_ends_well_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_nas.trials.training.train", failing)
    with pytest.raises(RunFailed, match="no trial came to a good end"):
        tiny.run_search("random", tmp_path)


@pytest.mark.slow
def test_what_moves_up_a_rung_is_trained_as_if_it_had_been_so_long(tmp_path: Path) -> None:
    result = tiny.run_search("halving", tmp_path / "run", trials=8)
    outcomes = outcomes_of(tmp_path / "run")
    high = [one for one in outcomes if one.trial.images == 32]
    assert high
    assert result.genomes[0].values["images"] == 32
    for outcome in high:
        assert [row["images"] for row in outcome.scores] == [0, 16, 32]
        task = tiny.search_task("halving", rungs=1, trials=1)
        work: Any = load_method("halving").start(task)
        alone = work.evaluator(Trial(genome=outcome.trial.genome, images=32, seed=0))
        assert alone.distance == outcome.distance


@pytest.mark.slow
def test_a_search_of_another_version_that_would_ask_otherwise_is_not_gone_on_with(
    tmp_path: Path,
) -> None:
    tiny.run_search("random", tmp_path)
    state = State(outcomes=outcomes_of(tmp_path)[:0:-1])
    work = load_method("random").start(tiny.search_task("random"), state)
    with pytest.raises(Incompatible, match="use the version of gan-nas that this search was begun"):
        work.advance()


@pytest.mark.slow
def test_derive_takes_limits(tmp_path: Path) -> None:
    result = tiny.run_search("random", tmp_path, trials=5)
    rows = tiny.derive(tmp_path, 5)
    assert rows[0] == result.genomes[0]
    most = sorted(row.parameters for row in rows)[1]
    kept = tiny.derive(tmp_path, 5, Limit(most, None))
    assert kept == [row for row in rows if row.parameters <= most]
    with pytest.raises(InvalidInput, match="no trial came to a good end within 9 parameters"):
        drive.derive(tmp_path, count=1, limit=Limit(9, None))


class Landscape:
    """Judges trials in no time, in the place of jobs."""

    def __init__(self, num: int, judge: Judge) -> None:
        self.num, self.judge = num, judge

    def begin(self, trial: Trial, row: str) -> Trial:
        del row
        return trial

    def outcome(self, trial: Trial) -> Outcome:
        distance, places = self.judge(trial.genome), len(trial.genome.to_json())
        return Outcome(trial=trial, status="completed", distance=distance, parameters=places)


def side_by_side(name: str, num: int, state: State, trials: int) -> State:
    """Go on with a search until it has so many trials."""
    alone = tiny.ALONE if name == "evolution" else {}
    work: Any = load_method(name).start(tiny.search_task(name, trials=20, **alone), state)
    work.jobs = Landscape(num, landscape("autogan"))
    while not work.finished and work.step < trials:
        work.advance()
    return State.model_validate_json(work.state.model_dump_json())


@pytest.mark.parametrize("num", [5])  # more than the trials before an interruption
def test_what_jobs_are_asked_for_depends_neither_on_which_ends_first_nor_on_interruptions(
    name: str, num: int
) -> None:
    whole = side_by_side(name, num, State(), 20)
    assert whole.known == [max(0, i + 1 - num) for i in range(20)]
    state = State()
    for trials in range(3, 23, 3):
        state = side_by_side(name, num, state, trials)
    assert state == whole
    keys = [(one.trial.name, one.trial.images) for one in whole.outcomes]
    assert len(set(keys)) == len(keys) == 20


def test_a_search_goes_on_with_another_number_of_jobs(name: str) -> None:
    state = side_by_side(name, 1, State(), 6)
    for num, trials in ((4, 9), (1, 12), (3, 20)):
        state = side_by_side(name, num, state, trials)
    assert len(state.outcomes) == 20
    assert state.known == sorted(state.known)
    alone = side_by_side(name, 1, State(), 20)
    assert state.outcomes[:6] == alone.outcomes[:6]
    if name == "random":  # which learns nothing
        assert state.outcomes == alone.outcomes


def test_a_search_of_one_job_that_an_older_version_began_goes_on() -> None:
    state = side_by_side("evolution", 1, State(), 9)
    old = State.model_validate_json(state.model_dump_json(exclude={"known"}))
    assert old == state


def test_state_of_older_versions_had_one_job_and_shared_no_weights(tmp_path: Path) -> None:
    tiny.run_search("random", tmp_path, trials=3)
    stored = tiny.state_of(tmp_path)
    older = {name: value for name, value in stored.items() if name not in ("known", "shared")}
    assert read_state(State, older) == read_state(State, stored)
    with pytest.raises(Incompatible, match="known has 2 of 3 outcomes"):
        read_state(State, stored | {"known": [0, 1]})
    with pytest.raises(Incompatible, match="it lacks known, outcomes, shared"):
        read_state(State, {})
