"""`derive --retrain` and `retrain` where trainings fail."""

import json
from pathlib import Path

from commands import Command, sets
from old_runs import copy
from tiny import TRAINING

# Every image saturates at once.
COLLAPSES = TRAINING | {
    "generator_lr": 1.0,
    "discriminator_lr": 1e-6,
    "beta2": 0.0,
    "ema_decay": 0.0,
    "steps": 30,
    "score_every": 10,
    "num_scored": 64,
    "num_reference": 200,
}


def test_without_a_winner_derive_prints_its_table_and_exits_with_5(
    gan_nas: Command, tmp_path: Path
) -> None:
    run = copy("degas-finished", tmp_path / "run")
    options = ("derive", run, "--top-k", 2, "--retrain", *sets(COLLAPSES))
    answer = gan_nas(*options, "--json")
    assert answer.code == 5
    retraining = answer.json["retraining"]
    assert retraining["winner"] is None
    outcomes = {trial["outcome"] for trial in retraining["trials"]}
    assert outcomes <= {"collapsed", "diverged"}
    assert "there is no winner" in answer.err
    shown = gan_nas(*options)
    assert shown.code == 5
    for trial in retraining["trials"]:
        assert trial["id"] in shown.out
        assert trial["outcome"] in shown.out
        assert json.loads((run / "retrained" / trial["id"] / "outcome.json").read_text())
    assert "--again for the same once more" in shown.err
    assert gan_nas(*options, "--again", "--json").json["retraining"] == retraining


def test_retrain_fails_as_before_until_it_is_asked_to_run_again(
    gan_nas: Command, tmp_path: Path
) -> None:
    options = ("retrain", "autogan-cifar10-top3", "--width", 4, "--run", tmp_path / "run")
    options = (*options, *sets(COLLAPSES))
    first = gan_nas(*options)
    assert first.code == 5
    second = gan_nas(*options)
    assert second.code == 5
    assert "run it again (--again)" in second.err
    third = gan_nas(*options, "--again")
    assert third.code == 5
    assert "(--again)" not in third.err
