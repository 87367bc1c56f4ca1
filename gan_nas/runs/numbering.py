"""Runs that nobody named: numbered in the order in which they were begun, found again by settings.

`00003-autogan-digits` is the third run of its folder. A number is taken under a lock, so that none
is taken twice. Before there were numbers, runs were called `autogan-digits-0` after their seed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from gan_nas.errors import GanNasError
from gan_nas.files import unwritable
from gan_nas.runs.folders import CONFIG, LOCK, RESULT
from gan_nas.runs.stored import changed_settings, stored_config

NUMBERED = re.compile(r"(\d{5,})-.*", re.DOTALL)


class Asked(NamedTuple):
    """What a run would be made of: settings, and what stands for those that are not stored."""

    settings: Mapping[str, Any]
    absent: Mapping[str, Any] = {}
    judges: Sequence[Mapping[str, str]] = ()
    """What stands for the backbone in settings, so far as that is known; none where none does."""
    threads: int | None = None
    """CPU threads, if a number of them was asked for."""

    def is_that_of(self, stored: Mapping[str, Any]) -> bool:
        """Tell whether a run was asked for in the same way: the same command goes on with it."""
        versions = stored.get("versions")
        threads = versions.get("threads") if isinstance(versions, dict) else None
        if self.threads not in (None, threads):
            return False
        if self.judges and not any(_agrees(judge, stored) for judge in self.judges):
            return False
        return not changed_settings(
            stored, self.settings, absent=self.absent, ignoring=("backbone",)
        )


def taken_up(folder: Path, name: str, older: str, asked: Asked) -> Path | None:
    """Return the newest run of this name, or of the `older` one, that was asked for like this.

    One that has ended comes only where there is none that has not.
    """
    found: list[Path] = []
    for directory in _runs_called(folder, name, older):
        with suppress(GanNasError):  # what cannot be read is nobody's
            if asked.is_that_of(stored_config(directory)):
                found.append(directory)
    return next((one for one in found if not (one / RESULT).exists()), next(iter(found), None))


def next_directory(folder: Path, name: str) -> Path:
    """Return what the next run of a folder will be called, if no other comes before it."""
    entries = folder.iterdir() if folder.is_dir() else iter(())
    numbers = [int(found[1]) for entry in entries if (found := NUMBERED.fullmatch(entry.name))]
    return folder / f"{max(numbers, default=0) + 1:05d}-{name}"


@contextmanager
def new_directory(folder: Path, name: str) -> Iterator[Path]:
    """Make the directory of a new run; it goes again where nothing has been written into it.

    Raises MissingResource where it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK):
            directory = next_directory(folder, name)
            directory.mkdir()
    except OSError as error:
        raise unwritable(folder / name, error) from error
    try:
        yield directory
    finally:
        with suppress(OSError):
            directory.rmdir()


def _agrees(judge: Mapping[str, str], stored: Mapping[str, Any]) -> bool:
    """Tell whether a run says the same of its judge, or nothing, as old ones do."""
    return all(stored.get(key) in (None, value) for key, value in judge.items())


def _runs_called(folder: Path, name: str, older: str) -> list[Path]:
    """List the runs of a name, the newest first, the one without a number last."""
    numbered = re.compile(rf"\d{{5,}}-{re.escape(name)}")
    entries = folder.iterdir() if folder.is_dir() else iter(())
    found = [entry for entry in entries if numbered.fullmatch(entry.name)]
    newest_first = sorted(found, key=_number, reverse=True)
    return [one for one in (*newest_first, folder / older) if (one / CONFIG).is_file()]


def _number(directory: Path) -> int:
    return int(directory.name.partition("-")[0])
