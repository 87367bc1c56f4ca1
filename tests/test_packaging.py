import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
TOPS = ("gan_nas", "cli", "genomes")


def folder(package: str) -> Path:
    return ROOT / SETUPTOOLS["package-dir"].get(package, package.replace(".", "/"))


def test_every_package_is_shipped() -> None:
    found = {path.parent for top in TOPS for path in (ROOT / top).rglob("__init__.py")}
    assert {folder(package) for package in SETUPTOOLS["packages"]} == found


def test_every_data_file_is_shipped() -> None:
    patterns = SETUPTOOLS["package-data"]
    shipped = {
        f for package in patterns for p in patterns[package] for f in folder(package).glob(p)
    }
    files = {path for top in TOPS for path in (ROOT / top).rglob("*") if path.is_file()}
    assert shipped == {path for path in files if path.suffix not in (".py", ".pyc")}


def test_the_installed_package_is_this_one() -> None:
    assert version("gan-nas") == PROJECT["project"]["version"]


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        (
            "import gan_nas.cli, gan_nas.configs, gan_nas.spaces.diff, gan_nas.spaces.genome\n"
            "import gan_nas.spaces.published, gan_nas.spaces.random_genomes",
            "torch numpy scipy matplotlib",
        ),
        (
            "import importlib, pkgutil, gan_nas\n"
            "for module in pkgutil.walk_packages(gan_nas.__path__, 'gan_nas.'):\n"
            "    try:\n"
            "        importlib.import_module(module.name)\n"
            "    except ModuleNotFoundError as error:\n"
            "        assert error.name in ('ray', 'submitit', 'optuna', 'tensorboardX'), error\n"
            "gan_nas.load_images('digits')",
            "torchvision matplotlib",
        ),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(
    code: str, heavy: str, tmp_path: Path
) -> None:
    check = f"import sys\nprint(*sorted({set(heavy.split())} & sys.modules.keys()))"
    program = [sys.executable, "-P", "-c", f"{code}\n{check}"]
    # Not in the root: there the folder gan_nas/ would hide the installed package.
    result = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    assert result.stdout.split() == []
