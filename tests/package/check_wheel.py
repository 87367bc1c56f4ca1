"""Check an installed wheel from outside the repository: python -I check_wheel.py."""

import importlib
import json
import pkgutil
import subprocess
import sys
from importlib.metadata import files as installed_files
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
EXTRAS = ("ray", "submitit", "optuna", "tensorboardX")  # packages that only an extra installs


def only_our_package_is_installed() -> None:
    tops = {Path(str(file)).parts[0] for file in installed_files("gan-nas") or []}
    assert tops == {"gan_nas", f"gan_nas-{version('gan-nas')}.dist-info", ".."}, tops


def every_module_imports_from_the_wheel() -> None:
    package = importlib.import_module("gan_nas")
    assert package.__version__ == version("gan-nas")
    names = [module.name for module in pkgutil.walk_packages(package.__path__, "gan_nas.")]
    for name in ["gan_nas", *names]:
        try:
            path = Path(importlib.import_module(name).__file__ or "")
        except ModuleNotFoundError as error:
            assert error.name in EXTRAS, error  # noqa: PT017 - not run by pytest
            continue
        assert not path.is_relative_to(REPOSITORY) or ".nox" in path.parts, path
    for name in (
        "gan_nas.cli",
        "gan_nas.data.digits",
        "gan_nas.genomes",
        "gan_nas.search.autogan.search",
    ):
        assert name in names, name


def data_files_are_there() -> None:
    from gan_nas.spaces.leaderboard import read_leaderboard
    from gan_nas.spaces.published import published_genome, published_names

    assert (files("gan_nas") / "py.typed").is_file()
    assert (files("gan_nas.data") / "digits.npz").is_file()
    assert (files("gan_nas.metrics") / "digits_classifier.safetensors").is_file()
    assert (files("gan_nas.genomes") / "README.md").is_file()
    assert read_leaderboard().rows
    sources = {path.stem for path in (REPOSITORY / "genomes").glob("*.json")}
    assert set(published_names()) == sources
    for name in sources:
        assert published_genome(name).name == name


def the_command_answers() -> None:
    command = Path(sys.executable).with_name("gan-nas")
    subprocess.run([command, "--help"], check=True, stdout=subprocess.DEVNULL)
    answer = subprocess.run([command, "genomes", "--json"], check=True, capture_output=True)
    assert "autogan-cifar10-top1" in json.dumps(json.loads(answer.stdout))


if __name__ == "__main__":
    only_our_package_is_installed()
    every_module_imports_from_the_wheel()
    data_files_are_there()
    the_command_answers()
