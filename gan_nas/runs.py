"""A run is one directory: config.json, log.jsonl, checkpoint/, result.json; the same call resumes.

A checkpoint is a folder that is complete or does not count. It is filled under a temporary name,
every file is flushed to the disk, the manifest with their hashes comes last, and only then is the
folder renamed. The newest checkpoint whose hashes hold is used; the one before it is kept.
No pickle is written or read: tensors are safetensors, everything else is JSON.
"""

import fcntl
import hashlib
import json
import logging
import math
import os
import re
import secrets
import shutil
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from safetensors import SafetensorError
from torch import Tensor

from gan_nas.errors import Incompatible, Interrupted, InvalidInput
from gan_nas.files import read_text, seal, sync, unseal, unwritable, write_json
from gan_nas.states import pack, unpack

CONFIG = "config.json"
LOG = "log.jsonl"
RESULT = "result.json"
MANIFEST = "manifest.json"
STATE = "state.json"
LOCK = ".lock"
KEPT_CHECKPOINTS = 2
CHECKPOINT_NAME = re.compile(r"(\d{9})(?:-(\d+))?")  # -2, -3: the same step saved again
JSON_LIMIT = 1 << 28

logger = logging.getLogger(__name__)


def never() -> bool:
    """Answer that nobody asked to stop."""
    return False


class Checkpoint(NamedTuple):
    """All state to go on: step, JSON state, and tensors by group and name, on the CPU."""

    step: int
    state: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]


class Finished(NamedTuple):
    """What a finished run has left."""

    run_id: str
    settings: dict[str, Any]
    result: dict[str, Any]
    checkpoint: Checkpoint


class Run:
    """One run directory, held by one process at a time."""

    def __init__(self, directory: Path, run_id: str, stop: Callable[[], bool], lock: int) -> None:
        self.directory = directory
        self.run_id = run_id
        self.stop = stop
        self._release = weakref.finalize(self, os.close, lock)

    @classmethod
    def open(
        cls, directory: Path, config: Mapping[str, Any], stop: Callable[[], bool] = never
    ) -> Self:
        """Create a run directory, or take an existing one up again under the same settings.

        `config` holds the fully resolved settings as JSON values, and under "versions" the
        versions of what computes: other settings are refused, other versions are only warned of,
        since the numbers may then differ in their last bits. `stop` tells when to end early.
        Raises Incompatible naming each changed setting; InvalidInput for a directory that is no
        run's or in use by another process; MissingResource when it cannot be written.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            strangers = [path.name for path in directory.iterdir() if not _is_ours(path.name)]
        except (FileExistsError, NotADirectoryError) as error:
            raise InvalidInput(f"{directory} is a file, a run needs a directory") from error
        except OSError as error:
            raise unwritable(directory, error) from error
        known = (directory / CONFIG).exists()
        if strangers and not known:
            raise InvalidInput(
                f"{directory} is not a run directory: it holds {sorted(strangers)[0]} and no "
                f"{CONFIG}; choose another one"
            )
        lock = _lock(directory)
        try:
            if (directory / CONFIG).exists():
                run_id = _same_settings(directory, config)
            else:
                run_id = secrets.token_hex(16)
                write_json(directory / CONFIG, dict(config) | {"run_id": run_id})
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
        self.close()

    def path(self, *parts: str) -> Path:
        """Return a path inside the run directory."""
        return self.directory.joinpath(*parts)

    def log(self, **values: Any) -> None:
        """Append one line of JSON to the log; numbers that are not finite are written as null."""
        line = json.dumps(_finite(values), allow_nan=False) + "\n"
        length = self._log_length()
        try:
            with self.path(LOG).open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            if self._log_length() > length:
                os.truncate(self.path(LOG), length)
            raise unwritable(self.path(LOG), error) from error

    def save(
        self,
        step: int,
        state: Mapping[str, Any],
        tensors: Mapping[str, Mapping[str, Tensor]],
    ) -> None:
        """Write a checkpoint of `state` (JSON) and of groups of tensors, then drop the oldest.

        Steps never decrease within a run. Raises MissingResource when the disk is full; the
        earlier checkpoints then stay as they were.
        """
        saved = _checkpoints(self.directory)
        assert not saved or step >= _order(saved[-1])[0], "an earlier step than the saved one"
        folder = self.path("checkpoint", _next_name(step, saved))
        temporary = folder.with_name(f".{folder.name}.tmp")
        try:
            temporary.mkdir(parents=True, exist_ok=True)
            if self.path(LOG).exists():
                sync(self.path(LOG))
            content = {"step": step, "log_bytes": self._log_length(), "state": state}
            digests = {STATE: _write(temporary / STATE, json.dumps(content).encode())}
            for group in tensors:
                name = f"{group}.safetensors"
                digests[name] = _write(temporary / name, pack(tensors[group]))
            _write(temporary / MANIFEST, seal({"run_id": self.run_id, "files": digests}).encode())
            sync(temporary)
            temporary.rename(folder)
            sync(folder.parent)
            for old in [*saved, folder][:-KEPT_CHECKPOINTS]:
                _remove(old)
        except OSError as error:
            raise unwritable(folder, error) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def latest(self) -> Checkpoint | None:
        """Take up the newest whole checkpoint: read it and cut the log back to where it stood then.

        None stands for a fresh start. Raises Incompatible for a checkpoint of another run,
        InvalidInput when there are checkpoints and none is whole.
        """
        for leftover in self.path("checkpoint").glob(".*.tmp"):
            shutil.rmtree(leftover)
        found = _newest(self.directory, self.run_id)
        if found is None:
            self._cut_log(0)
            return None
        checkpoint, log_bytes, damaged = found
        for folder in damaged:
            _remove(folder)
        self._cut_log(log_bytes)
        return checkpoint

    def read(self) -> Checkpoint | None:
        """Read the newest whole checkpoint and leave everything as it is; raises as `latest`."""
        found = _newest(self.directory, self.run_id)
        return found and found[0]

    def check(self) -> None:
        """Raise Interrupted when somebody asked to stop; call it right after saving."""
        if self.stop():
            raise Interrupted(
                f"stopped on request, the state is saved in {self.directory}; run the same "
                "command again to go on"
            )

    @property
    def finished(self) -> bool:
        """Tell whether the run has come to its end."""
        return self.path(RESULT).exists()

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result, the last file of a run."""
        write_json(self.path(RESULT), _finite(result))

    def result(self) -> dict[str, Any]:
        """Read the result of a finished run."""
        return _read_object(self.path(RESULT))

    def _log_length(self) -> int:
        path = self.path(LOG)
        return path.stat().st_size if path.exists() else 0

    def _cut_log(self, length: int) -> None:
        if self._log_length() > length:
            os.truncate(self.path(LOG), length)


