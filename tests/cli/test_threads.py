"""Where a command's number of CPU threads comes from, and that a run keeps it."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from commands import Command, sets
from tiny import CPU, TRAINING, timeless

from gan_nas.cli.inputs import compute_on
from gan_nas.cli.threads import in_words, settle_threads, stored_threads
from gan_nas.machine.cores import available_cores, idle_cores


def stored(run: Path, threads: object) -> Path:
    run.mkdir()
    config = {"run_id": "a", "versions": {"threads": threads}}
    (run / "config.json").write_text(json.dumps(config))
    return run


def test_an_option_wins_over_all_else(tmp_path: Path) -> None:
    compute_on("cpu", 3)
    settle_threads(3, CPU, [stored(tmp_path / "run", 2)])
    assert torch.get_num_threads() == 3


def test_a_run_keeps_its_threads_whatever_the_environment_says(tmp_path: Path) -> None:
    assert os.environ["OMP_NUM_THREADS"] == "1"
    runs = [tmp_path / "absent", stored(tmp_path / "first", 2), stored(tmp_path / "second", 3)]
    settle_threads(None, CPU, runs)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("bad", [None, "2", 0, -1, 10**9, 1.5, True, [2]])
def test_a_strange_number_in_a_run_is_no_number(bad: object, tmp_path: Path) -> None:
    assert stored_threads(stored(tmp_path / "run", bad)) is None


def test_without_a_word_idle_cores_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    compute_on("cpu", None)
    assert torch.get_num_threads() in (idle_cores(), available_cores())
    monkeypatch.setattr(os, "getloadavg", lambda: (1e6, 1e6, 1e6))
    compute_on("cpu", None)
    assert torch.get_num_threads() == 1


def test_the_choice_is_said_in_words() -> None:
    assert in_words({1: 0.05, 2: 0.03}) == "2 CPU threads: 30 ms a step (with 1 50 ms)"
    assert in_words({1: 12.0, 2: 11.9}) == "1 CPU thread: 12 s a step (with 2 12 s)"


@pytest.mark.skipif(available_cores() < 2, reason="there is nothing to choose")
@pytest.mark.parametrize(
    "command",
    [
        ("retrain", "autogan-cifar10-top1", "--width", "4"),
        ("reconstruct", "ctgan-cifar10", "--width", "4"),
        pytest.param(("search", "--method", "degas", "--set", "width=4"), marks=pytest.mark.slow),
    ],
)
def test_a_choice_is_measured_and_told(
    gan_nas: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    options = ("--device", "cpu", "--dry-run", "--json")
    answer = gan_nas(*command, "--run", tmp_path / "run", *options)
    assert answer.code == 0
    assert re.search(r"\d CPU threads?: [\d,]+ m?s a step \(with \d", answer.err)
    assert answer.json["threads"] == torch.get_num_threads()
    assert 1 <= answer.json["threads"] <= available_cores()


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_bytes_though_another_number_would_be_chosen_now(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    options = ("--width", 4, "--data", folder, *sets(TRAINING | {"steps": 4, "save_every": 2}))
    command = ("retrain", "autogan-cifar10-top3", *options)
    whole = gan_nas(*command, "--run", first, "--threads", 2, "--json").json
    # As a kill after the second step would have left it.
    shutil.copytree(first, second)
    (second / "result.json").unlink()
    shutil.rmtree(sorted((second / "checkpoint").iterdir())[-1])
    torch.set_num_threads(1)
    answer = gan_nas(*command, "--run", second, "--json")
    assert torch.get_num_threads() == 2
    assert "CPU threads" not in answer.err
    assert timeless(answer.json) == timeless(whole)
    for name in ("generator.safetensors", "best.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    (second / "result.json").unlink()
    told = gan_nas(*command, "--run", second, "--threads", 1)
    assert told.code == 0
    assert "was made with another number of CPU threads: threads: 2 -> 1" in told.err


def test_more_memory_than_is_free_is_said_before_the_start(
    gan_nas: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = sets(TRAINING | {"steps": 1})
    options = ("--data", folder, "--width", 4, "--device", "cpu", *settings)
    monkeypatch.setattr("gan_nas.cli.plans.available_memory", lambda: 1 << 20)
    answer = gan_nas("retrain", "sngan-cifar10", *options, "--run", tmp_path / "run")
    assert answer.code == 0
    assert re.search(r"will need about [\d.]+ MiB and 1\.0 MiB of memory are free", answer.err)
    monkeypatch.setattr("gan_nas.cli.plans.available_memory", lambda: None)
    answer = gan_nas("retrain", "sngan-cifar10", *options, "--run", tmp_path / "other")
    assert "memory are free" not in answer.err


@pytest.mark.slow
def test_bench_load_times_both_alone_and_beside_busy_processes(
    gan_nas: Command, folder: Path
) -> None:
    del folder  # its cache for the classifier
    few = ("--search-set=iterations=3", "--search-set=grow_at=1,2", "--training-set=steps=2")
    few += ("--search-set=discriminator_steps=2", "--search-set=controller_steps=1")
    few += ("--search-set=num_candidates=5", "--search-set=num_scored=100")
    answer = gan_nas("bench", "load", "--busy", 1, "--threads", 1, *few, "--json")
    assert answer.code == 0, answer.err
    rows = answer.json["rows"]
    assert [row["busy"] for row in rows] == [0, 1, 0, 1]
    assert all(row["seconds"] > 0 and row["threads"] == 1 for row in rows)
    assert rows[0]["ratio"] == rows[2]["ratio"] == 1
    assert rows[1]["ratio"] == pytest.approx(rows[1]["seconds"] / rows[0]["seconds"])
