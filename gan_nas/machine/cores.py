"""What this process may use of the machine: cores and memory, within the limits set from outside.

A container's limits are those of Linux' control groups, version 1 or 2: they hold for a group and
all groups below it, so the tightest on the way up counts.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path

ROOT = Path("/")
UNLIMITED = 1 << 60  # version 1 writes "no limit" as a huge number


def available_cores(root: Path = ROOT) -> int:
    """Count the cores that this process may keep busy, at least one."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min([cores, *map(ceil, _quotas(root))]))


def idle_cores(root: Path = ROOT) -> int:
    """Guess from the load of the last minute how many of them others leave idle, at least one.

    The load is the whole machine's, so of some of its cores only their share counts.
    """
    cores, every = available_cores(root), os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1, round(cores * (1 - load / every)))


def available_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that this process can still get, or None where nobody tells."""
    left = list(_memory_left(root))
    with suppress(OSError):
        text = (root / "proc/meminfo").read_text()
        if found := re.search(r"^MemAvailable:\s*(\d+) kB", text, re.MULTILINE):
            left.append(1024 * int(found[1]))
    return min(left, default=None)


def peak_memory() -> int | None:
    """Return the most bytes of memory that this process has had so far, or None on Windows."""
    most: int | None = None
    if sys.platform != "win32":
        from resource import RUSAGE_SELF, getrusage

        most = getrusage(RUSAGE_SELF).ru_maxrss
        if sys.platform != "darwin":  # which counts in bytes, and Linux in kilobytes
            most *= 1024
    return most


def _quotas(root: Path) -> Iterator[float]:
    """Yield the cores that each control group grants."""
    for group in _groups(root, "cpu"):
        together = _words(group / "cpu.max")
        apart = _words(group / "cpu.cfs_quota_us") + _words(group / "cpu.cfs_period_us")
        for words in (together, apart):
            if len(words) == 2 and words[0] not in ("max", "-1"):
                yield int(words[0]) / int(words[1])


def _memory_left(root: Path) -> Iterator[int]:
    """Yield the bytes that each control group has left; its cache of files can be dropped."""
    for group in _groups(root, "memory"):
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, used = _words(group / limit), _words(group / usage)
            if most and used and most[0] != "max" and int(most[0]) < UNLIMITED:
                text = " ".join(_words(group / "memory.stat"))
                found = re.search(rf"\b{cache} (\d+)", text)
                yield max(0, int(most[0]) - int(used[0]) + (int(found[1]) if found else 0))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process' control group for a controller, and of those above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, names, path = line.split(":", 2)
        if number == "0" and not names:
            top = root / "sys/fs/cgroup"
        elif controller in names.split(","):
            top = root / "sys/fs/cgroup" / controller
        else:
            continue
        # Inside a container the path may be the outer one, and the folder the top.
        folder = top / path.strip("/")
        for group in (folder, *folder.parents):
            if group.is_relative_to(top):
                yield group


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
