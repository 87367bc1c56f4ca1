"""Interrupted and resumed equals uninterrupted, bit for bit, wherever the interruption falls."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny

from gan_nas.errors import Incompatible, Interrupted


@pytest.fixture(scope="module", params=sorted(tiny.RUNS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def whole(kind: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], int]:
    """Return what an uninterrupted run leaves behind, and how often it looks at `stop`."""
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += 1
        return False

    directory = tmp_path_factory.mktemp("whole") / "run"
    tiny.RUNS[kind](directory, stop)
    return tiny.traces(directory), looks


def test_one_seed_gives_the_same_bytes_and_another_seed_others(
    kind: str, whole: tuple[dict[str, Any], int], tmp_path: Path
) -> None:
    tiny.RUNS[kind](tmp_path / "again")
    assert tiny.traces(tmp_path / "again") == whole[0]
    tiny.RUNS[kind](tmp_path / "other", seed=1)
    assert tiny.traces(tmp_path / "other")["tensors"] != whole[0]["tensors"]


def test_stopped_at_any_place_and_resumed_equals_uninterrupted(
    kind: str, whole: tuple[dict[str, Any], int], tmp_path: Path
) -> None:
    traces, num_looks = whole
    num_stops = 0
    for place in range(1, num_looks + 1, max(1, num_looks // 12)):
        directory = tmp_path / f"stopped-{place}"
        looks = 0

        def stop(place: int = place) -> bool:
            nonlocal looks
            looks += 1
            return looks >= place

        with pytest.raises(Interrupted):
            tiny.RUNS[kind](directory, stop)
        tiny.RUNS[kind](directory)
        assert tiny.traces(directory) == traces, f"stopped at look {place} of {num_looks}"
        num_stops += 1
    assert num_stops >= min(10, num_looks)


@pytest.mark.parametrize("share", [0.2, 0.45, 0.7, 0.95])
def test_killed_in_any_phase_and_resumed_equals_uninterrupted(
    kind: str, whole: tuple[dict[str, Any], int], tmp_path: Path, share: float
) -> None:
    traces, num_looks = whole
    script = Path(__file__).parents[1] / "interrupted_run.py"
    directory = tmp_path / "killed"
    command = [sys.executable, str(script), kind, str(directory), str(int(share * num_looks))]
    killed = subprocess.run(command, cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    tiny.RUNS[kind](directory)
    assert tiny.traces(directory) == traces


def test_a_finished_run_returns_its_result_at_once(kind: str, tmp_path: Path) -> None:
    first = tiny.RUNS[kind](tmp_path / "run")

    def stop() -> bool:
        raise AssertionError("nothing should be run")

    assert tiny.RUNS[kind](tmp_path / "run", stop) == first


def test_changed_settings_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    tiny.RUNS[kind](tmp_path / "run")
    with pytest.raises(Incompatible, match=r"config\.batch_size: 8 -> 9"):
        tiny.RUNS[kind](tmp_path / "run", batch_size=9)


class Looks:
    """Counts how often a run asks whether to stop, and says yes from a place on."""

    def __init__(self, place: float = float("inf")) -> None:
        self.place, self.count = place, 0

    def __call__(self) -> bool:
        self.count += 1
        return self.count >= self.place


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
