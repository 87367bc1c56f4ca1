"""Run a tiny training or search that kills itself, as `kill -9` would, at the n-th look at `stop`.

Called as: python interrupted_run.py KIND DIRECTORY N, with a kind of tiny.RUNS.
"""

import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import tiny

torch.set_num_threads(1)
kind, directory, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
looks = 0


def stop() -> bool:
    global looks
    looks += 1
    if looks == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return False


tiny.RUNS[kind](directory, stop)
