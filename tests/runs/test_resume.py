"""Interrupted and resumed equals uninterrupted, bit for bit, wherever the interruption falls."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tiny

from gan_nas.errors import Incompatible, Interrupted

# Pairs are shared weights and more, which take twice as long: the slow tests have them.
KINDS = [
    pytest.param(kind, marks=pytest.mark.slow) if kind == "pairs" else kind
    for kind in sorted(tiny.RUNS)
]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# AdversarialNAS' takes the longest by far, and every run of the tests stops it again and again.
SELDOM = [
    pytest.param(kind, marks=pytest.mark.slow) if kind == "adversarialnas" else kind
    for kind in KINDS
]


class Whole(NamedTuple):
    """A run that nobody interrupted, what it left, and how often it looked at `stop`."""

    directory: Path
    result: Any
    traces: dict[str, Any]
    num_looks: int


@pytest.fixture(scope="module")
def whole(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    directory, looks = tmp_path_factory.mktemp("whole") / "run", tiny.Looks()
    result = tiny.RUNS[kind](directory, looks)
    return Whole(directory, result, tiny.traces(directory), looks.count)


def interrupted_again_and_again(
    begin: Callable[..., Any], directory: Path, every: int
) -> dict[str, Any]:
    """Interrupt a run at its first look, and after so many more each time; return what it left.

    From the fifth time on after more and more: what comes to no checkpoint, as scores do not, must
    fit between two interruptions.
    """
    for times in range(20):
        try:
            begin(directory, tiny.Looks(every * max(1, times - 3) if times else 1))
        except Interrupted:
            continue
        assert times >= 4
        return tiny.traces(directory)
    raise AssertionError("it makes no progress between interruptions")


@pytest.mark.parametrize("kind", SELDOM, indirect=True)
def test_another_seed_gives_other_bytes(kind: str, tmp_path: Path) -> None:
    """That the same seed gives the same is what all of the others say."""
    weights = []
    for seed in (0, 1):
        with pytest.raises(Interrupted):
            tiny.RUNS[kind](tmp_path / str(seed), tiny.Looks(1), seed=seed)
        checkpoint = (tmp_path / str(seed) / "checkpoint").rglob("*.safetensors")
        weights.append({path.name: path.read_bytes() for path in checkpoint})
    assert weights[0].keys() == weights[1].keys()
    assert weights[0] != weights[1]


@pytest.mark.parametrize("kind", SELDOM, indirect=True)
def test_stopped_again_and_again_and_resumed_equals_uninterrupted(
    kind: str, whole: Whole, tmp_path: Path
) -> None:
    begin, every = tiny.RUNS[kind], whole.num_looks // 4
    assert interrupted_again_and_again(begin, tmp_path / "run", every) == whole.traces


@pytest.fixture(scope="module")
def killed_run() -> Iterator[Callable[..., int]]:
    """Runs that kill themselves at a look, begun by one process; returns their exit status."""
    script = Path(__file__).parents[1] / "interrupted_run.py"
    command = [sys.executable, str(script)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        asked, told = process.stdin, process.stdout
        assert asked is not None
        assert told is not None

        def run(kind: str, directory: Path, last: int) -> int:
            print(kind, last, directory, file=asked, flush=True)
            return int(told.readline())

        yield run
        asked.close()


@pytest.mark.parametrize("kind", SELDOM, indirect=True)
@pytest.mark.parametrize(
    "share",
    [0.7, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.2, 0.45, 0.95))],
)
def test_killed_in_any_phase_and_resumed_equals_uninterrupted(
    kind: str, whole: Whole, tmp_path: Path, share: float, killed_run: Callable[..., int]
) -> None:
    directory = tmp_path / "killed"
    assert killed_run(kind, directory, int(share * whole.num_looks)) == -signal.SIGKILL
    tiny.RUNS[kind](directory)
    assert tiny.traces(directory) == whole.traces


def test_a_finished_run_returns_its_result_at_once(kind: str, whole: Whole) -> None:
    def stop() -> bool:
        raise AssertionError("nothing should be run")

    assert tiny.RUNS[kind](whole.directory, stop) == whole.result
    assert tiny.traces(whole.directory) == whole.traces


def test_changed_settings_are_refused_by_name(kind: str, whole: Whole) -> None:
    name, stood = ("supernet_images", 40) if kind in ("shared", "pairs") else ("batch_size", 8)
    with pytest.raises(Incompatible, match=rf"config\.{name}: {stood} -> {stood + 1}"):
        tiny.RUNS[kind](whole.directory, **{name: stood + 1})


@pytest.mark.parametrize(
    "kind", ["training", "autogan", pytest.param("adversarialnas", marks=pytest.mark.slow)]
)
def test_published_runs_go_on_bit_for_bit_from_within_a_cycle(kind: str, tmp_path: Path) -> None:
    """Whose turn it is, idle weights' gradients, a reset before candidates, a replaced average."""
    begin, looks = tiny.PUBLISHED_RUNS[kind], tiny.Looks()
    begin(tmp_path / "whole", looks)
    left = interrupted_again_and_again(begin, tmp_path / "run", looks.count // 4)
    assert left == tiny.traces(tmp_path / "whole")
