"""Interrupted and resumed equals uninterrupted, bit for bit, wherever the interruption falls."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tiny

from gan_nas.errors import Incompatible, Interrupted


@pytest.fixture(scope="module", params=sorted(tiny.RUNS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Looks:
    """Counts how often a run asks whether to stop, and says yes from a place on."""

    def __init__(self, place: float = float("inf")) -> None:
        self.place, self.count = place, 0

    def __call__(self) -> bool:
        self.count += 1
        return self.count >= self.place


class Whole(NamedTuple):
    """A run that nobody interrupted, what it left, and how often it looked at `stop`."""

    directory: Path
    result: Any
    traces: dict[str, Any]
    num_looks: int


@pytest.fixture(scope="module")
def whole(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    directory, looks = tmp_path_factory.mktemp("whole") / "run", Looks()
    result = tiny.RUNS[kind](directory, looks)
    return Whole(directory, result, tiny.traces(directory), looks.count)


def test_another_seed_gives_other_bytes(kind: str, whole: Whole, tmp_path: Path) -> None:
    """That the same seed gives the same is what all of the others say."""
    tiny.RUNS[kind](tmp_path / "other", seed=1)
    assert tiny.traces(tmp_path / "other")["tensors"] != whole.traces["tensors"]


def test_stopped_at_any_place_and_resumed_equals_uninterrupted(
    kind: str, whole: Whole, tmp_path: Path
) -> None:
    places = range(1, whole.num_looks + 1, max(1, whole.num_looks // 6))
    for place in places:
        directory = tmp_path / f"stopped-{place}"
        with pytest.raises(Interrupted):
            tiny.RUNS[kind](directory, Looks(place))
        tiny.RUNS[kind](directory)
        where = f"stopped at look {place} of {whole.num_looks}"
        assert tiny.traces(directory) == whole.traces, where
    assert len(places) >= min(6, whole.num_looks)


@pytest.mark.parametrize(
    "share",
    [0.2, 0.7, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.45, 0.95))],
)
def test_killed_in_any_phase_and_resumed_equals_uninterrupted(
    kind: str, whole: Whole, tmp_path: Path, share: float
) -> None:
    script = Path(__file__).parents[1] / "interrupted_run.py"
    directory = tmp_path / "killed"
    place = str(int(share * whole.num_looks))
    command = [sys.executable, str(script), kind, str(directory), place]
    killed = subprocess.run(command, cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    tiny.RUNS[kind](directory)
    assert tiny.traces(directory) == whole.traces


def test_a_finished_run_returns_its_result_at_once(kind: str, whole: Whole) -> None:
    def stop() -> bool:
        raise AssertionError("nothing should be run")

    assert tiny.RUNS[kind](whole.directory, stop) == whole.result
    assert tiny.traces(whole.directory) == whole.traces


def test_changed_settings_are_refused_by_name(kind: str, whole: Whole) -> None:
    with pytest.raises(Incompatible, match=r"config\.batch_size: 8 -> 9"):
        tiny.RUNS[kind](whole.directory, batch_size=9)


@pytest.mark.parametrize(
    "kind", ["training", "autogan", pytest.param("adversarialnas", marks=pytest.mark.slow)]
)
def test_published_runs_go_on_bit_for_bit_from_within_a_cycle(kind: str, tmp_path: Path) -> None:
    """Whose turn it is, idle weights' gradients, a reset before candidates, a replaced average."""
    looks = Looks()
    tiny.PUBLISHED_RUNS[kind](tmp_path / "whole", looks)
    traces = tiny.traces(tmp_path / "whole")
    for share in (0.15, 0.4, 0.6, 0.9):
        directory, stop = tmp_path / f"stopped-{share}", Looks(int(share * looks.count))
        with pytest.raises(Interrupted):
            tiny.PUBLISHED_RUNS[kind](directory, stop)
        tiny.PUBLISHED_RUNS[kind](directory)
        assert tiny.traces(directory) == traces, f"stopped at look {stop.place} of {looks.count}"
