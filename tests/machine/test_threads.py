"""How many CPU threads are taken, and how long they spin."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gan_nas.machine.threads import (
    POLICIES,
    SHORT_SPIN,
    number_is_given,
    spin_briefly,
    thread_counts,
    time_threads,
    worthwhile,
)


class Machine:
    """A clock that only steps move: by what a step takes with the number of threads that is set."""

    def __init__(self, seconds: Callable[[int, int], float]) -> None:
        self.now, self.steps, self.seconds = 0.0, 0, seconds

    def step(self) -> None:
        self.now += self.seconds(torch.get_num_threads(), self.steps)
        self.steps += 1

    def clock(self) -> float:
        return self.now


def chosen(seconds: Callable[[int, int], float], cores: int = 2) -> int:
    machine = Machine(seconds)
    return worthwhile(time_threads(machine.step, cores, clock=machine.clock))


@pytest.mark.parametrize(
    ("cores", "numbers"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])],
)
def test_candidates_double_up_to_the_cores(cores: int, numbers: list[int]) -> None:
    assert thread_counts(cores) == numbers


def test_more_threads_are_taken_only_where_they_are_clearly_faster() -> None:
    assert chosen(lambda n, _: 0.04 / n) == 2
    assert chosen(lambda n, _: 0.040 if n == 1 else 0.039) == 1
    assert chosen(lambda n, _: 0.050 if n == 1 else 0.043) == 1
    assert chosen(lambda n, _: 0.040 * n) == 1
    assert chosen(lambda n, _: {1: 4.0, 2: 2.1, 4: 2.05, 8: 1.0}[n] / 100, cores=8) == 8
    assert chosen(lambda n, _: {1: 4.0, 2: 2.1, 4: 2.05, 8: 2.0}[n] / 100, cores=8) == 2


def test_a_rare_storm_counts_though_the_usual_step_is_faster() -> None:
    def stormy(threads: int, step: int) -> float:
        return 0.05 if threads == 1 else 2.0 if step % 20 == 5 else 0.03

    assert chosen(stormy) == 1


def test_a_drift_of_the_machine_decides_nothing() -> None:
    assert chosen(lambda n, step: (0.02 if n == 1 else 0.015) * (1 + step / 100)) == 2
    assert chosen(lambda n, step: 0.02 / (1 + step / 100)) == 1
    assert chosen(lambda n, step: 0.02 * (1 + step / 100)) == 1


def test_a_choice_ends_soon_and_every_number_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = Machine(lambda n, _: 0.01)
    assert list(time_threads(quick.step, 4, budget=1.0, clock=quick.clock)) == [1, 2, 4]
    assert quick.now < 1.2
    slow = Machine(lambda n, _: 5.0)
    assert len(time_threads(slow.step, 4, budget=1.0, clock=slow.clock)) == 3
    assert slow.steps == 9


def test_timing_puts_the_number_of_threads_back_even_after_an_error() -> None:
    before = torch.get_num_threads()
    time_threads(lambda: None, 2, budget=0.0)
    assert torch.get_num_threads() == before

    def fails() -> None:
        raise RuntimeError("no step")

    with pytest.raises(RuntimeError, match="no step"):
        time_threads(fails, 2)
    assert torch.get_num_threads() == before


def test_a_short_spin_is_set_unless_the_user_said_anything_about_waiting() -> None:
    environment: dict[str, str] = {"OMP_NUM_THREADS": "4"}
    spin_briefly(environment)
    assert environment == {"OMP_NUM_THREADS": "4"} | SHORT_SPIN
    for policy in POLICIES:
        theirs = {policy: "1"}
        spin_briefly(theirs)
        assert theirs == {policy: "1"}


def test_a_number_of_threads_can_be_given_in_the_environment() -> None:
    assert number_is_given({"OMP_NUM_THREADS": "1"})
    assert number_is_given({"MKL_NUM_THREADS": "2"})
    assert not number_is_given({"OMP_NUM_THREADS": "", "OMP_WAIT_POLICY": "PASSIVE"})


def test_the_command_sets_the_spin_before_torch_and_the_library_sets_nothing(
    tmp_path: Path,
) -> None:
    code = (
        "import os, sys\n"
        "import gan_nas.cli, gan_nas.machine.threads\n"
        "assert 'GOMP_SPINCOUNT' not in os.environ and 'torch' not in sys.modules\n"
        "sys.argv = ['gan-nas', '--version']\n"
        "try:\n    gan_nas.cli.main()\n"
        "except SystemExit:\n    print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in POLICIES}
    program = [sys.executable, "-P", "-c", code]
    done = subprocess.run(
        program, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert done.stdout.splitlines()[-1] == f"{SHORT_SPIN['GOMP_SPINCOUNT']} False"
