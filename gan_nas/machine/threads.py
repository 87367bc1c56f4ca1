"""The CPU threads of this process: how many are worth having, and how long idle ones spin.

OpenMP's threads meet at the end of every operation, and those that come early spin. While another
process holds a core they spin for its whole time slice, at each of the thousands of meetings of a
step: beside four busy processes on two cores a step takes 20 times as long as with one thread.
"""

import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from itertools import count

from gan_nas.machine.cores import available_cores

# What a user may have said about waiting, to GNU's, LLVM's and Intel's OpenMP.
POLICIES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
# Looks at a flag, some 0.2 ms: 5 % slower than GNU's default on an idle machine, and beside busy
# processes never slower than the share of the cores that is left. LLVM counts in milliseconds.
SHORT_SPIN = {"GOMP_SPINCOUNT": "5000", "KMP_BLOCKTIME": "1"}
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # what a user may have said about their number
# More threads must take less than this share of the time. A smaller gain would make the choice hang
# on noise, and with it the last digits, which decide what a search finds.
WORTH = 0.8
SECONDS = 1.0  # that a choice may take, about
BLOCK = 2  # steps timed in a row, after one that is not: a change of threads disturbs the next step


def spin_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let waiting threads go to sleep soon, unless the user set anything about waiting.

    OpenMP reads its variables once: this has to come before torch is loaded. Child processes
    inherit them.
    """
    if not any(policy in environment for policy in POLICIES):
        environment.update(SHORT_SPIN)


def number_is_given(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the user has set the number of threads in the environment."""
    return any(environment.get(name) for name in COUNTS)


def thread_counts(cores: int) -> list[int]:
    """Return 1, 2, 4, ... up to the number of cores, which is among them."""
    powers = [1 << n for n in range(cores.bit_length()) if 1 << n < cores]
    return [*powers, cores]


def time_threads(
    step: Callable[[], object],
    cores: int | None = None,
    budget: float = SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[int, float]:
    """Time a step with 1, 2, 4, ... threads in turn; returns number -> mean seconds.

    Turns, every other one backwards, let drifts of the machine hit all alike; the mean, unlike the
    median, counts the rare steps that take a hundred times as long because a thread waited for one
    without a core. At least one turn is made, and no other one begins after `budget` seconds. The
    number of threads is put back.
    """
    import torch

    before = torch.get_num_threads()
    spent: dict[int, list[float]] = {n: [] for n in thread_counts(cores or available_cores())}
    begun = clock()
    try:
        for turn in count():
            if turn and clock() - begun > budget:
                break
            for threads, seconds in list(spent.items())[:: -1 if turn % 2 else 1]:
                torch.set_num_threads(threads)
                step()
                for _ in range(BLOCK):
                    started = clock()
                    step()
                    seconds.append(clock() - started)
    finally:
        torch.set_num_threads(before)
    return {threads: sum(seconds) / len(seconds) for threads, seconds in spent.items()}


def worthwhile(seconds: Mapping[int, float]) -> int:
    """Return the number of threads to take: more only where they are clearly faster."""
    best = min(seconds)
    for threads in sorted(seconds):
        if seconds[threads] < WORTH * seconds[best]:
            best = threads
    return best
