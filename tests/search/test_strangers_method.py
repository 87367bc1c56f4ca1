"""A stranger's search method: installed, it is searched by, killed, resumed and derived from."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import strangers
from tiny import digits, traces

from gan_nas.cli import run
from gan_nas.data import cache_dir
from gan_nas.errors import Incompatible
from gan_nas.search import OWN, load_method, method_names
from gan_nas.search.drive import search

ITERATIONS, BEFORE = 4, 1


def command(folder: Path, *words: str | Path) -> subprocess.Popen[str]:
    """Start the command in a process that sees what is installed in a folder."""
    program = [sys.executable, "-P", "-c", "from gan_nas.cli import main; main()"]
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*program, *map(str, words)], env=environment, text=True, **output)


def said(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def test_an_installed_method_runs_resumes_and_derives_like_our_own(
    plugin: Path, tmp_path: Path
) -> None:
    from gan_nas_toy.method import HillClimbing

    assert f"{OWN[-1]} or hill-climbing" in said(command(plugin, "search", "--help"))
    directory = tmp_path / "a run"
    settings = ("--set", f"iterations={ITERATIONS}", "--set", "save_every=2", "--device", "cpu")
    words = ("search", "--method", "hill-climbing", *settings, "--run", directory)
    log = directory / "log.jsonl"
    with command(plugin, *words) as killed:
        while killed.poll() is None and not (log.exists() and log.read_text().count("\n") > BEFORE):
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert not (directory / "result.json").exists()
    assert "distance" in said(command(plugin, *words))

    method = HillClimbing()
    task = method.task(digits(), iterations=ITERATIONS, save_every=2)
    task = replace(task, cache=cache_dir())
    assert method_names()[-1] == load_method("hill-climbing").name == method.name
    whole = search(method, task, tmp_path / "whole")
    assert traces(directory) == traces(tmp_path / "whole")

    assert run(["derive", str(directory), "--top-k", "2"]) == 0
    derived = {path.name for path in (directory / "genomes").iterdir()}
    assert {f"{row.id}.json" for row in whole.genomes[:2]} <= derived


def test_an_installed_method_is_planned_and_timed(
    plugin: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    method = ("--method", "hill-climbing")
    assert run(["search", *method, "--run", str(tmp_path / "run"), "--dry-run"]) == 0
    assert "predicted time  unknown" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    assert run(["search", *method, "--precision", "bf16"]) == 2
    assert "unknown setting precision" in capsys.readouterr().err
    assert run(["bench", *method, "--resolution", "16", "--width", "4", "--repeats", "1"]) == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise RuntimeError('no licence')", "cannot be imported (RuntimeError: no licence)"),
        ("METHOD = {}", "is of type dict, and Method is needed"),
        (
            "from gan_nas_toy.method import HillClimbing\nMETHOD = HillClimbing()",
            "calls itself hill-climbing",
        ),
    ],
)
def test_a_broken_method_is_named_in_one_sentence(
    plugin: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    why: str,
) -> None:
    entries = {"gan_nas.methods": {"broken": "stranger_method:METHOD"}}
    strangers.describe(tmp_path, "gan-nas-broken", "2.0", entries)
    (tmp_path / "stranger_method.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stranger_method", raising=False)
    with pytest.raises(Incompatible, match="the method broken"):
        load_method("broken")
    assert run(["search", "--method", "broken"]) == 4
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert why in printed.err
