"""Let tiny trainings and searches kill themselves, as `kill -9` would, at the n-th look at `stop`.

Each line of stdin, KIND N DIRECTORY with a kind of tiny.RUNS, is answered by an exit status.
"""

import os
import signal
import sys
from importlib import import_module
from itertools import count
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import tiny

torch.set_num_threads(1)
for late in ("torch._dynamo", "matplotlib.figure"):
    import_module(late)  # here, and not in every run


def run_and_die(kind: str, last: int, directory: Path) -> None:
    looks = count(1)

    def stop() -> bool:
        if next(looks) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    tiny.RUNS[kind](directory, stop)


for line in sys.stdin:
    kind, last, directory = line.rstrip("\n").split(" ", 2)
    pid = os.fork()
    if not pid:
        try:
            run_and_die(kind, int(last), Path(directory))
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
