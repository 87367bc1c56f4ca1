"""The one loop: when it saves, what stops it, and that work goes on as if it had never stopped."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel
from tiny import CPU, timeless

from gan_nas.errors import Incompatible, Interrupted, RunFailed
from gan_nas.networks.states import Saved, saved_tensors
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.loop import work_through
from gan_nas.runs.run import Run, never, read_log


class State(BaseModel):
    step: int = 0
    laps: int


class Walk:
    """Sums up its steps: `stride` of them a unit, each taking `seconds` of a clock of its own."""

    def __init__(
        self,
        ledger: Ledger,
        state: State | None = None,
        *,
        steps: int = 10,
        stride: int = 1,
        seconds: float = 0.0,
        saving: float = 0.0,
        breaks_at: int | None = None,
        wrong_at: int | None = None,
    ) -> None:
        self.state = state or State(laps=0)
        self.ledger, self.steps, self.stride = ledger, steps, stride
        self.seconds, self.saving, self.now = seconds, saving, 0.0
        self.breaks_at, self.wrong_at = breaks_at, wrong_at
        self.sum = torch.zeros((), dtype=torch.float64, device=CPU)
        self.window = ledger.window("loss", 3, CPU)
        self.kept: list[int] = []

    @property
    def step(self) -> int:
        return self.state.step

    @property
    def finished(self) -> bool:
        return self.step >= self.steps

    def advance(self) -> None:
        if self.step == self.breaks_at:
            raise Interrupted("in the middle of a unit")
        self.state.step += self.stride
        self.state.laps += 1
        self.sum += self.step
        bad = self.wrong_at is not None and self.step >= self.wrong_at
        self.window.push(torch.tensor(float("nan") if bad else float(self.step), device=CPU))
        self.ledger.log(step=self.step, sum=float(self.sum))
        self.now += self.seconds

    def saved(self) -> dict[str, Saved]:
        self.now += self.saving
        return {"sum": saved_tensors({"sum": self.sum})}

    def verify(self) -> None:
        self.ledger.losses(self.step)
        self.kept.append(self.step)


def walk(
    directory: Path, stop: Callable[[], bool] = never, save_every: int = 4, **settings: Any
) -> Walk:
    """Walk to the end, in a run directory."""
    made: list[Walk] = []

    def start(ledger: Ledger, state: State | None) -> Walk:
        made.append(Walk(ledger, state, **settings))
        return made[0]

    with Run.open(directory, {}, stop) as run:
        ledger = Ledger(run, what="the walk")
        begin, clock = partial(start, ledger), lambda: made[0].now
        return work_through(run, ledger, State, begin, save_every=save_every, clock=clock)


def saved_state(directory: Path) -> dict[str, Any]:
    newest = max((directory / "checkpoint").iterdir())
    content: dict[str, Any] = json.loads((newest / "state.json").read_text())
    return content


def traces(directory: Path) -> Any:
    """Return the log and the last checkpoint, times aside."""
    return timeless([read_log(directory), saved_state(directory)["state"]])


@pytest.mark.parametrize(
    ("settings", "saved"),
    [
        ({}, [4, 8, 10]),
        ({"steps": 8}, [4, 8]),
        ({"steps": 12, "stride": 3}, [6, 9, 12]),  # 4 and 8 are passed
        ({"steps": 2}, [2]),
        ({"steps": 0}, []),
    ],
    ids=str,
)
def test_a_checkpoint_is_written_where_a_multiple_was_passed_and_at_the_end(
    tmp_path: Path, settings: dict[str, int], saved: list[int]
) -> None:
    assert walk(tmp_path / "run", **settings).kept == saved


def test_slow_units_are_saved_after_half_a_minute_and_saving_takes_a_small_share(
    tmp_path: Path,
) -> None:
    slow: dict[str, Any] = {"save_every": 1000, "seconds": 11.0}
    assert walk(tmp_path / "slow", **slow).kept == [3, 6, 9, 10]
    # A checkpoint of 5 s may follow its predecessor after 100 s and more.
    assert walk(tmp_path / "dear", saving=5.0, steps=25, **slow).kept == [3, 13, 23, 25]
    assert walk(tmp_path / "fast", save_every=1000, seconds=0.1).kept == [10]


@pytest.mark.parametrize("looks", range(1, 11))
def test_a_stop_is_saved_at_once_and_going_on_equals_a_run_without_it(
    tmp_path: Path, looks: int
) -> None:
    walk(tmp_path / "whole")
    seen: list[int] = []

    def stop() -> bool:
        seen.append(0)
        return len(seen) >= looks

    with pytest.raises(Interrupted, match="the state is saved"):
        walk(tmp_path / "run", stop)
    assert saved_state(tmp_path / "run")["step"] == len(read_log(tmp_path / "run"))
    again = walk(tmp_path / "run")
    assert float(again.sum) == sum(range(1, 11))
    assert again.state == State(step=10, laps=10)
    assert traces(tmp_path / "run") == traces(tmp_path / "whole")


def test_a_unit_that_was_interrupted_is_saved_before_and_done_again(tmp_path: Path) -> None:
    walk(tmp_path / "whole")
    with pytest.raises(Interrupted, match="in the middle"):
        walk(tmp_path / "run", breaks_at=7)
    assert saved_state(tmp_path / "run")["step"] == 7
    walk(tmp_path / "run")
    assert traces(tmp_path / "run") == traces(tmp_path / "whole")


def test_what_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="the walk diverged before step 8: a loss is not finite"):
        walk(tmp_path / "run", wrong_at=6)
    assert saved_state(tmp_path / "run")["step"] == 4


def test_finished_work_is_only_read(tmp_path: Path) -> None:
    first = walk(tmp_path / "run")
    again = walk(tmp_path / "run")
    # What is read is verified as what is saved is.
    assert (again.kept, again.state, again.sum) == ([first.step], first.state, first.sum)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda state, _: state.pop("laps"), "the field laps is missing"),
        (lambda state, _: state.update(laps="many"), "laps = 'many'"),
        (lambda state, _: state["ledger"].pop("seconds"), "the field seconds is missing"),
        (lambda state, _: state["ledger"]["losses"].pop("loss"), "KeyError: 'loss'"),
        (lambda _, tensors: tensors.pop("losses"), "KeyError: 'losses'"),
        (lambda _, tensors: tensors.pop("sum"), "no tensors called sum"),
        (lambda _, tensors: tensors["sum"].pop("sum"), "1 missing (sum)"),
    ],
)
def test_a_checkpoint_of_another_version_is_refused_by_name(
    tmp_path: Path, edit: Callable[[Any, Any], object], said: str
) -> None:
    walk(tmp_path / "run", steps=4)
    _edit(tmp_path / "run", edit)
    with pytest.raises(Incompatible) as caught:
        walk(tmp_path / "run")
    assert said in str(caught.value)


def test_what_another_version_kept_besides_is_left_out(tmp_path: Path) -> None:
    walk(tmp_path / "whole")
    walk(tmp_path / "run", steps=4)
    _edit(tmp_path / "run", lambda state, _: state.update(novelty=1))
    walk(tmp_path / "run")
    assert traces(tmp_path / "run") == traces(tmp_path / "whole")


def _edit(directory: Path, edit: Callable[[Any, Any], object]) -> None:
    """Save the newest checkpoint once more, changed."""
    with Run.open(directory, {}) as run:
        checkpoint = run.latest()
        assert checkpoint is not None
        edit(checkpoint.state, checkpoint.tensors)
        run.save(checkpoint.step, checkpoint.state, checkpoint.tensors)
