"""Checkpoints: folders that are complete or do not count.

A checkpoint is filled under a temporary name, every file is flushed to the disk, the manifest with
their hashes and sizes comes last, and only then is the folder renamed. The newest whose hashes hold
is used; the one before it is kept, and the last one that was known to be good.
No pickle is written or read: tensors are safetensors, everything else is JSON.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from torch import Tensor

from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.files import read_bytes, read_text, seal, sync, unseal
from gan_nas.formats.header import check_header
from gan_nas.networks.states import pack, unpack
from gan_nas.runs.folders import CHECKPOINT, CHECKPOINT_NAME, is_checkpoint

MANIFEST = "manifest.json"
STATE = "state.json"
KEPT = 2
MANIFEST_LIMIT, STATE_LIMIT, TENSORS_LIMIT = 1 << 20, 1 << 28, 1 << 33  # bytes of a file
HEADER_LIMIT = 1 << 24  # bytes: a hundred thousand tensors
LOG_LIMIT = 1 << 50  # bytes: no log is so long
_FILE = re.compile(r"\w+\.safetensors|state\.json", re.ASCII)

logger = logging.getLogger(__name__)


class Checkpoint(NamedTuple):
    """All state to go on: step, JSON state, and tensors by group and name, on the CPU."""

    step: int
    state: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]


class Newest(NamedTuple):
    """The newest whole checkpoint, the log's length in bytes at its time, and what is damaged."""

    checkpoint: Checkpoint
    log_bytes: int
    damaged: list[Path]
    """Newer folders."""


def write_checkpoint(
    directory: Path,
    run_id: str,
    step: int,
    content: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Tensor]],
) -> None:
    """Write a checkpoint of a run; steps never decrease. An OSError leaves the earlier ones."""
    saved = folders(directory)
    assert not saved or step >= step_of(saved[-1]), "an earlier step than the saved one"
    folder = directory / CHECKPOINT / _next_name(step, saved)
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        files = {STATE: json.dumps(dict(content)).encode()}
        sizes, digests = {}, {}
        for name in (STATE, *(f"{group}.safetensors" for group in tensors)):
            # Packed one after another: a second copy of all tensors might not fit.
            data = files.get(name) or pack(tensors[name.removesuffix(".safetensors")])
            sizes[name], digests[name] = len(data), _write(temporary / name, data)
        manifest = {"run_id": run_id, "files": digests, "sizes": sizes}
        _write(temporary / MANIFEST, seal(manifest).encode())
        sync(temporary)
        temporary.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def newest(directory: Path, run_id: str) -> Newest | None:
    """Read the newest whole checkpoint of a run, None where there are no checkpoints.

    Raises Incompatible for a checkpoint of another run, InvalidInput when none is whole.
    """
    saved = folders(directory)
    for index in reversed(range(len(saved))):
        found = _read(saved[index], run_id)
        if found is not None:
            return Newest(*found, saved[index + 1 :])
        logger.warning("%s is damaged; trying the one before it", saved[index])
    if saved:
        raise InvalidInput(
            f"every checkpoint in {directory / CHECKPOINT} is damaged; choose another run "
            "directory, or remove that folder to start over"
        )
    return None


def remove_old(directory: Path, good_step: int | None) -> None:
    """Remove all but the newest two and the newest that is not after `good_step`."""
    saved = folders(directory)
    good = [folder for folder in saved if good_step is not None and step_of(folder) <= good_step]
    for folder in saved[:-KEPT]:
        if folder not in good[-1:]:
            remove(folder)


def remove_leftovers(directory: Path) -> None:
    """Remove what a killed process left half-written or half-removed."""
    for leftover in (directory / CHECKPOINT).glob(".*.tmp"):
        shutil.rmtree(leftover)


def remove(folder: Path) -> None:
    """Remove a checkpoint; a kill on the way leaves a temporary name, not half a checkpoint."""
    doomed = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    folder.rename(doomed)
    shutil.rmtree(doomed)


def folders(directory: Path) -> list[Path]:
    """List the checkpoint folders of a run, oldest first."""
    folder = directory / CHECKPOINT
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if is_checkpoint(path.name)), key=_order)


def step_of(folder: Path) -> int:
    """Return the step of a checkpoint folder."""
    return _order(folder)[0]


def _order(folder: Path) -> tuple[int, int]:
    """Return step and number of a checkpoint folder."""
    found = CHECKPOINT_NAME.fullmatch(folder.name)
    assert found
    return int(found[1]), int(found[2] or 1)


def _next_name(step: int, saved: Sequence[Path]) -> str:
    last_step, number = _order(saved[-1]) if saved else (-1, 0)
    return f"{step:09d}" + (f"-{number + 1}" if step == last_step else "")


def _read(folder: Path, run_id: str) -> tuple[Checkpoint, int] | None:
    """Return a checkpoint and the length of the log at its time, or None when it is damaged."""
    try:
        manifest = unseal(read_text(folder / MANIFEST, MANIFEST_LIMIT, follow=False))
        if manifest is None:
            return None
        if manifest["run_id"] != run_id:
            raise Incompatible(
                f"{folder} is a checkpoint of another run; remove it or choose another run "
                "directory"
            )
        digests = manifest["files"]
        sizes = manifest.get("sizes", {})  # the first releases wrote none
        files = {name: _read_file(folder, name, sizes.get(name)) for name in digests}
        if any(_sha256(data) != digests[name] for name, data in files.items()):
            return None
        content = json.loads(files.pop(STATE))
        for data in files.values():
            check_header(data, HEADER_LIMIT)
        tensors = {name.removesuffix(".safetensors"): unpack(files[name]) for name in files}
        step, state, log_bytes = content["step"], content["state"], content["log_bytes"]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, SafetensorError):
        return None
    if not (type(step) is int and isinstance(state, dict) and type(log_bytes) is int):
        return None
    if step != step_of(folder) or not 0 <= log_bytes < LOG_LIMIT:
        return None
    return Checkpoint(step, state, tensors), log_bytes


def _read_file(folder: Path, name: str, size: int | None) -> bytes:
    """Read a file that a manifest lists, if it has a plain name and no more than it states."""
    if not _FILE.fullmatch(name):
        raise InvalidInput(f"{folder / MANIFEST} lists {name!r}, which no checkpoint holds")
    limit = STATE_LIMIT if name == STATE else TENSORS_LIMIT
    return read_bytes(folder / name, limit if size is None else min(limit, size), follow=False)


def _write(path: Path, data: bytes) -> str:
    """Write a file through to the disk and return its sha256."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return _sha256(data)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