def stored_config(directory: Path) -> dict[str, Any]:
    """Read the settings a run was made with, its versions among them.

    Raises InvalidInput for a directory that is no run's.
    """
    return _read_config(directory)[1]


def read_finished(directory: Path) -> Finished:
    """Read what a finished run has left; others may work in the directory meanwhile.

    Raises InvalidInput for a directory that is no run's, or for a run that has not ended.
    """
    run_id, settings = _read_config(directory)
    found = _newest(directory, run_id)
    if not (directory / RESULT).exists() or found is None:
        raise InvalidInput(f"the run in {directory} has not ended: run it to its end first")
    return Finished(run_id, settings, _read_object(directory / RESULT), found[0])


def read_log(directory: Path) -> list[dict[str, Any]]:
    """Read a run's log, oldest line first; a last line cut by a crash is left out."""
    lines = []
    for line in (directory / LOG).read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            lines.append(json.loads(line))
    return lines


def _is_ours(name: str) -> bool:
    """Tell names that a process killed while it created the run may have left behind."""
    return name == LOCK or name.startswith(f".{CONFIG}.")


def _lock(directory: Path) -> int:
    """Lock the directory for this process; the system unlocks it however the process ends."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(directory / LOCK, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise InvalidInput(
                f"another process is working in {directory}; wait for its end or choose another "
                "run directory"
            ) from error
        raise unwritable(directory / LOCK, error) from error
    return descriptor


def _same_settings(directory: Path, config: Mapping[str, Any]) -> str:
    """Return the id of an existing run after comparing its settings with `config`."""
    run_id, stored = _read_config(directory)
    asked = json.loads(json.dumps(dict(config)))  # tuples become lists, as they did on the disk
    changes = _changes(
        {key: value for key, value in stored.items() if key != "versions"},
        {key: value for key, value in asked.items() if key != "versions"},
    )
    if changes:
        raise Incompatible(
            f"{directory} was made with other settings ({', '.join(changes)}); choose another run "
            "directory for the new ones"
        )
    for change in _changes(stored.get("versions", {}), asked.get("versions", {})):
        what = "number of CPU threads" if change.startswith("threads: ") else "version"
        logger.warning("%s was made with another %s: %s", directory, what, change)
    return run_id


def _read_config(directory: Path) -> tuple[str, dict[str, Any]]:
    """Return a run's id and its settings."""
    if not (directory / CONFIG).is_file():
        raise InvalidInput(f"{directory} is not a run directory: it holds no {CONFIG}")
    config = _read_object(directory / CONFIG)
    run_id = config.pop("run_id", None)
    if not isinstance(run_id, str):
        raise InvalidInput(f"{directory / CONFIG} is not a run's: it has no run_id")
    return run_id, config


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List every difference of two JSON objects as `name: old -> new`."""
    changes = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changes += _changes(before, after, f"{prefix}{key}.")
        elif before != after or (key in old) != (key in new):
            changes.append(f"{prefix}{key}: {_said(old, key)} -> {_said(new, key)}")
    return changes


def _said(values: Mapping[str, Any], key: str) -> str:
    text = json.dumps(values[key]) if key in values else "absent"
    return text if len(text) <= 60 else text[:57] + "..."


def _write(path: Path, data: bytes) -> str:
    """Write a file through to the disk and return its sha256."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return _sha256(data)


