"""How much slower a command gets beside busy processes: what a shared machine makes of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gan_nas.errors import RunFailed
from gan_nas.runs.run import stored_config

# Ends by itself when the process that started it does, however that ends.
BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""
COMMAND = (sys.executable, "-P", "-c", "from gan_nas.cli import main; main()")


class Load(NamedTuple):
    """A command that ran beside `busy` processes: seconds on the clock, and its CPU threads."""

    busy: int
    seconds: float
    threads: int


@contextmanager
def busy_processes(num: int) -> Iterator[list[int]]:
    """Keep `num` processes computing nothing; lends their ids and ends them."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(num)]  # noqa: S603
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def time_beside(
    arguments: Sequence[str], run: Path, busy: int, environment: Mapping[str, str] | None = None
) -> Load:
    """Time one gan-nas command, which works in the directory `run`, in a process of its own.

    `environment` is added to this process'. Raises RunFailed with what the command said.
    """
    program = [*COMMAND, *arguments, "--run", str(run), "--json"]
    variables = dict(os.environ) | dict(environment or {})
    with busy_processes(busy):
        started = time.perf_counter()
        done = subprocess.run(program, env=variables, capture_output=True, text=True, check=False)  # noqa: S603
        seconds = time.perf_counter() - started
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise RunFailed(f"gan-nas {arguments[0]} ended with {done.returncode}: {said}")
    json.loads(done.stdout)
    threads: Any = stored_config(run)["versions"]["threads"]
    return Load(busy, seconds, int(threads))
