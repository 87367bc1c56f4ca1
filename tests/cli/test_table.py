"""Tables from the command line: made, killed and made on, packed, shown, checked and exported."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tables
from commands import Command

from gan_nas.trials.making import OUTCOMES
from gan_nas.trials.recipes import RECIPES
from gan_nas.trials.table import read_table

SETS = [word for text in tables.TINY for word in ("--set", text)]
MAKE = ("table", "make", "tied-digits", "--threads", "1", *SETS)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "made-up.json"
    tables.made_up().save(path)
    return path


def test_tables_are_listed(gan_nas: Command) -> None:
    listed = gan_nas("table")
    assert listed.code == 0
    rows = gan_nas("table", "--json").json["tables"]
    assert {row["name"] for row in rows} >= set(RECIPES)
    assert all(row["name"] in listed.out for row in rows)


def test_a_table_is_made_and_packed_and_holds_when_checked(
    gan_nas: Command, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    made = gan_nas(*MAKE, "--run", run, "--json").json
    assert (made["ended"], made["planned"]) == (3, 3)
    assert gan_nas(*MAKE, "--run", run).code == 0
    packed = gan_nas("table", "pack", run, "-o", tmp_path / "a.json", "--json").json
    assert read_table(Path(packed["file"])).is_complete
    assert "Complete: 3 trials." in Path(packed["card"]).read_text()
    shown = gan_nas("table", "show", run)
    assert shown.code == 0
    assert "3 of 3 trials" in shown.out
    checked = gan_nas("table", "check", tmp_path / "a.json", "-n", 1, "--run", tmp_path / "check")
    assert checked.code == 0
    assert "equal" in checked.out


def test_a_search_of_a_table_takes_from_it_what_nobody_names_and_trains_nothing(
    gan_nas: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_NAS_CACHE", str(tmp_path / "cache"))
    search = ("search", "--method", "random", "--evaluator", "table:tied-digits")
    few = ("--preset", "small", "--set", "trials=3", "--threads", 1)
    planned = gan_nas(*search, *few, "--dry-run", "--json").json["config"]
    assert (planned["space"], planned["resolution"]) == ("autogan-tied", 16)
    searched = gan_nas(*search, *few, "--run", tmp_path / "run")
    assert searched.code == 0
    assert not (tmp_path / "cache").exists()
    assert not list((tmp_path / "run").glob("judge*"))
    for named in (("--space", "autogan"), ("--set", "resolution=32")):
        refused = gan_nas(*search, *few, *named, "--dry-run")
        assert refused.code == 2
        assert "they must be the same" in refused.err


def test_a_summary_is_shown_and_printed_as_json(gan_nas: Command, file: Path) -> None:
    shown = gan_nas("table", "show", file, "--top-k", 3)
    summary = gan_nas("table", "show", file, "--top-k", 3, "--json").json
    assert len(summary["best"]) == 3
    assert f"{summary['moments'][-1]['between_seeds']:.2f}" in shown.out
    assert "951 of 951 trials" in shown.out


def test_a_table_is_exported_as_csv(gan_nas: Command, file: Path, tmp_path: Path) -> None:
    printed = gan_nas("table", "export", file).out
    rows = list(csv.DictReader(printed.splitlines()))
    table = read_table(file)
    assert len(rows) == sum(max(1, len(row.scores)) for row in table.rows)
    assert float(rows[6][tables.MEASURES[0]]) == table.rows[0].scores[6][0]
    assert len(gan_nas("table", "export", file, "--json").json["rows"]) == len(rows)
    for words in (("--to", "xlsx"), ("--to", "syne-tune"), ("-o", tmp_path / "x")):
        assert gan_nas("table", "export", file, *words).code == 2


def test_a_blackbox_of_syne_tune_needs_what_writes_parquet(
    gan_nas: Command, file: Path, tmp_path: Path
) -> None:
    answer = gan_nas("table", "export", file, "--to", "syne-tune", "-o", tmp_path / "blackbox")
    try:
        import fastparquet  # noqa: F401
    except ImportError:
        assert answer.code == 3
        assert "pip install pandas fastparquet" in answer.err
        return
    about = json.loads((tmp_path / "blackbox" / "metadata.json").read_text())
    assert about["objectives_names"][:4] == list(tables.MEASURES)


def test_what_is_no_table_is_refused(gan_nas: Command, file: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.json").write_text(file.read_text().replace("20.0", "20.5", 1))
    for reference, said in (
        (tmp_path / "damaged.json", "its hash does not hold"),
        (tmp_path / "none.json", "neither a table's file nor one that comes with gan-nas"),
        (tmp_path, "is not a run directory"),
    ):
        answer = gan_nas("table", "show", reference)
        assert (answer.code, answer.out) == (2, "")
        assert said in " ".join(answer.err.split())
    refused = gan_nas("table", "make", "tied-digit")
    assert "did you mean tied-digits?" in refused.err
    assert gan_nas("table", "make", "tied-digits", "--help-config").code == 0


@pytest.mark.slow
def test_a_table_whose_making_was_killed_is_the_one_that_was_not(
    gan_nas: Command, tmp_path: Path
) -> None:
    code = "from gan_nas.cli import main; main()"
    command = [sys.executable, "-P", "-c", code, *MAKE, "--run", "killed"]
    outcomes = tmp_path / "killed" / OUTCOMES
    for ended in (0, 1, 2):
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        while not (tmp_path / "killed" / "trials").is_dir() or (
            len(list(outcomes.glob("*.json"))) < ended
        ):
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert gan_nas(*MAKE, "--run", tmp_path / "killed").code == 0
    assert gan_nas(*MAKE, "--run", tmp_path / "whole").code == 0
    a, b = (
        list(csv.DictReader(gan_nas("table", "export", tmp_path / name).out.splitlines()))
        for name in ("killed", "whole")
    )
    for row in a + b:
        del row["seconds"], row["processor_seconds"]
    assert a == b
    assert not list((tmp_path / "killed" / "trials").iterdir())
