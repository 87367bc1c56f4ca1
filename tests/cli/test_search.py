"""`derive --retrain` of a search: several trials, their table and who wins."""

import json
from pathlib import Path

from commands import Command, sets
from tiny import TRAINING

from gan_nas.spaces.published import load_genome


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
