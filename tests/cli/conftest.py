"""A small data set, finished searches and one trained generator for all tests of commands."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from commands import STUDY, Answer, Command, Searched, Studied, sets
from PIL import Image
from tables import made_up
from tiny import SETTINGS, TRAINING

from gan_nas.cli import run


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let no command leave its number of threads to the next test."""
    yield
    torch.set_num_threads(1)


@pytest.fixture
def gan_nas(capsys: pytest.CaptureFixture[str]) -> Command:
    def command(*arguments: str | Path) -> Answer:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Answer(code, *capsys.readouterr())

    return command


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of grey images without labels, and a cache of its own for the classifier."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for i in range(60):
        pixels = random.integers(0, 256, (16, 16), np.uint8)
        pixels[:, : 1 + i % 16] //= 4
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    before = os.environ.get("GAN_NAS_CACHE")
    os.environ["GAN_NAS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield folder
    if before is None:
        del os.environ["GAN_NAS_CACHE"]
    else:
        os.environ["GAN_NAS_CACHE"] = before


class Searches(dict[str, Searched]):
    """The finished search of each method, made when a test asks for it."""

    def __init__(self, data: Path, root: Path) -> None:
        self.data, self.root = data, root

    def __missing__(self, method: str) -> Searched:
        few = {"reward": "frechet"} if method == "autogan" else {"iterations": 2}
        settings = sets(SETTINGS[method] | few)
        options = ["--method", method, "--data", str(self.data), *settings]
        directory = self.root / method
        assert run(["search", *options, "--run", str(directory)]) == 0
        self[method] = Searched(method, options, directory)
        return self[method]


@pytest.fixture(scope="session")
def finished_searches(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Searches:
    return Searches(folder, tmp_path_factory.mktemp("searches"))


@pytest.fixture(scope="session")
def studies(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Studied]:
    """Finished studies by name."""
    table = tmp_path_factory.mktemp("tables") / "made up.json"
    made_up().save(table)
    options = {
        "noise": ["--set", f"table={table}"],
        "methods": ["--data", str(folder), *sets(STUDY)],
    }

    @cache
    def finished(name: str) -> Studied:
        directory = tmp_path_factory.mktemp("studies") / name
        command = ["study", name, *options[name], "--run", str(directory)]
        assert run(command) == 0
        return Studied(command, directory)

    return finished


# AdversarialNAS' takes as long as both others, and is asked by other tests.
LONG = pytest.param("adversarialnas", marks=pytest.mark.slow)


@pytest.fixture(params=["autogan", LONG, "degas"])
def searched(
    request: pytest.FixtureRequest, finished_searches: Searches, tmp_path: Path
) -> Searched:
    """The finished search of every method in turn, a copy that a test may write to."""
    return _copied(finished_searches[request.param], tmp_path)


@pytest.fixture
def finished_search(finished_searches: Searches, tmp_path: Path) -> Path:
    return _copied(finished_searches["autogan"], tmp_path).run


def _copied(searched: Searched, folder: Path) -> Searched:
    return searched._replace(run=copytree(searched.run, folder / "finished"))


@pytest.fixture(scope="session")
def training_options(folder: Path) -> list[str]:
    return ["--data", str(folder), *sets(TRAINING | {"steps": 3})]


@pytest.fixture(scope="session")
def trained(training_options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "training"
    options = [*training_options, "--run", str(directory)]
    assert run(["retrain", "autogan-cifar10-top1", "--width", "4", *options]) == 0
    return directory / "generator.safetensors"
