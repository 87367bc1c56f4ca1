"""Stop politely: the first signal ends the step, the second Ctrl-C is obeyed at once."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from gan_nas.machine.ranks import launched_rank

MESSAGE = "stopping after this step, with the state saved; Ctrl-C again gives up at once"


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
            if launched_rank() == 0:
                _write(f"\r\x1b[2K{MESSAGE}\n" if sys.stderr.isatty() else f"{MESSAGE}\n")

    before = {number: signal.signal(number, answer) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(text: str) -> None:
    """Write past Python's buffers: a handler may have interrupted a write to them."""
    os.write(2, text.encode())
