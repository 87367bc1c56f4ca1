"""Stop politely: the first signal ends the step, the second Ctrl-C is obeyed at once."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from gan_nas.machine.ranks import launched_rank, num_launched

MESSAGE = "stopping after this step, with the state saved; Ctrl-C again gives up at once"
MESSAGE_OF_SEVERAL = "stopping after this step, with the state saved if all processes are there"


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Lend a function that tells whether SIGINT or SIGTERM has come."""
    asked = False

    def answer(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        del frame
        if asked and number == signal.SIGINT:
            _write("\x1b[?25h\n" if sys.stderr.isatty() else "")  # the live line hid the cursor
            os._exit(130)
        if not asked:
            asked = True
            message = MESSAGE if num_launched() == 1 else MESSAGE_OF_SEVERAL
            if launched_rank() == 0:
                _write(f"\r\x1b[2K{message}\n" if sys.stderr.isatty() else f"{message}\n")

    before = {number: signal.signal(number, answer) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        # When one process has ended torchrun stops the others, which are then at their end already.
        for number, handler in before.items() if num_launched() == 1 else ():
            signal.signal(number, handler)


def _write(text: str) -> None:
    """Write past Python's buffers: a handler may have interrupted a write to them."""
    os.write(2, text.encode())
