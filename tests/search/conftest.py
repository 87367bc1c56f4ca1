"""Every search method, that of the tests' own package too, and a finished search of each."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import tiny

from gan_nas.search import FOLDERS, load_method
from gan_nas.search.method import Method

# Of the strategies, which differ in what they ask for alone, one with each evaluator: random trains
# its trials, evolution has shared weights; see test_strategies.py. AdversarialNAS' searches take
# longest, and have many tests of their own.
SLOW = pytest.param("adversarialnas", marks=pytest.mark.slow)
METHODS = (
    *(SLOW if name == "adversarialnas" else name for name in FOLDERS),
    *("random", "evolution", "hill-climbing"),
)
Searches = Callable[[str], tiny.Searched]


@pytest.fixture(scope="session")
def finished_searches(tmp_path_factory: pytest.TempPathFactory) -> Searches:
    """Return the finished tiny search of a method; run when it is first asked for."""
    folder = tmp_path_factory.mktemp("searches")

    @cache
    def searched(method: str) -> tiny.Searched:
        return tiny.Searched(folder / method, tiny.run_search(method, folder / method, plain=False))

    return searched


@pytest.fixture
def searches(finished_searches: Searches, tmp_path: Path) -> Searches:
    """Return a finished search of a method, a copy that a test may write to."""

    def copied(method: str) -> tiny.Searched:
        finished = finished_searches(method)
        copy = copytree(finished.directory, tmp_path / "finished" / method, dirs_exist_ok=True)
        return finished._replace(directory=copy)

    return copied


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest, plugin: Path) -> Method[Any, Any]:
    return load_method(request.param)


@pytest.fixture
def searched(method: Method[Any, Any], searches: Searches) -> tiny.Searched:
    return searches(method.name)
