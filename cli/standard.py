"""stdout and stderr, whatever they lead to.

What goes to stderr is said beside the work, which goes on where it cannot be written: on a full
disk, into a pipe that nobody reads, to a terminal that is gone.
"""

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any


class _Lossy(io.FileIO):
    """A file whose failed writes are forgotten."""

    def write(self, content: Any, /) -> int:
        """Write what can be written, and say that all was."""
        with suppress(OSError):
            super().write(content)
        return memoryview(content).nbytes


def keep_standard_streams() -> None:
    """Let a closed stdin, stdout or stderr lead nowhere, and no write to stderr fail.

    Where one is closed, the next file that is opened would take its number, and be written to.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for the whole process
    encoding = sys.stderr.encoding if sys.stderr is not None else "utf-8"
    sys.stderr = io.TextIOWrapper(
        _Lossy(2, "w", closefd=False),
        encoding,
        "backslashreplace",
        line_buffering=True,
        write_through=True,
    )
