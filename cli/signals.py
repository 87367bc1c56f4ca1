"""What signals do: at once outside of work, politely in it.

Ctrl-C (SIGINT), SIGTERM and SIGHUP, of a terminal that is gone, all mean the same: the same command
goes on later, exit code 75. In work the first one ends the step; the second Ctrl-C is obeyed at
once, with 130, while no other signal after the first one changes anything. Ctrl-Cs alone are
counted: Python answers signals that came during one call by their numbers, not by their times.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from gan_nas.machine.ranks import launched_rank, num_launched

INTERRUPTED, KILLED = 75, 130
AT_ONCE = "stopped; the same command goes on"
MESSAGE = "stopping after this step, with the state saved; a second Ctrl-C gives up at once"
MESSAGE_OF_SEVERAL = "stopping after this step, with the state saved if all processes are there"


def obey() -> None:
    """Let signals end this process at once: there is nothing yet, or no more, that can be lost."""
    for number in heard():
        signal.signal(number, _leave)


def ignore() -> None:
    """Let no signal change the exit code any more."""
    for number in heard():
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def stopping(*, says: bool = True) -> Iterator[Callable[[], bool]]:
    """Lend a function that tells whether a signal has come; one that `says` so at once, usually."""
    asked = interrupted = False

    def answer(number: int, frame: FrameType | None) -> None:
        nonlocal asked, interrupted
        del frame
        if interrupted and number == signal.SIGINT:
            _write("\x1b[?25h\n" if _on_terminal() else "")  # the live line hid the cursor
            os._exit(KILLED)
        interrupted = interrupted or number == signal.SIGINT
        if not asked:
            asked = True
            message = MESSAGE if num_launched() == 1 else MESSAGE_OF_SEVERAL
            if says and launched_rank() == 0:
                _write(f"\r\x1b[2K{message}\n" if _on_terminal() else f"{message}\n")

    before = {number: signal.signal(number, answer) for number in heard()}
    try:
        yield lambda: asked
    finally:
        # When one process has ended torchrun stops the others, which are then at their end already.
        for number, handler in before.items() if num_launched() == 1 else ():
            signal.signal(number, handler)


def heard() -> list[signal.Signals]:
    """Return the signals that end work here; nohup's word against SIGHUP holds."""
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is None or signal.getsignal(hang_up) is signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, hang_up]


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    _write(f"{AT_ONCE}\n")
    os._exit(INTERRUPTED)


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _write(text: str) -> None:
    """Write past Python's buffers: a handler may have interrupted a write to them."""
    with suppress(OSError):  # the terminal may be gone, or the disk full
        os.write(2, text.encode())
