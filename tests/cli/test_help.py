import re
from typing import Any

import pytest
import typer
from commands import COMMANDS

from gan_nas.cli.commands import app, options_of
from gan_nas.data import DATA_SETS
from gan_nas.metrics.loading import KINDS
from gan_nas.metrics.measures import MEASURES
from gan_nas.scoring.protocols import PROTOCOLS
from gan_nas.scoring.reference import REFERENCE_SPLITS
from gan_nas.search import load_method, method_names
from gan_nas.spaces.frameworks import FRAMEWORKS
from gan_nas.spaces.registry import BUILT_IN
from gan_nas.training.config import presets_for

METHODS = method_names()
SEARCH_PRESETS = {name for method in METHODS for name in load_method(method).presets}
TRAINING_PRESETS = {
    name for space in BUILT_IN for framework in FRAMEWORKS for name in presets_for(space, framework)
}


def texts(command: str) -> list[str]:
    """List what a command's help says: of itself, and of each of its options and arguments."""
    group: Any = typer.main.get_command(app)
    found = group.commands[command]
    return [found.help, *(getattr(parameter, "help", None) or "" for parameter in found.params)]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("search", METHODS),
        ("search", DATA_SETS),
        ("search", SEARCH_PRESETS),
        ("derive", METHODS),
        ("derive", FRAMEWORKS),
        ("retrain", TRAINING_PRESETS),
        ("retrain", FRAMEWORKS),
        ("retrain", DATA_SETS),
        ("reconstruct", DATA_SETS),
        ("genomes", BUILT_IN),
        ("bench", METHODS),
        ("score", PROTOCOLS),
        ("score", MEASURES),
        ("score", KINDS),
        ("stats", DATA_SETS),
        ("stats", KINDS),
        ("stats", REFERENCE_SPLITS),
    ],
)
def test_help_forgets_nothing_that_there_is(command: str, names: Any) -> None:
    words = set(re.findall(r"[a-z0-9-]+", " ".join(texts(command)).lower()))
    assert set(names) <= words


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_only_options_that_the_command_has(command: str) -> None:
    """Options of others follow their command: gan-nas search --method degas."""
    for text in texts(command):
        own = re.sub(r"gan-nas( (?!--)[\w./-]+)*( -[\w-]+( \w+)*)*", _keep_own(command), text)
        named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", own))
        assert named <= options_of([command]), text


def _keep_own(command: str) -> Any:
    def keep(found: re.Match[str]) -> str:
        return found[0] if found[0].startswith(f"gan-nas {command} ") else ""

    return keep


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help(command: str) -> None:
    assert all(texts(command))


@pytest.mark.parametrize(
    "command", ["build", "genomes", "retrain", "reconstruct", "bench", "compare"]
)
def test_help_says_how_a_genome_may_be_named(command: str) -> None:
    said = " ".join(texts(command))
    for kind in ("genome file", "published name", "14 integers", "matrix.npy"):
        assert kind in said
