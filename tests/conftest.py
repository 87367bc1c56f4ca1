"""What every test file shares: one thread a worker, the GPU mark, data beside the checkout."""

import os
from pathlib import Path

import pytest
import strangers
import torch

from gan_nas.machine.instructions import avoid_amx

os.environ["OMP_NUM_THREADS"] = "1"  # several workers share the cores: commands measure nothing
avoid_amx()
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no GPU here"))


@pytest.fixture
def shared() -> Path:
    path = Path(__file__).parents[1].parent / "shared"
    if not path.is_dir():
        pytest.skip(f"{path} is not here")
    return path


@pytest.fixture(scope="session")
def plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tests' own package is installed."""
    return strangers.install(tmp_path_factory.mktemp("plugin"))


@pytest.fixture
def plugin(plugin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tests' own package, installed while a test runs."""
    monkeypatch.syspath_prepend(plugin_folder)
    return plugin_folder
