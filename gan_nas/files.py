"""Files that are whole or absent: temporary name, flush, fsync, rename, fsync of the folder."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gan_nas.errors import InvalidInput, MissingResource

SEAL = "seal"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place.

    Raises MissingResource when the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_text(path: Path, limit: int = 1 << 20) -> str:
    """Read a UTF-8 text of at most `limit` bytes; raises InvalidInput with the reason."""
    try:
        if path.stat().st_size > limit:
            raise InvalidInput(f"{path} is larger than {limit:,} bytes, too large for such a file")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text") from error


def seal(content: Mapping[str, Any]) -> str:
    """Return content as JSON with a hash of itself, so that damage is seen as damage."""
    body = json.dumps(dict(content), sort_keys=True)
    return json.dumps(
        dict(content) | {SEAL: hashlib.sha256(body.encode()).hexdigest()}, sort_keys=True
    )


def unseal(text: str) -> dict[str, Any] | None:
    """Read what `seal` wrote; None when it is damaged."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.pop(SEAL, None) is None or seal(content) != text:
        return None
    return content


def sync(path: Path) -> None:
    """Make the system write a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError) -> MissingResource:
    """Say in a sentence why a path could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MissingResource(
            f"the disk is full: {path} was not written; free some space and run the command again"
        )
    return MissingResource(f"{path} cannot be written: {error.strerror}")
