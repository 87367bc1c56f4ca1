"""Searches by trials, as typed: any space, a budget, what became of it."""

from pathlib import Path
from shutil import rmtree

import pytest
from commands import Command, sets
from tiny import PAIRS, SETTINGS

from gan_nas.spaces.genome import read_genome
from gan_nas.spaces.published import load_genome


def test_any_space_is_searched_by_trials_and_goes_on(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    few = sets({key: value for key, value in SETTINGS["random"].items() if key != "resolution"})
    run = tmp_path / "run"
    search = ("search", "--method", "random", "--space", "degas", "--data", folder, *few)
    answer = gan_nas(*search, "--run", run)
    assert answer.code == 0, answer.err
    for said in ("distance", "images 32", "5 trials of 160 real images in all", "gan-nas derive"):
        assert said in " ".join((answer.out + answer.err).split())
    result = gan_nas(*search, "--run", run, "--json").json
    assert len(result["genomes"]) == 2
    for row in result["genomes"]:
        assert load_genome(row["file"]).generator.space == "degas"
    assert (run / "trials.png").is_file()
    assert len(list((run / "trials").iterdir())) == 5
    derived = gan_nas("derive", run, "--top-k", 3, "--json").json
    assert derived["genomes"][:2] == result["genomes"]
    assert len(derived["genomes"]) == 3
    training = sets({"steps": 2, "batch_size": 8, "generator_batch_size": 8, "num_scored": 50})
    for options, seed in (((), 1), (("--seed", 0), 0), (("--set", "seed=7"), 7)):
        retrain = ("derive", run, "--top-k", 1, "--retrain", "--json", *training, *options)
        (trial,) = gan_nas(*retrain).json["retraining"]["trials"]
        assert trial["seed"] == seed  # by default another than that of the trials
        rmtree(run / "retrained")


def test_a_dry_run_counts_the_trials(gan_nas: Command, folder: Path) -> None:
    few = sets(SETTINGS["halving"] | {"trials": "none", "images": 200})
    search = ("search", "--method", "halving", "--data", folder, *few, "--dry-run")
    plan = gan_nas(*search, "--json").json
    assert 200 <= plan["images"] < 200 + 32
    assert plan["sizes"]["trials"] > 200 // 32
    assert plan["run"].startswith("runs/00001-halving-images")
    other = gan_nas(*search, "--space", "degas", "--set", "training=dmeo")
    assert (other.code, other.out) == (2, "")
    assert "did you mean demo" in other.err


def test_shared_weights_are_trained_first_and_inherited(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    few = {key: value for key, value in SETTINGS["random"].items() if key != "resolution"}
    few |= {"supernet_images": 40, "trials": 3}
    run = tmp_path / "run"
    search = ("search", "--method", "random", "--evaluator", "shared", "--data", folder, *sets(few))
    plan = gan_nas(*search, "--dry-run", "--json").json
    assert plan["images"] == 40
    assert plan["sizes"]["supernet_parameters"] > plan["sizes"]["an example"]["parameters"]
    assert plan["run"].startswith("runs/00001-random-shared-images")
    answer = gan_nas(*search, "--run", run)
    assert answer.code == 0, answer.err
    for said in ("3 trials of 40 real images in all", "of weights that all share", "supernet"):
        assert said in " ".join((answer.out + answer.err).split())
    training = sets({"steps": 2, "batch_size": 8, "generator_batch_size": 8, "num_scored": 50})
    derived = ("derive", run, "--top-k", 1, "--retrain", "--inherit", *training)
    result = gan_nas(*derived, "--json").json
    trained = result["retraining"]["trials"][0]["result"]
    assert trained["inherited_from"]["method"] == "random"
    assert trained["inherited_from"]["networks"] == ["generator", "discriminator"]


def test_shared_weights_take_one_job_and_other_methods_no_evaluator(gan_nas: Command) -> None:
    for method, options, said in (
        ("random", ("--evaluator", "shared", "--jobs", 2), "--jobs is for searches that train"),
        ("autogan", ("--evaluator", "shared"), "autogan judges genomes in its own way"),
        ("random", ("--evaluator", "sharde"), "did you mean shared?"),
        ("halving", ("--evaluator", "shared"), "take evaluator train, or rungs 1"),
    ):
        answer = gan_nas("search", "--method", method, *options, "--dry-run")
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err


def test_what_has_no_choice_of_spaces_or_no_such_space_says_so(gan_nas: Command) -> None:
    for method, space, said in (
        ("autogan", "degas", "autogan searches autogan alone, not degas"),
        ("random", "dega", "did you mean degas?"),
    ):
        answer = gan_nas("search", "--method", method, "--space", space, "--dry-run")
        assert answer.code == 2
        assert said in answer.err


@pytest.mark.slow
def test_both_stages_and_what_they_find_from_the_command_line(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    few = SETTINGS["evolution"] | {"space": "adversarialnas", "trials": 4}
    search = ("search", "--method", "evolution", "--data", folder)
    assert gan_nas(*search, *sets(few), "--run", first).code == 0
    given = {key: value for key, value in PAIRS.items() if key != "generator"}
    stage = (*search, *sets(SETTINGS["evolution"] | given), "--genome", first)
    plan = gan_nas(*stage, "--dry-run", "--json").json
    assert plan["run"].startswith("runs/00001-evolution-adversarialnas-pairs-discriminators")
    assert plan["sizes"]["supernet_parameters"] > plan["sizes"]["an example"]["parameters"]
    answer = gan_nas(*stage, "--run", second)
    assert answer.code == 0, answer.err
    assert "cells and costs are the discriminators'" in " ".join(answer.err.split())
    result = gan_nas(*stage, "--run", second, "--json").json
    best = read_genome(Path(gan_nas("derive", first, "--json").json["genomes"][0]["file"]))
    found = read_genome(Path(result["genomes"][0]["file"]))
    assert found.generator == best.generator
    training = sets({"steps": 2, "batch_size": 8, "generator_batch_size": 8, "num_scored": 50})
    assert gan_nas("derive", second, "--top-k", 1, "--retrain", *training).code == 0
    drawn = gan_nas("genomes", result["genomes"][0]["file"]).out
    assert "discriminator of" in drawn
    refused = gan_nas("search", "--method", "autogan", "--genome", first)
    assert refused.code == 2
    assert "takes no --genome" in refused.err
