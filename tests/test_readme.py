"""What the README tells a new user to type must work."""

import re
import runpy
from pathlib import Path

import pytest
import tiny
import torch
from typer.main import get_command

import gan_nas as gn
from gan_nas.cli.commands import app

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
    group = get_command(app)
    everywhere = {o for c in (group, *commands.values()) for p in c.params for o in p.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", README)) <= everywhere | {"--debug"}


def test_the_python_example_trains_draws_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    smaller = {**tiny.TRAINING, "steps": 2, "num_scored": 20}
    for whole, part in (
        ("resized(16, 16)", "resized(4, 4)"),
        ('"demo")', f'"demo", **{smaller})'),
        ("digits).", "digits, num=20)."),
    ):
        assert whole in example
        example = example.replace(whole, part)
    monkeypatch.chdir(tmp_path)
    Path("example.py").write_text(example, encoding="utf-8")
    found = runpy.run_path("example.py")
    images, generator = found["images"], found["generator"]
    assert (images.shape, images.dtype) == ((64, 1, 16, 16), torch.float32)
    assert images.abs().max() <= 1
    assert isinstance(generator, gn.Generator)
    assert not generator.training
    assert generator.genome == gn.load_genome("autogan-cifar10-top1").resized(4, 4)
    assert (generator.resolution, generator.lineage["data"]) == (16, "digits")
    assert "frechet_distance[classifier]" in capsys.readouterr().out
