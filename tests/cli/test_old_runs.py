"""Run directories of released layouts, of other versions, and of other devices."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Command, sets
from old_runs import LAYOUTS, SEARCHES, copy, resume
from tiny import TRAINING

from gan_nas.configs import defaults
from gan_nas.errors import Incompatible
from gan_nas.runs.run import Run
from gan_nas.runs.stored import read_result, stored_config
from gan_nas.training.config import TrainingConfig


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", SEARCHES)
def test_old_finished_searches_are_derived_from_and_only_read(
    gan_nas: Command, tmp_path: Path, layout: str, method: str
) -> None:
    run = copy(f"{method}-finished", tmp_path / "run", layout)
    before = tree(run)
    answer = gan_nas("derive", run, "--top-k", 2, "--json")
    assert answer.code == 0, answer.err
    assert len(answer.json["genomes"]) == 2
    after = tree(run)
    assert {name for name in after if after[name] != before.get(name)} <= {
        f"genomes/{row['id']}.json" for row in answer.json["genomes"]
    }
    assert before.keys() <= after.keys()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", [*SEARCHES, "retrain"])
def test_old_interrupted_runs_go_on_to_their_end(
    tmp_path: Path, layout: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = copy(f"{method}-interrupted", tmp_path / "run", layout)  # it lacks settings of today
    result = resume(run)
    whole = read_result(copy(f"{method}-finished", tmp_path / "whole"), type(result))
    assert (
        result.model_dump(exclude_unset=True).keys() >= whole.model_dump(exclude_unset=True).keys()
    )
    assert resume(run) == result
    written = json.loads((run / "result.json").read_text())
    assert result.portable(run).model_dump(mode="json") == written
    assert "damaged" not in caplog.text


@pytest.mark.parametrize("layout", LAYOUTS)
def test_old_generators_are_sampled_and_scored(
    gan_nas: Command, tmp_path: Path, layout: str
) -> None:
    run = copy("retrain-finished", tmp_path / "run", layout)
    answer = gan_nas("sample", run / "generator.safetensors", "-o", tmp_path / "grid.png")
    assert answer.code == 0, answer.err
    answer = gan_nas("score", run / "best.safetensors", "-n", 64, "--json")
    assert answer.code == 0, answer.err
    result = json.loads((run / "result.json").read_text())
    assert answer.json["passport"]["weights"] == result["passport"]["weights"]


@pytest.mark.parametrize("method", SEARCHES)
def test_a_search_made_on_a_gpu_is_derived_from_on_a_cpu(
    gan_nas: Command, tmp_path: Path, method: str
) -> None:
    run = copy(f"{method}-finished", tmp_path / "run")
    on_cpu = ("--top-k", 1, "--json", "--device", "cpu")
    expected = gan_nas("derive", run, *on_cpu).json["genomes"]
    change(run / "config.json", lambda config: config.update(device="cuda"))
    answer = gan_nas("derive", run, *on_cpu)
    assert answer.code == 0, answer.err
    assert answer.json["genomes"] == expected
    if method == "degas":  # one training for all of them
        training = sets(TRAINING | {"steps": 1, "num_scored": 64, "num_reference": 200})
        answer = gan_nas("derive", run, "--top-k", 1, "--retrain", "--inherit", "--json", *training)
        assert answer.code == 0, answer.err
        assert answer.json["retraining"]["winner"] == expected[0]["id"]


def test_a_search_goes_on_only_on_its_own_kind_of_device(tmp_path: Path) -> None:
    run = copy("degas-interrupted", tmp_path / "run")
    change(run / "config.json", lambda config: config.update(device="cuda"))
    with pytest.raises(Incompatible, match='device: "cuda" -> "cpu"'):
        resume(run)


@pytest.mark.parametrize("method", SEARCHES)
@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        ("config.json", lambda c: c["config"].update(novelty=3), "unknown field novelty"),
        ("config.json", lambda c: c["config"].update(width=-1), "width = -1"),
        ("config.json", lambda c: c["config"].update(seed=None), "seed"),
        ("config.json", lambda c: c.update(config=[]), "must be an object"),
        ("config.json", lambda c: c.pop("config"), "config"),
        ("config.json", lambda c: c.pop("data"), "data"),
        ("result.json", lambda c: c.pop("genomes"), "the field genomes is missing"),
        ("result.json", lambda c: c.update(genomes=[{"id": "x"}]), "genomes.0.file is missing"),
        ("result.json", lambda c: c.update(resolution="x", genomes=3), "result.json"),
        ("result.json", lambda c: c.update(seconds=None), "seconds"),
    ],
)
def test_what_another_version_stored_is_one_sentence(
    gan_nas: Command,
    tmp_path: Path,
    method: str,
    file: str,
    edit: Callable[[dict[str, Any]], object],
    said: str,
) -> None:
    run = copy(f"{method}-finished", tmp_path / "run")
    change(run / "config.json", lambda config: config["versions"].update(gan_nas="9.9"))
    change(run / file, edit)
    answer = gan_nas("derive", run)
    if method == "degas" and said in ("data",):
        answer = gan_nas("derive", run, "--retrain")
    assert answer.code == 4, answer.err
    assert said in answer.err
    assert answer.err.count("error:") == 1
    if "other settings" not in answer.err:
        assert "9.9" in answer.err
    inherited = gan_nas(
        "retrain", next((run / "genomes").iterdir()), "--inherit", run, "--run", tmp_path / "new"
    )
    assert inherited.code in (0, 4), inherited.err


def test_a_default_is_another_setting_where_the_run_was_asked_for_another_value(
    tmp_path: Path,
) -> None:
    run = copy("retrain-interrupted", tmp_path / "run")
    asked = stored_config(run)
    asked["config"] = TrainingConfig.model_validate(asked["config"]).model_dump(mode="json")
    change(run / "config.json", lambda config: config["config"].pop("batch_size"))
    absent = {"config": defaults(TrainingConfig)}
    with pytest.raises(Incompatible, match=r"config\.batch_size: 64 -> 8"):
        Run.open(run, asked, absent=absent)
    with Run.open(run, asked | {"config": asked["config"] | {"batch_size": 64}}, absent=absent):
        pass


@pytest.mark.parametrize("facts", [{}, {"entropy": []}, {"entropy": {"alpha": "x"}}])
def test_facts_that_a_method_cannot_tell_are_refused(
    gan_nas: Command, tmp_path: Path, facts: dict[str, object]
) -> None:
    run = copy("degas-finished", tmp_path / "run")
    result = json.loads((run / "result.json").read_text())
    known = {name: value for name, value in result.items() if name not in ("entropy", "facts")}
    (run / "result.json").write_text(json.dumps(known | {"facts": facts}))
    told = gan_nas("derive", run, "--top-k", 1)
    assert told.code == 4
    assert "not as this version of gan-nas writes them for degas" in " ".join(told.err.split())
