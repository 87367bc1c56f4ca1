"""A run's log: a JSON object a line, appended to, and cut back to where a checkpoint stood.

Nothing but pictures is made of it, so that a log which is lost or damaged ends no run.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_nas.files import open_own, open_regular, unwritable

LIMIT = 1 << 28  # bytes, the last ones, that are read

logger = logging.getLogger(__name__)


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Append a line whole or not at all; raises MissingResource when the disk is full."""
    data = (json.dumps(line, allow_nan=False) + "\n").encode()
    try:
        descriptor = open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            before = os.fstat(descriptor).st_size
            try:
                written = 0
                while written < len(data):
                    written += os.write(descriptor, data[written:])
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unwritable(path, error) from error


def length(path: Path) -> int:
    """Return the bytes of a log; one that is not there has none."""
    return path.stat().st_size if path.exists() else 0


def cut(path: Path, size: int) -> None:
    """Cut a log back to `size` bytes, and to whole lines; say so if lines are missing."""
    found = length(path)
    if found < size:
        logger.warning(
            "%s is %s bytes shorter than at the last checkpoint: its lines are lost, and pictures "
            "made of them will be incomplete; the run itself goes on",
            path,
            f"{size - found:,}",
        )
    end = _end_of_lines(path, min(found, size))
    if found > end:
        os.truncate(path, end)


def read(path: Path, *, warns: bool = True) -> list[dict[str, Any]]:
    """Read a log, oldest line first; what is no line of a log is left out, and said."""
    if not path.exists():
        return []
    size = length(path)
    with open_regular(path, size, follow=False) as file:
        file.seek(max(0, size - LIMIT))
        lines = file.read(min(size, LIMIT)).splitlines()
    rows, num_bad = [], 0
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows.append(row)
        else:
            num_bad += 1
    if num_bad and warns:
        logger.warning("%s of %s lines of %s cannot be read", num_bad, len(lines), path)
    return rows


def _end_of_lines(path: Path, size: int) -> int:
    """Return where the last whole line within the first `size` bytes ends."""
    if not size:
        return 0
    with open_regular(path, length(path), follow=False) as file:
        for start in range(size - 1, -1, -4096):
            begin = max(0, start - 4095)
            file.seek(begin)
            newline = file.read(start - begin + 1).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
    return 0
