"""A run is judged by one network to its end, wherever the cache is and whatever trained it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from commands import Command, sets
from tiny import CPU, TRAINING

from gan_nas.cli.inputs import settings
from gan_nas.data import load_images
from gan_nas.errors import Interrupted
from gan_nas.metrics.classifier import save_classifier, train_classifier
from gan_nas.metrics.loading import load_backbone
from gan_nas.spaces.published import published_genome
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.training.loop import train


@pytest.fixture
def other_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with another network for the same images, as another number of threads may train."""
    images, cache = load_images(str(folder)), tmp_path / "cache"
    other = train_classifier(images, CPU)
    with torch.no_grad():
        next(other.network.parameters()).mul_(1.5)
    save_classifier(cache / f"classifier-{images.fingerprint}.safetensors", other, images)
    monkeypatch.setenv("GAN_NAS_CACHE", str(cache))
    return cache


@pytest.fixture
def interrupted(folder: Path, tmp_path: Path) -> Path:
    """A training that was stopped under the usual cache."""
    images, looks = load_images(str(folder)), iter(range(1000))
    with pytest.raises(Interrupted):
        train(
            published_genome("autogan-cifar10-top1").resized(4, 4),
            images,
            settings(
                TrainingConfig, presets_for("autogan"), "demo", sets(TRAINING)[1::2], "auto", CPU
            ),
            tmp_path / "run",
            resolution=16,
            device=CPU,
            backbone=load_backbone("classifier", images, None, CPU),
            stop=lambda: next(looks) > 4,
        )
    return tmp_path / "run"


def judged_by(passport: dict[str, str]) -> str:
    return passport["weights"]


@pytest.mark.parametrize("lost", ["the cache", "nothing"])
def test_a_resume_is_judged_by_the_runs_own_network(
    gan_nas: Command, folder: Path, interrupted: Path, other_cache: Path, lost: str
) -> None:
    if lost == "the cache":
        shutil.rmtree(other_cache)
    before = json.loads((interrupted / "config.json").read_text())["backbone"]
    options = ("--data", folder, *sets(TRAINING), "--run", interrupted, "--threads", 2, "--json")
    try:
        answer = gan_nas("retrain", "autogan-cifar10-top1", "--width", 4, *options)
    finally:
        torch.set_num_threads(1)
    assert answer.code == 0, answer.err
    assert judged_by(answer.json["passport"]) == before
    assert not list(other_cache.glob("classifier*")) or lost == "nothing"


def test_without_its_own_network_a_resume_is_refused(
    gan_nas: Command, folder: Path, interrupted: Path, other_cache: Path
) -> None:
    (interrupted / "judge.safetensors").unlink()
    options = ("--data", folder, *sets(TRAINING), "--run", interrupted)
    answer = gan_nas("retrain", "autogan-cifar10-top1", "--width", 4, *options)
    assert answer.code == 4
    assert "backbone:" in answer.err


def test_derive_and_its_trials_are_judged_by_the_searchs_own_network(
    gan_nas: Command, finished_search: Path, other_cache: Path, tmp_path: Path
) -> None:
    run = tmp_path / "search"
    shutil.copytree(finished_search, run)
    before = json.loads((run / "config.json").read_text())["backbone"]
    training = ("--retrain", *sets(TRAINING | {"steps": 1}))
    answer = gan_nas("derive", run, "--top-k", 1, "--json", *training)
    assert answer.code == 0, answer.err
    (trial,) = answer.json["retraining"]["trials"]
    assert judged_by(answer.json["passport"]) == judged_by(trial["result"]["passport"]) == before
