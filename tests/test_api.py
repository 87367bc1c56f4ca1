"""The public API: which names there are, and that they come lazily."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

import gan_nas as gn
from gan_nas.errors import InvalidInput
from gan_nas.search.method import SearchConfig

NAMES = re.findall(
    r"\w+",
    """
    Backbone GanNasError Generator Genome Images Preparation Scorer Scores Task TrainingConfig
    build_discriminator build_generator compare custom_backbone derive diff genome_cost layers_of
    load_backbone load_generator load_genome load_images load_method load_start published_names
    read_scores sample_genomes score search train training_preset
    """,
)


def test_exactly_these_names_are_public() -> None:
    assert gn.__all__ == NAMES
    assert {*NAMES, "__version__"} <= set(dir(gn))


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_a_documented_thing_of_its_module(name: str) -> None:
    value = getattr(gn, name)
    assert value.__name__.split(".")[-1] == name
    assert callable(value)
    assert (inspect.getdoc(value) or "").split("\n")[0].endswith(".")


def test_a_public_name_that_is_a_folders_is_the_folder_which_can_be_called(tmp_path: Path) -> None:
    folders = {module.name for module in pkgutil.iter_modules(gn.__path__)}
    assert folders & set(NAMES) == {"search"}
    task = gn.Task(config=SearchConfig(), images=tiny.digits())
    for _ in range(2):  # before and after its files are loaded
        with pytest.raises(InvalidInput, match="unknown method autogam, did you mean autogan"):
            gn.search("autogam", task, tmp_path)
        importlib.import_module("gan_nas.search.drive")


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="'gan_nas' has no attribute 'nothing'"):
        _ = gn.nothing  # type: ignore[attr-defined]


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    seen = {
        alias.asname: f"{node.module}".removeprefix("gan_nas.")
        for node in ast.walk(ast.parse(Path(inspect.getfile(gn)).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert seen == gn.HOMES | {"search": "search.drive"}


def run(code: str, folder: Path) -> str:
    program = [sys.executable, "-P", "-W", "error", "-c", code]
    result = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_importing_the_package_imports_nothing_else(tmp_path: Path) -> None:
    loaded = run(
        "import sys, importlib.util, typing\nbefore = set(sys.modules)\nimport gan_nas\n"
        "print(*set(sys.modules) - before)\n",
        tmp_path,
    )
    assert loaded.split() == ["gan_nas"]


def test_genomes_come_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys, gan_nas as gn\n"
        "gn.diff(*gn.sample_genomes('autogan', 2, seed=0)), gn.load_genome('ctgan-cifar10')\n"
        "print(gn.__version__, 'torch' in sys.modules)\n"
    )
    assert run(code, tmp_path).split() == [gn.__version__, "False"]