def _read_checkpoint(folder: Path, run_id: str) -> tuple[Checkpoint, int] | None:
    """Return a checkpoint and the length of the log at its time, or None when it is damaged."""
    try:
        manifest = unseal((folder / MANIFEST).read_text("utf-8"))
        if manifest is None:
            return None
        if manifest["run_id"] != run_id:
            raise Incompatible(
                f"{folder} is a checkpoint of another run; remove it or choose another run "
                "directory"
            )
        files = {name: (folder / name).read_bytes() for name in manifest["files"]}
        if any(_sha256(data) != manifest["files"][name] for name, data in files.items()):
            return None
        content = json.loads(files.pop(STATE))
        tensors = {name.removesuffix(".safetensors"): unpack(files[name]) for name in files}
    except (OSError, ValueError, RecursionError, KeyError, SafetensorError):
        return None
    return Checkpoint(content["step"], content["state"], tensors), content["log_bytes"]


def _checkpoints(directory: Path) -> list[Path]:
    """List the checkpoint folders of a run, oldest first."""
    folder = directory / "checkpoint"
    if not folder.exists():
        return []
    return sorted(filter(_is_checkpoint, folder.iterdir()), key=_order)


def _newest(directory: Path, run_id: str) -> tuple[Checkpoint, int, list[Path]] | None:
    """Return the newest whole checkpoint, its log's length and the damaged ones after it."""
    saved = _checkpoints(directory)
    for index in reversed(range(len(saved))):
        content = _read_checkpoint(saved[index], run_id)
        if content is not None:
            return *content, saved[index + 1 :]
        logger.warning("%s is damaged; trying the one before it", saved[index])
    if saved:
        raise InvalidInput(
            f"every checkpoint in {directory / 'checkpoint'} is damaged; choose another run "
            "directory, or remove that folder to start over"
        )
    return None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_checkpoint(path: Path) -> bool:
    return CHECKPOINT_NAME.fullmatch(path.name) is not None


def _order(path: Path) -> tuple[int, int]:
    """Return step and number of a checkpoint folder."""
    found = CHECKPOINT_NAME.fullmatch(path.name)
    assert found
    return int(found[1]), int(found[2] or 1)


def _next_name(step: int, saved: list[Path]) -> str:
    last_step, number = _order(saved[-1]) if saved else (-1, 0)
    return f"{step:09d}" + (f"-{number + 1}" if step == last_step else "")


def _remove(folder: Path) -> None:
    """Remove a checkpoint; a kill on the way leaves a temporary name, not half a checkpoint."""
    doomed = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    folder.rename(doomed)
    shutil.rmtree(doomed)


def _read_object(path: Path) -> dict[str, Any]:
    text = read_text(path, JSON_LIMIT)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} does not hold a JSON object")
    return content


def _finite(value: Any) -> Any:
    """Replace numbers that JSON cannot say by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
