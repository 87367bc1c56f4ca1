"""Trainings that diverge or collapse: what they leave, and what happens the next time."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from old_runs import copy
from tiny import CPU, GENOME, TRAINING, backbone, digits, run_search, run_training

from gan_nas.errors import FailedOutcome, InvalidInput, RunFailed
from gan_nas.runs.checkpoints import folders, step_of
from gan_nas.runs.run import Run
from gan_nas.runs.stored import stored_config, stored_settings
from gan_nas.search.drive import derive, method_of, search
from gan_nas.search.method import Task
from gan_nas.search.retraining import Retraining, retrain_all
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import published_genome
from gan_nas.training.config import TrainingConfig

# Slopes of 1e6 times their weight overflow within a step.
DIVERGES = {
    "framework": "wgan-gp",
    "generator_lr": 1.0,
    "discriminator_lr": 1.0,
    "beta2": 0.0,
    "gradient_penalty": 1e6,
    "num_critic": 10,
    "num_scored": 20,
}
# A fast generator against a slow judge: its images come closer to each other at every score.
COLLAPSES = {
    "generator_lr": 0.05,
    "discriminator_lr": 1e-4,
    "ema_decay": 0.0,
    "steps": 60,
    "score_every": 3,
    "save_every": 1,
    "num_scored": 20,
}


def outcome(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "outcome.json").read_text())
    return content


def steps(run: Path) -> list[int]:
    return [step_of(folder) for folder in folders(run)]


def scored(run: Path) -> list[int]:
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [row["step"] for row in log if "spread" in row]


def never_again() -> bool:
    raise AssertionError("nothing should be trained")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("diverged", DIVERGES), ("collapsed", COLLAPSES)],
    ids=["NaN", "one image"],
)
def test_a_failure_stays_on_the_disk_and_is_not_trained_again_unless_asked(
    tmp_path: Path, kind: FailedOutcome, changes: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    with pytest.raises(RunFailed, match=kind) as first:
        run_training(run, **changes)
    assert first.value.outcome == kind
    assert (outcome(run)["outcome"], outcome(run)["why"]) == (kind, str(first.value))
    assert not (run / "result.json").exists()
    with pytest.raises(RunFailed, match="run it again") as second:
        run_training(run, never_again, **changes)
    assert second.value.outcome == kind
    assert str(first.value) in str(second.value)
    with pytest.raises(RunFailed) as third:
        run_training(run, again=True, **changes)
    assert str(third.value) == str(first.value)  # settings and seed decide it


def test_the_checkpoint_of_the_last_good_score_outlives_a_collapse(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(RunFailed, match="collapsed"):
        run_training(run, **COLLAPSES)
    *_, good, bad = scored(run)
    assert good > 0
    assert outcome(run)["good_step"] == good
    assert steps(run) == [good, bad - 1, bad]  # and the newest two, which came too late
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += 1
        return False

    with pytest.raises(RunFailed):
        run_training(run, stop, again=True, **COLLAPSES)
    assert scored(run)[-2:] == [good, bad]
    assert looks < 40 * (bad - good)  # it began at the good one


def test_good_steps_are_known_after_a_resume(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", {}) as run:
        for step in range(1, 4):
            run.save(step, {}, {})
        run.good_step = 3
        for step in range(4, 7):
            run.save(step, {}, {})
        assert steps(run.directory) == [3, 5, 6]
        run.good_step = 4  # not saved itself: what is before it is good
        run.save(7, {}, {})
        assert steps(run.directory) == [3, 6, 7]
        run.good_step = 7
        run.save(8, {}, {})
        assert steps(run.directory) == [7, 8]


def test_a_trial_that_fails_stops_no_other_and_all_that_fail_leave_no_winner(
    tmp_path: Path,
) -> None:
    robust = published_genome("autogan-cifar10-top1").resized(4, 4)

    def trials(*genomes: Genome, again: bool = False) -> Retraining:
        return retrain_all(
            tmp_path,
            genomes,
            digits(),
            TrainingConfig.model_validate(TRAINING | DIVERGES),
            resolution=16,
            device=CPU,
            backbone=backbone(),
            again=again,
        )

    alone = trials(GENOME)
    assert alone.winner is None
    assert [trial.outcome for trial in alone.trials] == ["diverged"]
    again = trials(GENOME, again=True)
    assert again == alone
    both = trials(GENOME, robust)
    assert [trial.outcome for trial in both.trials] == ["completed", "diverged"]
    assert both.winner == robust.genome_id
    assert "run it again" in str(both.trials[1].why)


def test_a_search_that_failed_says_so_until_it_is_run_again(tmp_path: Path) -> None:
    run = copy("degas-interrupted", tmp_path / "run")
    stored = stored_config(run)
    method = method_of(run)
    task = Task(config=stored_settings(run, stored, method.Config), images=digits())
    with pytest.raises(RunFailed), Run.open(run, stored):
        raise RunFailed("the search diverged")
    with pytest.raises(RunFailed, match="the search diverged"):
        search(method, replace(task, stop=never_again), run)
    with pytest.raises(InvalidInput, match="has failed: the search diverged"):
        derive(run, count=1)
    assert search(method, task, run, again=True).genomes
    assert not (run / "outcome.json").exists()


@pytest.mark.slow
def test_a_supernet_that_gives_one_image_only_fails_its_search(tmp_path: Path) -> None:
    rates = {"generator_lr": 1.0, "discriminator_lr": 1.0}
    with pytest.raises(RunFailed, match=r"the supernet has collapsed: at step 20 .* learning rate"):
        run_search("adversarialnas", tmp_path / "run", **rates, iterations=20, score_every=20)
    assert outcome(tmp_path / "run")["outcome"] == "collapsed"


def test_other_errors_leave_no_outcome(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput), Run.open(tmp_path / "run", {}):
        raise InvalidInput("a value")
    assert not (tmp_path / "run" / "outcome.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"outcome": "tired", "why": "so"}'])
def test_a_damaged_outcome_is_named(tmp_path: Path, text: str) -> None:
    with Run.open(tmp_path / "run", {"versions": {}}) as run:
        run.path("outcome.json").write_text(text)
        with pytest.raises(Exception, match=r"outcome\.json"):
            run.begin()
