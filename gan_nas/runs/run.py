"""A run is one directory: config.json, log.jsonl, checkpoint/, result.json; the same call resumes.

A run that failed has outcome.json, which says how. Directories come from strangers, too: nothing
below one may be a link or anything but a plain file or folder.
"""

import errno
import math
import os
import re
import secrets
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from filelock import lock_descriptor
from torch import Tensor

from gan_nas.errors import Incompatible, Interrupted, InUse, InvalidInput, RunFailed
from gan_nas.files import (
    host,
    open_own,
    read_text,
    remove_strays,
    sync,
    unwritable,
    write_json,
)
from gan_nas.machine.about import command_line, machine
from gan_nas.runs import logs
from gan_nas.runs.checkpoints import Checkpoint as Checkpoint
from gan_nas.runs.checkpoints import (
    folders,
    newest,
    remove,
    remove_leftovers,
    remove_old,
    step_of,
    write_checkpoint,
)
from gan_nas.runs.folders import (
    CONFIG,
    FOLDERS,
    LOCK,
    LOG,
    OUTCOME,
    RESULT,
    RESULTS,
    check_entries,
    is_ours,
)
from gan_nas.runs.results import Result
from gan_nas.runs.stored import Failure, check_settings, read_config, read_outcome, read_result
from gan_nas.runs.stored import stored_config as stored_config

R = TypeVar("R", bound=Result)
GLANCES, GLANCE_SECONDS = 3, 0.02
HOLDER = re.compile(r"(\d+ on [\w-]+)\n")  # what a lock tells


def never() -> bool:
    """Answer that nobody asked to stop."""
    return False


class Finished(NamedTuple, Generic[R]):
    """What a finished run has left."""

    directory: Path
    run_id: str
    settings: dict[str, Any]
    result: R
    checkpoint: Checkpoint


