import json
from pathlib import Path

import pytest
from commands import Command, sets
from tiny import TRAINING

from gan_nas.spaces.published import load_genome


def test_search_prints_the_best_genomes_and_what_to_type_next(
    gan_nas: Command, finished_search: Path, search_options: list[str]
) -> None:
    again = gan_nas("search", *search_options, "--run", finished_search)  # finished: prints it
    assert again.code == 0
    assert "reward, scores" in again.out
    assert "±" in again.out
    assert str(finished_search / "genomes") in again.out
    # 60 images, of which 6 are held out: as many of the best genome's stand beside them.
    assert "6 images only" in again.out
    assert "held out: 6" in again.out
    assert "another search seed moves a reward far more" in " ".join(again.err.split())
    assert f"gan-nas derive {finished_search} --retrain" in again.err


def test_search_names_genome_files_in_json(
    gan_nas: Command, finished_search: Path, search_options: list[str]
) -> None:
    found = gan_nas("search", *search_options, "--run", finished_search, "--json").json
    assert len(found["genomes"]) == 2
    assert found["compared"]["num"] == 6
    assert found["compared"]["scores"].keys() == found["real"].keys()
    for row in found["genomes"]:
        genome = load_genome(row["file"])
        assert genome.genome_id == row["id"]
        assert [cell.words for cell in genome.generator.cells] == row["words"]


def test_dry_run_of_a_search_says_what_would_be_done(gan_nas: Command, tmp_path: Path) -> None:
    options = ("--method", "autogan", "--run", tmp_path / "run", "--dry-run", "--max-params", "30k")
    plan = gan_nas("search", *options, "--json").json
    assert plan["sizes"]["space"] == 373_248
    assert plan["config"]["max_params"] == 30_000
    assert "predicted time" in gan_nas("search", *options).out
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--method", "autogn"], 2, "did you mean autogan?"),
        (["--method", "autogan", "--max-macs", "many"], 2, "'many' is not a number such as"),
        (["--method", "autogan", "--max-params", "9"], 2, "smallest possible are"),
        (["--method", "autogan", "--set", "itrations=3"], 2, "did you mean iterations?"),
        (["--method", "autogan", "--precision", "half"], 2, "precision = 'half'"),
        (["--method", "autogan", "--device", "cuda:99"], 3, "no device cuda:99"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(
    gan_nas: Command, folder: Path, tmp_path: Path, options: list[str], code: int, said: str
) -> None:
    answer = gan_nas("search", "--data", folder, "--run", tmp_path / "run", *options)
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_derive_keeps_the_best_and_trains_them(gan_nas: Command, finished_search: Path) -> None:
    options = (finished_search, "--top-k", 2, "--retrain", *sets(TRAINING | {"steps": 2}))
    derived = gan_nas("derive", *options, "--json").json
    retraining = derived["retraining"]
    assert len(derived["genomes"]) == len(retraining["trials"]) == 2
    rewards = [row["values"]["reward"] for row in derived["genomes"]]
    assert rewards == sorted(rewards, reverse=True)
    trained = {trial["id"] for trial in retraining["trials"]}
    assert trained == {load_genome(row["file"]).genome_id for row in derived["genomes"]}
    answer = gan_nas("derive", *options)
    assert answer.code == 0
    assert "6 images only" in answer.out
    assert "6 held out" in answer.out
    assert "\\n" not in answer.out  # what is shown as one line must be one
    if retraining["winner"]:
        assert f"winner: {retraining['winner']}" in answer.out


def test_trials_that_were_scored_differently_are_not_ranked_unless_told_to(
    gan_nas: Command, finished_search: Path
) -> None:
    options = (finished_search, "--top-k", 2, "--retrain", *sets(TRAINING | {"steps": 2}))
    retraining = gan_nas("derive", *options, "--json").json["retraining"]
    assert retraining["scored_differently"] == {}
    trained = [trial["result"] for trial in retraining["trials"] if trial["outcome"] == "completed"]
    assert len(trained) == 2
    assert trained[0]["passport"] == trained[1]["passport"]
    path = Path(trained[1]["files"]["last"]).with_name("result.json")
    before = path.read_text()
    result = json.loads(before)
    result["passport"] |= {"resize": "TF1 bilinear", "seed": 9}
    path.write_text(json.dumps(result))
    refused = gan_nas("derive", *options)
    assert (refused.code, refused.out) == (4, "")
    assert "were scored differently (resize " in refused.err
    assert "TF1 bilinear" in refused.err
    assert "allow any passport (--any-passport)" in refused.err
    told = gan_nas("derive", *options, "--any-passport")
    assert told.code == 0
    assert "Scored differently, do not trust the order: resize" in told.out
    told = gan_nas("derive", *options, "--any-passport", "--json")
    assert told.json["retraining"]["scored_differently"].keys() == {"resize"}
    path.write_text(before)


def test_derive_needs_a_finished_search(gan_nas: Command, trained: Path, tmp_path: Path) -> None:
    assert gan_nas("derive").code == 2
    assert "is not a run directory" in gan_nas("derive", tmp_path).err
    answer = gan_nas("derive", trained.parent)
    assert answer.code == 2
    assert "is a run of retrain, not of a search" in answer.err
