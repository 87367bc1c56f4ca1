import os
from pathlib import Path

import pytest

from gan_nas.bench.load import busy_processes, time_beside
from gan_nas.errors import RunFailed


def runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_busy_processes_end_with_the_work_even_if_it_fails() -> None:
    lent: list[int] = []

    def work() -> None:
        with busy_processes(2) as processes:
            lent.extend(processes)
            assert all(map(runs, processes))
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        work()
    assert len(lent) == 2
    assert not any(map(runs, lent))


@pytest.mark.slow
def test_a_command_that_fails_is_told_by_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"retrain ended with 2: .*unknown preset 'dmeo'"):
        time_beside(["retrain", "sngan-cifar10", "--preset", "dmeo"], tmp_path / "run", 0)