class Length(NamedTuple):
    """The field of a run's config that says how long it is, and what there is against more."""

    field: str
    fixed_by: str | None = None
    """What depends on the length, in words; none where the same run may just go on."""

    def of(
        self, directory: Path, stored: Mapping[str, Any], asked: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Return the stored settings with a length that has grown, none where it has not.

        Raises Incompatible where it must not.
        """
        kept = stored.get("config")
        config = kept if isinstance(kept, dict) else {}
        before = config.get(self.field)
        now = asked["config"][self.field]
        if type(before) is not int or now <= before:
            return None
        if self.fixed_by:
            raise Incompatible(
                f"{directory} was made with {self.field} = {before:,} and cannot go on to "
                f"{now:,}: {self.fixed_by} follows the length from the first step on; choose "
                "another run directory"
            )
        return {**stored, "config": {**config, self.field: now}}


class Run:
    """One run directory, held by one process at a time."""

    def __init__(self, directory: Path, run_id: str, stop: Callable[[], bool], lock: int) -> None:
        self.directory = directory
        self.run_id = run_id
        self.stop = stop
        self.good_step: int | None = None
        """The last step that is known to be good; its checkpoint is kept."""
        self._release = weakref.finalize(self, os.close, lock)

    @classmethod
    def open(
        cls,
        directory: Path,
        config: Mapping[str, Any],
        stop: Callable[[], bool] = never,
        *,
        absent: Mapping[str, Any] | None = None,
        length: "Length | None" = None,
    ) -> Self:
        """Create a run directory, or take an existing one up again under the same settings.

        A new one also keeps the command line and what the machine is.

        `config` holds the fully resolved settings as JSON values, and under "versions" the
        versions of what computes: other settings are refused, other versions are only warned of,
        since the numbers may then differ in their last bits. `absent` says what a setting stood
        for which an older version did not store. `stop` tells when to end early. The setting
        that is its `length` may have grown: a run that had come to its end then goes on.
        Raises Incompatible naming each changed setting; InvalidInput for a directory that is no
        run's, in use by another process or full of links; MissingResource when it cannot be
        written.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            strangers = [path.name for path in directory.iterdir() if not is_ours(path.name)]
        except (FileExistsError, NotADirectoryError) as error:
            raise InvalidInput(f"{directory} is a file, a run needs a directory") from error
        except OSError as error:
            raise unwritable(directory, error) from error
        if strangers and CONFIG not in strangers:
            raise InvalidInput(
                f"{directory} is not a run directory: it holds {sorted(strangers)[0]} and no "
                f"{CONFIG}; choose another one"
            )
        check_entries(directory)
        lock = _lock(directory)
        try:
            for folder in (directory, *(directory / name for name in FOLDERS)):
                remove_strays(folder)
            if (directory / CONFIG).exists():
                run_id, stored = read_config(directory)
                longer = length and length.of(directory, stored, config)
                check_settings(directory, longer or stored, config, absent=absent)
                if longer:
                    # In this order: a run without a result has not ended, however long it is.
                    _keep_result(directory, stored["config"][length.field] if length else 0)
                    write_json(directory / CONFIG, longer | {"run_id": run_id})
            else:
                run_id = secrets.token_hex(16)
                about = {"command": command_line(), "machine": machine(config.get("device"))}
                write_json(directory / CONFIG, dict(config) | about | {"run_id": run_id})
        except BaseException:
            os.close(lock)
            raise
        return cls(directory, run_id, stop, lock)

    def close(self) -> None:
        """Let other processes have the directory; the end of the process does so too."""
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Keep on the disk how the run failed, if it did, and let go of the directory."""
        try:
            if isinstance(error, RunFailed) and not self.path(OUTCOME).exists():
                outcome = Failure(outcome=error.outcome, why=str(error), good_step=self.good_step)
                write_json(self.path(OUTCOME), outcome.model_dump())
        finally:
            self.close()

    def path(self, *parts: str) -> Path:
        """Return a path inside the run directory."""
        return self.directory.joinpath(*parts)

    def log(self, **values: Any) -> None:
        """Append one line of JSON to the log; numbers that are not finite are written as null."""
        logs.append(self.path(LOG), finite(values))

    def save(
        self,
        step: int,
        state: Mapping[str, Any],
        tensors: Mapping[str, Mapping[str, Tensor]],
    ) -> None:
        """Write a checkpoint of `state` (JSON) and of groups of tensors, then drop the oldest.

        Two are kept, and the newest that is not after `good_step`.
        Steps never decrease within a run. Raises MissingResource when the disk is full; the
        earlier checkpoints then stay as they were.
        """
        try:
            if self.path(LOG).exists():
                sync(self.path(LOG))
            content = {"step": step, "log_bytes": logs.length(self.path(LOG)), "state": state}
            write_checkpoint(self.directory, self.run_id, step, content, tensors)
            remove_old(self.directory, self.good_step)
        except OSError as error:
            raise unwritable(self.path("checkpoint"), error) from error

    def latest(self) -> Checkpoint | None:
        """Take up the newest whole checkpoint: read it and cut the log back to where it stood then.

        None stands for a fresh start. Raises Incompatible for a checkpoint of another run,
        InvalidInput when there are checkpoints and none is whole.
        """
        remove_leftovers(self.directory)
        found = newest(self.directory, self.run_id)
        if found is None:
            logs.cut(self.path(LOG), 0)
            return None
        for folder in found.damaged:
            remove(folder)
        logs.cut(self.path(LOG), found.log_bytes)
        return found.checkpoint

    def stop_if_asked(self) -> None:
        """Raise Interrupted when somebody asked to stop; call it right after saving."""
        if self.stop():
            raise Interrupted(
                f"stopped on request, the state is saved in {self.directory}; run the same "
                "command again to go on"
            )

    def begin(self, *, again: bool = False) -> None:
        """Raise RunFailed, as it did, for a run that has failed, unless it is to run `again`.

        After a collapse, which only a score notices, it then goes on from the last checkpoint
        that is known to be good.
        """
        if not self.path(OUTCOME).exists():
            return
        outcome = read_outcome(self.directory)
        if not again:
            raise RunFailed(
                f"{outcome.why} (this is what {self.path(OUTCOME)} tells of an earlier run; ask "
                "to run it again for another try)",
                outcome.outcome,
            )
        if outcome.outcome == "collapsed":
            for folder in folders(self.directory):
                if outcome.good_step is None or step_of(folder) > outcome.good_step:
                    remove(folder)
        self.path(OUTCOME).unlink()

    @property
    def finished(self) -> bool:
        """Tell whether the run has come to its end."""
        return self.path(RESULT).exists()

    def finish(self, result: R) -> R:
        """Write the result, the last file of a run, and return it.

        What is written names files relative to the run.
        """
        remove_old(self.directory, self.good_step)  # if a kill was between a save and this
        portable = result.portable(self.directory)
        write_json(self.path(RESULT), portable.model_dump(mode="json"))
        return result

    def result(self, kind: type[R]) -> R:
        """Read the result of a finished run, which must be one of this kind."""
        return read_result(self.directory, kind)


def read_finished(directory: Path, kind: type[R]) -> Finished[R]:
    """Read what a finished run has left, and leave all as it is; others may work there meanwhile.

    Raises InvalidInput for a directory that is no run's, or for a run that has not ended;
    Incompatible when its result is not of this kind.
    """
    check_entries(directory)
    run_id, settings = read_config(directory)
    if (directory / OUTCOME).exists():
        raise InvalidInput(f"the run in {directory} has failed: {read_outcome(directory).why}")
    found = newest(directory, run_id)
    if not (directory / RESULT).exists() or found is None:
        raise InvalidInput(f"the run in {directory} has not ended: run it to its end first")
    result = read_result(directory, kind)
    return Finished(directory, run_id, settings, result, found.checkpoint)


def _keep_result(directory: Path, length: int) -> None:
    """Put the result of a run that goes on where results of shorter runs are."""
    kept = directory / RESULTS / f"{length}.json"
    if (directory / RESULT).exists():
        kept.parent.mkdir(exist_ok=True)
        (directory / RESULT).replace(kept)


def read_log(directory: Path) -> list[dict[str, Any]]:
    """Read a run's log, oldest line first; what is no line of a log is left out, and said."""
    return logs.read(directory / LOG)


def _lock(directory: Path) -> int:
    """Lock the directory for this process; the system unlocks it however the process ends.

    An ended run on media that cannot be written has nothing to lock: its result can be told.
    """
    try:
        try:
            descriptor = open_own(directory / LOCK, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EROFS) and (directory / RESULT).exists():
                return os.open(directory / RESULT, os.O_RDONLY)
            raise
        try:
            is_free = _locked(descriptor)
        except OSError:
            os.close(descriptor)
            raise
    except OSError as error:
        raise unwritable(directory / LOCK, error) from error
    if not is_free:
        os.close(descriptor)
        raise InUse(
            f"another process{_holder(directory)} is working in {directory}; wait for its end or "
            "choose another run directory"
        )
    with suppress(OSError):  # nice to know, and no more
        if HOLDER.fullmatch(os.read(descriptor, 100).decode("ascii", "replace") or "0 on -\n"):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"{os.getpid()} on {host()}\n".encode())
    return descriptor


def _locked(descriptor: int) -> bool:
    """Lock a file; whoever looks who works here holds it for a moment, which is waited for."""
    for _ in range(GLANCES):
        if lock_descriptor(descriptor, blocking=False):
            return True
        time.sleep(GLANCE_SECONDS)
    return lock_descriptor(descriptor, blocking=False)


def _holder(directory: Path) -> str:
    """Say who holds the lock, if it tells."""
    try:
        told = HOLDER.fullmatch(read_text(directory / LOCK, 100, follow=False))
    except InvalidInput:
        return ""
    return f" ({told[1]})" if told else ""


def finite(value: Any) -> Any:
    """Replace numbers that JSON cannot say by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
