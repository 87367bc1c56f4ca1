"""Given weights, said and kept apart: `--inherit` of a search, `--from` a file or a training."""

import json
from pathlib import Path
from shutil import copyfile

import pytest
from commands import Command, sets
from tiny import TRAINING

from gan_nas.networks.weights import read_metadata
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.published import load_genome


@pytest.fixture
def found(finished_search: Path) -> Path:
    return sorted((finished_search / "genomes").glob("*.json"))[0]


def test_retrain_inherits_goes_on_and_says_so(
    gan_nas: Command,
    finished_search: Path,
    found: Path,
    training_options: list[str],
    tmp_path: Path,
) -> None:
    options = (*training_options, "--run", tmp_path / "run")
    inheriting = (*options, "--inherit", finished_search)
    answer = gan_nas("retrain", found, *inheriting, "--json")
    origin = answer.json["inherited_from"]
    assert origin["networks"] == ["generator", "discriminator"]
    run_id = json.loads((finished_search / "config.json").read_text())["run_id"]
    assert origin["run_id"] == run_id
    assert f"Starts from the generator and discriminator of {finished_search}" in answer.err
    about = read_metadata(tmp_path / "run" / "generator.safetensors")
    assert about.lineage["inherited_from"] == origin
    assert gan_nas("retrain", found, *inheriting, "--json").json == answer.json
    shown = gan_nas("retrain", found, *inheriting).out
    assert "inherited" in shown
    assert "untrained" not in shown
    refused = gan_nas("retrain", found, *options)
    assert refused.code == 4
    assert "-> null" in refused.err


def test_a_dry_run_names_its_directory_after_what_it_inherits(
    gan_nas: Command, finished_search: Path, found: Path, folder: Path
) -> None:
    options = ("--data", folder, "--framework", "ctgan", "--inherit", finished_search)
    answer = gan_nas("retrain", found, *options, "--dry-run", "--json")
    assert "Starts from the generator of" in answer.err
    assert f"-ctgan-inherited-{folder.stem}" in answer.json["run"]


def test_derive_trains_what_it_found_in_a_framework_from_the_searchs_weights(
    gan_nas: Command, finished_search: Path
) -> None:
    options = (finished_search, "--top-k", 1)
    training = ("--retrain", *sets(TRAINING | {"steps": 1}), "--inherit", "--framework", "ctgan")
    answer = gan_nas("derive", *options, *training, "--json")
    assert "ctgan trains against its own discriminator" in answer.err
    (row,), (trial,) = answer.json["genomes"], answer.json["retraining"]["trials"]
    assert trial["id"] == row["id"]
    origin = trial["result"]["inherited_from"]
    assert (origin["method"], origin["networks"]) == ("autogan", ["generator"])
    trained = suited(load_genome(row["file"]), "ctgan").genome_id
    assert trial["result"]["files"]["last"].split("/")[-2] == f"{trained}-inherited"
    assert "inherited" in gan_nas("derive", *options, *training).out
    assert gan_nas("derive", *options, "--retrain", "--framework", "ctgna").code == 2
    alone = gan_nas("derive", *options, "--inherit")
    assert alone.code == 2
    assert "--retrain" in alone.err


def test_derive_refuses_at_once_widths_that_cannot_be_inherited(
    gan_nas: Command, finished_search: Path
) -> None:
    run = finished_search
    config = json.loads((run / "config.json").read_text())
    config["config"]["derived_width"] = 6
    (run / "config.json").write_text(json.dumps(config))
    before = sorted(path.name for path in (run / "genomes").iterdir())
    answer = gan_nas("derive", run, "--retrain", "--inherit")
    assert answer.code == 4
    assert "width is 6 and that of the supernet" in answer.err
    assert sorted(path.name for path in (run / "genomes").iterdir()) == before


def test_retrain_goes_on_from_a_generator_or_a_training(
    gan_nas: Command, trained: Path, training_options: list[str], tmp_path: Path
) -> None:
    """Without a genome it is the file's that is trained, at its side."""
    given = tmp_path / "my best.safetensors"
    copyfile(trained, given)
    options = (*training_options, "--set", "steps=1", "--run", tmp_path / "run")
    answer = gan_nas("retrain", "--from", given, *options, "--json")
    result, about = answer.json, read_metadata(trained)
    assert result["genome_id"] == about.genome.genome_id
    assert result["passport"]["image_side"] == about.resolution
    assert result["inherited_from"]["source"] == "my best.safetensors"
    assert "which holds no discriminator: one is drawn as usual" in answer.err
    last = json.loads((trained.parent / "result.json").read_text())["last"]
    scores = {name: value for name, value in last.items() if name not in ("step", "images")}
    assert scores.items() <= result["first"].items()

    assert gan_nas("retrain", "--from", trained, *options, "--json").json == result
    given.unlink()
    genome = ("autogan-cifar10-top1", "--width", 4)
    longer = (*options, "--set", "steps=2", "--json")
    answer = gan_nas("retrain", *genome, "--from", given, *longer)
    assert "my best.safetensors is no longer there" in answer.err
    assert (answer.json["steps"], answer.json["first"]) == (2, result["first"])

    named = ("retrain", "--from", trained.parent, *training_options, "--dry-run", "--json")
    answer = gan_nas(*named)
    assert f"Starts from the generator and discriminator of {trained.parent}" in answer.err
    data = Path(training_options[1]).stem
    assert answer.json["run"] == f"runs/00001-retrain-{about.genome.title}-finetuned-{data}"
    answer = gan_nas(*named, "--framework", "ctgan")
    assert "which has another discriminator: one is drawn as usual" in answer.err
    assert "-ctgan-finetuned-" in answer.json["run"]
    rows = gan_nas("retrain", "--from", trained, "--help-config", "--json").json["settings"]
    assert {row["preset"] for row in rows if row["name"] == "framework"} == {"hinge-sn"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resolution", "32"], "16 px there and 32 px here; train at 16 px"),
        (["sngan-cifar10", "--width", "4"], "name no genome, or train this one from scratch"),
        (["--width", "6"], "has shape (16, 128) there and shape (24, 128) is needed"),
        (["--inherit", "runs/any"], "--from and --inherit both say"),
    ],
)
def test_given_weights_that_do_not_fit_are_refused_in_a_sentence(
    gan_nas: Command,
    trained: Path,
    training_options: list[str],
    tmp_path: Path,
    arguments: list[str],
    said: str,
) -> None:
    options = (*arguments, "--from", trained, *training_options, "--run", tmp_path / "run")
    answer = gan_nas("retrain", *options)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "run").exists()
