import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from commands import Command, sets
from tiny import TRAINING

from gan_nas.spaces.frameworks import Framework, suited
from gan_nas.spaces.published import load_genome


def test_retrain_writes_a_generator_and_its_scores(
    gan_nas: Command, trained: Path, training_options: list[str]
) -> None:
    options = (*training_options, "--width", 4, "--run", trained.parent)
    result = gan_nas("retrain", "autogan-cifar10-top1", *options, "--json").json  # finished
    assert result["steps"] == 3
    assert result["files"]["last"] == str(trained)
    assert trained.is_file()
    answer = gan_nas("retrain", "autogan-cifar10-top1", *options)
    assert answer.code == 0
    assert "untrained" in answer.out
    # 60 images, of which 6 are held out: as many generated ones stand beside them.
    assert (result["passport"]["num_fake"], result["compared"]["num"]) == (150, 6)
    assert result["compared"]["scores"].keys() == result["real"].keys()
    assert "last, 6 images" in answer.out
    assert "real, held out: 6" in answer.out
    assert f"gan-nas sample {result['files']['best']}" in answer.err


def test_dry_run_says_what_would_be_done_and_does_nothing(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    options = ("--data", folder, "--width", 4, "--run", tmp_path / "run", "--dry-run")
    shown = gan_nas("retrain", "autogan-cifar10-top1", *options).out
    for text in ("predicted time", "generator_lr", "1,500"):
        assert text in shown
    assert not (tmp_path / "run").exists()


def test_presets_are_those_of_the_genomes_space(gan_nas: Command) -> None:
    def preset(genome: str, name: str) -> dict[str, object]:
        command = ("retrain", genome, "--preset", name, "--help-config", "--json")
        rows = gan_nas(*command).json["settings"]
        return {row["name"]: row["preset"] for row in rows}

    ours = preset("adversarialnas-cifar10", "published")
    assert (ours["generator_batch_size"], ours["batch_size"]) == (80, 40)
    assert preset("autogan-cifar10-top1", "paper")["batch_size"] == 64
    assert preset("autogan-cifar10-top1", "published")["passes"] == "apart"
    assert preset("ctgan-cifar10", "published")["num_scored"] == 50_000
    assert gan_nas("retrain", "autogan-cifar10-top1", "--preset", "paper-stl10").code == 2


OWN_DISCRIMINATORS = {"r3gan": "ctgan, width 4", "mmd": "sn_resnet, width 4, 16 outputs"}
STEPS = {"mmd": 195_500, "r3gan": 100_000, "hinge-sn": 50_000}


@pytest.mark.parametrize("framework", STEPS)
def test_a_framework_brings_its_presets_and_its_discriminator(
    gan_nas: Command, folder: Path, framework: str
) -> None:
    options = ("--data", folder, "--width", 4, "--preset", "paper", "--dry-run")
    answer = gan_nas("retrain", "sngan-cifar10", *options, "--framework", framework, "--json")
    plan = answer.json
    assert plan["config"]["framework"] == framework
    assert plan["steps"] == STEPS[framework]
    assert ("its own discriminator" in answer.err) == (framework in OWN_DISCRIMINATORS)
    assert OWN_DISCRIMINATORS.get(framework, "") in answer.err
    suffix = "" if framework == "hinge-sn" else f"-{framework}"
    assert plan["run"] == f"runs/00001-retrain-sngan-cifar10-w4{suffix}-{folder.stem}"


def test_without_a_framework_the_genomes_discriminator_decides(
    gan_nas: Command, folder: Path
) -> None:
    options = ("--data", folder, "--width", 4, "--dry-run", "--json")
    for name, framework in (
        ("ctgan-cifar10", "ctgan"),
        ("sngan-cifar10", "hinge-sn"),
        ("mmd-adversarialnas-cifar10", "mmd"),
    ):
        answer = gan_nas("retrain", name, *options)
        plan = answer.json
        assert plan["config"]["framework"] == framework
        assert plan["run"] == f"runs/00001-retrain-{name}-w4-{folder.stem}"
        assert plan["steps"] == plan["config"]["steps"]
        assert "its own discriminator" not in answer.err
    rows = gan_nas("retrain", "ctgan-cifar10", "--help-config", "--json").json["settings"]
    assert {"ctgan"} == {row["preset"] for row in rows if row["name"] == "framework"}


@pytest.mark.parametrize(("framework", "suffix"), [("ctgan", ""), ("rahinge", "-rahinge")])
def test_derive_trains_what_it_found_in_a_framework(
    gan_nas: Command, finished_search: Path, framework: Framework, suffix: str
) -> None:
    """Where the discriminator does not tell the framework, the folder does."""
    options = (finished_search, "--top-k", 1, "--retrain", *sets(TRAINING | {"steps": 1}))
    augment = ("--augment", "diffaugment")
    answer = gan_nas("derive", *options, "--framework", framework, *augment, "--json")
    said = f"{framework} trains against its own discriminator"
    assert (said in answer.err) == (not suffix)
    (found,), (row,) = answer.json["genomes"], answer.json["retraining"]["trials"]
    genome = load_genome(found["file"])
    assert row["id"] == genome.genome_id
    trained = suited(genome, framework).genome_id
    config = finished_search / "retrained" / f"{trained}{suffix}" / "config.json"
    assert json.loads(config.read_text())["config"]["augment"] == "diffaugment"
    assert gan_nas("derive", *options, "--framework", "ctgna").code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "retrain needs a GENOME"),
        (["sngan-cifar10", "--set", "stesp=3"], 2, "did you mean steps?"),
        (["sngan-cifar10", "--device", "cuda:99"], 3, "no device cuda:99"),
        (["sngan-cifar10", "--data", "nowhere"], 2, "neither a data set"),
        (["sngan-cifar10", "--resolution", "36"], 2, "multiple of 8"),
        (["sngan-cifar10", "--framework", "ctgna"], 2, "did you mean ctgan?"),
        (["ctgan-cifar10", "--set", "compile=true"], 2, "train without compile"),
        (["sngan-cifar10", *sets({"framework": "wgan-gp", "compile": True})], 2, "without compile"),
        (["sngan-cifar10", "--augment", "mirror"], 2, "'none', 'flip' or 'diffaugment'"),
        (["sngan-cifar10", "--framework", "hinge"], 2, "unknown framework 'hinge'"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(
    gan_nas: Command,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    answer = gan_nas("retrain", *arguments, "--run", tmp_path / "run")
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_is_exit_75_and_goes_on(
    gan_nas: Command, training_options: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "run" / "log.jsonl"
    options = (*training_options, "--set", "steps=1000000", "--width", 4, "--run", tmp_path / "run")

    def interrupt_when_training(lines: int, number: signal.Signals) -> None:
        while not log.exists() or len(log.read_text().splitlines()) < lines:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    steps = []
    for place in ((3, signal.SIGINT), (30, signal.SIGTERM)):
        waiting = threading.Thread(target=interrupt_when_training, args=place)
        waiting.start()
        answer = gan_nas("retrain", "sngan-cifar10", *options)
        waiting.join()
        assert answer.code == 75
        assert answer.out == ""
        assert "the state is saved" in answer.err
        assert "go on  gan-nas retrain sngan-cifar10 --data" in answer.err
        checkpoints = sorted((tmp_path / "run" / "checkpoint").iterdir())
        steps.append(json.loads((checkpoints[-1] / "state.json").read_text())["step"])
    assert steps[0] < steps[1]
