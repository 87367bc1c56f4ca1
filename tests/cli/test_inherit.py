"""`--inherit` of `retrain` and `derive`: from a search's weights, said and kept apart."""

import json
from pathlib import Path

import pytest
from commands import Command, sets
from tiny import TRAINING

from gan_nas.networks.weights import read_metadata


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
    options = ("--data", folder, "--dry-run", "--json")
    scratch = gan_nas("retrain", found, *options).json["run"]
    plan = gan_nas("retrain", found, *options, "--inherit", finished_search).json
    assert plan["run"] == scratch.replace(f"-{folder.stem}", f"-inherited-{folder.stem}")
    options = (*options, "--framework", "ctgan", "--inherit", finished_search)
    answer = gan_nas("retrain", found, *options)
    assert "Starts from the generator of" in answer.err
    assert "-ctgan-inherited-" in answer.json["run"]


def test_what_cannot_be_inherited_is_one_sentence(
    gan_nas: Command, finished_search: Path, found: Path, trained: Path, folder: Path
) -> None:
    options = ("--data", folder, "--dry-run", "--inherit")
    for arguments, code, said in (
        ((found, *options, folder), 2, "not a run directory"),
        ((found, *options, trained.parent), 2, "is a run of retrain"),
        ((found, "--width", "6", *options, finished_search), 4, "derived_width must equal width"),
        ((found, "--resolution", "32", *options, finished_search), 4, "32 and those of the search"),
        (("ctgan-cifar10", "--width", "6", *options, finished_search), 4, "width is 6"),
    ):
        answer = gan_nas("retrain", *arguments)
        assert answer.code == code
        assert said in answer.err
        assert "Traceback" not in answer.err


def test_derive_trains_what_it_found_from_the_searchs_weights(
    gan_nas: Command, finished_search: Path
) -> None:
    options = (finished_search, "--top-k", 1)
    training = ("--retrain", *sets(TRAINING | {"steps": 1}), "--inherit")
    answer = gan_nas("derive", *options, *training, "--json")
    (trial,) = answer.json["retraining"]["trials"]
    assert trial["result"]["inherited_from"]["method"] == "autogan"
    assert trial["result"]["files"]["last"].split("/")[-2] == f"{trial['id']}-inherited"
    assert "inherited" in gan_nas("derive", *options, *training).out
    alone = gan_nas("derive", *options, "--inherit")
    assert alone.code == 2
    assert "--retrain" in alone.err


def test_derive_refuses_at_once_widths_that_cannot_be_inherited(
    gan_nas: Command, search_options: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    wider = ("--set", "derived_width=6", "--set", "controller_steps=1", "--run", run)
    assert gan_nas("search", *search_options, *wider).code == 0
    before = sorted(path.name for path in (run / "genomes").iterdir())
    answer = gan_nas("derive", run, "--retrain", "--inherit")
    assert answer.code == 4
    assert "width is 6 and that of the supernet" in answer.err
    assert sorted(path.name for path in (run / "genomes").iterdir()) == before
