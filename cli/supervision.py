"""Where memory has a limit (ulimit -v), a command is a child process whose end is put into words.

Libraries in C do not report every allocation that fails: OpenBLAS ends the process, a thread that
cannot be started aborts it, and none of that can be caught where it happens.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from gan_nas.cli.signals import heard

OUT_OF_MEMORY = 3
SAID = b"error: the memory does not suffice: free some, or raise the limit on it (ulimit -v)\n"
PROGRAM = "from gan_nas.cli import work_supervised; work_supervised()"
DIFFERENT, APART = 1, 101  # libraries end with 1, too: a command's own is told by another number
OURS = (0, 2, 3, 4, 5, 70, 75, 130, 141)  # what else a command itself may end with
DIED_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


def memory_is_limited() -> bool:
    """Tell whether this process may have only so much memory, addresses or data."""
    is_limited = False
    if sys.platform != "win32":
        import resource

        kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
        is_limited = any(resource.getrlimit(kind)[0] != resource.RLIM_INFINITY for kind in kinds)
    return is_limited


def supervised(arguments: Sequence[str]) -> int:
    """Run a command in a child process and return its exit code; signals are handed on to it."""
    words = [sys.executable, "-P", "-c", PROGRAM, *arguments]
    # A group of its own: what a terminal sends to all would reach it twice.
    try:
        child = subprocess.Popen(words, process_group=0)  # noqa: S603 - ourselves
    except (OSError, MemoryError):
        return say_out_of_memory()

    def hand_on(number: int, frame: FrameType | None) -> None:
        del frame
        with suppress(ProcessLookupError):
            child.send_signal(number)

    for number in heard():
        signal.signal(number, hand_on)
    code = child.wait()
    if code == APART:
        return DIFFERENT
    return code if code in OURS else say_out_of_memory()


def say_out_of_memory() -> int:
    """Say in bytes that were there before that memory ran out; returns the exit code."""
    with suppress(OSError):
        os.write(2, SAID)
    return OUT_OF_MEMORY


def end_with_parent() -> None:
    """Let this process be killed when its parent is, which would otherwise leave it alone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(DIED_WITH_PARENT, signal.SIGKILL)
