"""One genome trained: what is written, what is refused, and that it learns."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from gan_nas.configs import resolve
from gan_nas.errors import MissingResource, RunFailed
from gan_nas.gan import check_compiler
from gan_nas.runs import read_log
from gan_nas.scoring import Scorer, generate
from gan_nas.training import PRESETS, TrainingConfig, plan, train
from gan_nas.weights import load_generator


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    directory = tmp_path_factory.mktemp("training") / "run"
    return directory, tiny.run_training(directory)


def test_a_run_writes_weights_samples_curves_log_and_result(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    directory, result = trained
    for name in ("generator.safetensors", "best.safetensors", "curves.png", "result.json"):
        assert (directory / name).stat().st_size > 0
    scored = [line["step"] for line in read_log(directory) if "classifier_score" in line]
    assert scored == [0, 3, 6, 7]
    assert len(list((directory / "samples").glob("*.png"))) == 4
    assert result["images"] == 7 * 2 * 8
    distance = "frechet_distance[classifier]"
    assert result["best"][distance] <= result["last"][distance]


def test_the_file_alone_gives_the_score_of_the_run(trained: tuple[Path, dict[str, Any]]) -> None:
    directory, result = trained
    network, about = load_generator(directory / "generator.safetensors", tiny.CPU)
    assert about.genome == tiny.GENOME
    scorer = Scorer(tiny.backbone(), tiny.digits().at(about.resolution), about.resolution)
    scores = scorer.score(generate(network, 150, 128, 0, tiny.CPU))
    for name, value in scores.items():
        assert value == pytest.approx(result["last"][name], rel=1e-5)


def test_no_steps_write_the_untrained_generator(tmp_path: Path) -> None:
    result = tiny.run_training(tmp_path / "run", steps=0)
    assert result["steps"] == 0
    assert result["first"] == result["last"] == result["best"]
    network, _ = load_generator(tmp_path / "run" / "generator.safetensors", tiny.CPU)
    assert network(torch.zeros(2, 128)).shape == (2, 1, 16, 16)


def test_defaults_are_the_papers_and_every_preset_resolves() -> None:
    paper = resolve(TrainingConfig, PRESETS["paper"])
    assert (paper.steps, paper.num_critic, paper.batch_size) == (50_000, 5, 64)
    assert (paper.generator_lr, paper.beta1, paper.beta2) == (2e-4, 0.0, 0.9)
    assert (paper.ema_decay, paper.generator_batch_size) == (0.999, 128)
    for preset in PRESETS.values():
        resolve(TrainingConfig, preset)


def test_reestimated_norms_change_the_batch_norms_of_the_file(tmp_path: Path) -> None:
    tiny.run_training(tmp_path / "live")
    tiny.run_training(tmp_path / "own", norm_statistics="reestimated")
    networks = [
        load_generator(tmp_path / name / "generator.safetensors", tiny.CPU)[0]
        for name in ("live", "own")
    ]
    a, b = (network.get_buffer("to_rgb.norm.running_var") for network in networks)
    assert not torch.equal(a, b)
    weights = [dict(network.named_parameters()) for network in networks]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_divergence_is_named_and_never_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_nas.gan.hinge_generator_loss", lambda fake: fake.mean() * float("nan"))
    with pytest.raises(RunFailed, match=r"diverged|NaN"):
        tiny.run_training(tmp_path / "run", save_every=1, log_every=1)
    assert not list((tmp_path / "run").glob("checkpoint/*/manifest.json"))


def test_collapse_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_nas.training.COLLAPSED_SPREAD", 1e9)
    with pytest.raises(RunFailed, match="collapsed"):
        tiny.run_training(tmp_path / "run")


def test_a_missing_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(MissingResource, match=r"needs a C\+\+ compiler"):
        check_compiler(tiny.CPU)


def test_the_plan_counts_every_step() -> None:
    config = TrainingConfig.model_validate(tiny.TRAINING)
    found = plan(tiny.GENOME, tiny.digits(), config, resolution=16, device=tiny.CPU)
    assert found["images"] == 7 * 2 * 8
    assert found["predicted_seconds"] > 0
    assert found["generator"]["parameters"] > 0


@pytest.mark.slow
def test_training_on_digits_beats_the_untrained_generator_by_far(tmp_path: Path) -> None:
    from gan_nas.metrics import load_backbone

    digits = tiny.digits()
    config = resolve(TrainingConfig, PRESETS["demo"], ["steps=250"])
    result = train(
        tiny.GENOME.resized(16, 16),
        digits,
        config,
        tmp_path / "run",
        resolution=16,
        device=tiny.CPU,
        backbone=load_backbone("classifier", digits, None, tiny.CPU),
    )
    distance = "frechet_distance[classifier]"
    assert result["last"][distance] < 0.5 * result["first"][distance]
    assert result["last"]["classifier_score"] > result["first"]["classifier_score"] + 1
