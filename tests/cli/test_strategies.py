"""Searches by trials, as typed: any space, a budget, what became of it."""

from pathlib import Path

from commands import Command, sets
from tiny import SETTINGS

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


def test_a_dry_run_counts_the_trials(gan_nas: Command, folder: Path) -> None:
    few = sets(SETTINGS["halving"] | {"trials": "none", "images": 200})
    search = ("search", "--method", "halving", "--data", folder, *few, "--dry-run")
    plan = gan_nas(*search, "--json").json
    assert 200 <= plan["images"] < 200 + 32
    assert plan["sizes"]["trials"] > 200 // 32
    assert plan["run"].startswith("runs/halving-images")
    other = gan_nas(*search, "--space", "degas", "--set", "training=dmeo")
    assert (other.code, other.out) == (2, "")
    assert "did you mean demo" in other.err


def test_what_has_no_choice_of_spaces_or_no_such_space_says_so(gan_nas: Command) -> None:
    for method, space, said in (
        ("autogan", "degas", "autogan searches autogan alone, not degas"),
        ("random", "dega", "did you mean degas?"),
    ):
        answer = gan_nas("search", "--method", method, "--space", space, "--dry-run")
        assert answer.code == 2
        assert said in answer.err
