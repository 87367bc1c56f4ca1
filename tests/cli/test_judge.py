"""A run is judged by one network to its end, wherever the cache is and whatever trained it."""

import json
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


@pytest.mark.slow
def test_a_resume_is_judged_by_the_runs_own_network(
    gan_nas: Command, folder: Path, interrupted: Path, other_cache: Path
) -> None:
    cached = sorted(other_cache.glob("classifier*"))
    before = json.loads((interrupted / "config.json").read_text())["backbone"]
    options = ("--data", folder, *sets(TRAINING), "--run", interrupted, "--threads", 2, "--json")
    answer = gan_nas("retrain", "autogan-cifar10-top1", "--width", 4, *options)
    assert answer.code == 0, answer.err
    assert answer.json["passport"]["weights"] == before
    assert sorted(other_cache.glob("classifier*")) == cached


def test_without_its_own_network_a_resume_is_refused(
    gan_nas: Command, folder: Path, interrupted: Path, other_cache: Path
) -> None:
    (interrupted / "judge.safetensors").unlink()
    options = ("--data", folder, *sets(TRAINING), "--run", interrupted)
    answer = gan_nas("retrain", "autogan-cifar10-top1", "--width", 4, *options)
    assert answer.code == 4
    assert "backbone:" in answer.err


def test_derive_and_its_trials_are_judged_by_the_searchs_own_network(
    gan_nas: Command, finished_search: Path, other_cache: Path
) -> None:
    before = json.loads((finished_search / "config.json").read_text())["backbone"]
    training = ("--retrain", *sets(TRAINING | {"steps": 1}))
    answer = gan_nas("derive", finished_search, "--top-k", 1, "--json", *training)
    assert answer.code == 0, answer.err
    (trial,) = answer.json["retraining"]["trials"]
    passports = answer.json["passport"], trial["result"]["passport"]
    assert [passport["weights"] for passport in passports] == [before, before]
