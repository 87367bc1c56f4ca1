"""`gan-nas runs`, and that the same command finds its run again."""

import csv
import io
import json
from pathlib import Path

import pytest
from commands import Command, sets
from old_runs import FIXTURES
from tiny import TRAINING

from gan_nas.runs.listing import Listed

QUICK = sets(TRAINING | {"steps": 1, "score_every": 1, "num_scored": 40})


def test_runs_are_a_table_json_and_csv(gan_nas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    folder = FIXTURES / "runs-1"
    rows = gan_nas("runs", folder, "--json").json["runs"]
    assert {row["state"] for row in rows} == {"finished", "stopped"}
    read = list(csv.DictReader(io.StringIO(gan_nas("runs", folder, "--csv").out)))
    assert [row["run"] for row in read] == [row["run"] for row in rows]
    shown = gan_nas("runs", folder).out
    assert max(map(len, shown.splitlines())) <= 80
    assert all(row["method"] in shown for row in rows)


def test_where_there_are_no_runs_that_is_said(
    gan_nas: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gan_nas("runs").err == "There are no runs in runs.\n"
    assert gan_nas("runs", "--json").json == {"runs": []}
    assert gan_nas("runs", "--csv").out.strip() == ",".join(Listed.model_fields)
    assert gan_nas("runs", "gone").code == 2
    assert "leave it out" in gan_nas("runs", "--watch").err


@pytest.mark.slow
def test_the_same_command_finds_its_run_and_another_one_gets_the_next_number(
    gan_nas: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["retrain", "autogan-cifar10-top1", "--width", 4, "--data", folder, *QUICK]
    first = gan_nas(*command, "--json")
    assert first.code == 0, first.err
    (run,) = Path("runs").glob("0*")
    assert run.name == f"00001-retrain-autogan-cifar10-top1-w4-{folder.name}"
    again = gan_nas(*command, "--json")
    assert again.json == first.json
    assert f"has ended: this is {run}" in again.err
    assert "goes on in" not in again.err
    (run / "result.json").unlink()
    assert f"goes on in {run}" in gan_nas(*command).err
    assert (
        gan_nas(*command, "--seed", 1, "--dry-run", "--json").json["run"].startswith("runs/00002")
    )
    assert len(list(Path("runs").glob("0*"))) == 1  # a plan takes no number
    moved = run.rename(tmp_path / "moved")
    shown = json.loads((moved / "result.json").read_text())
    assert shown["files"] == {"last": "generator.safetensors", "best": "best.safetensors"}
    finished = gan_nas(*command, "--run", moved, "--json").json
    assert finished["files"]["best"] == str(moved / "best.safetensors")
    config = json.loads((moved / "config.json").read_text())
    assert {"host", "processor", "cores", "system"} <= config["machine"].keys()
    assert isinstance(config["command"], list)
