"""What the README tells a new user to type must work."""

import re
import subprocess
import sys
from pathlib import Path

from typer.main import get_command

from gan_nas.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_first_screen_has_the_two_set_up_commands() -> None:
    first_screen = "\n".join(README.splitlines()[:25])
    assert "pip install . && gan-nas search --method autogan" in first_screen
    assert "pip install nox && nox" in first_screen


def test_every_command_and_option_it_names_exists() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    lines = re.findall(r"^gan-nas (\S+)(.*?)(?:#.*)?$", README, re.MULTILINE)
    assert len(lines) >= 6
    for name, rest in lines:
        known = {option for p in commands[name].params for option in p.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, name
    everywhere = {o for command in commands.values() for p in command.params for o in p.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", README)) <= everywhere | {"--debug"}


def test_the_python_example_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shorter = example.replace(
        'training_preset(genome, "demo")',
        'training_preset(genome, "demo", steps=1, num_scored=100)',
    )
    assert shorter != example
    subprocess.run([sys.executable, "-P", "-c", shorter], cwd=tmp_path, check=True)
    assert (tmp_path / "runs" / "top1" / "best.safetensors").exists()
