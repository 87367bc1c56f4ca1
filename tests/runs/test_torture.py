"""An end at any moment, and the same command again: as if nobody had ended it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torture
import typer
from victims import COMMANDS as VICTIMS
from victims import NOT_HERE

from gan_nas.cli.commands import SUB_COMMANDS, app
from gan_nas.cli.group import joined
from gan_nas.search import OWN
from gan_nas.trials import EVALUATORS

QUICK = ("retrain", "stats")


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in VICTIMS],
)
def test_killed_at_any_moment_and_gone_on_leaves_the_same_files(name: str, tmp_path: Path) -> None:
    kills = "2" if name in QUICK else "8"
    command = [sys.executable, torture.__file__, "--kills", kills, "--folder", str(tmp_path), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_that_writes_is_killed_or_says_why_not() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    killed = {joined(one.words, SUB_COMMANDS)[0] for one in VICTIMS.values()}
    assert killed.isdisjoint(NOT_HERE)
    assert killed | NOT_HERE.keys() == commands.keys()
    for name, why in NOT_HERE.items():
        options = {one for parameter in commands[name].params for one in parameter.opts}
        assert "prints" not in why or not options & {"--output", "--run"}, name


def test_every_way_to_search_and_to_judge_is_killed() -> None:
    words = [one.words for one in VICTIMS.values()]
    methods = {line[line.index("--method") + 1] for line in words if "--method" in line}
    assert methods == set(OWN)
    asked = {line[line.index("--evaluator") + 1] for line in words if "--evaluator" in line}
    sets = {word.partition("=")[2] for line in words for word in line if "evaluator=" in word}
    assert {one.partition(":")[0] for one in (*asked, *sets)} >= set(EVALUATORS)
