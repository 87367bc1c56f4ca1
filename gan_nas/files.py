"""Files that are whole or absent, and files of strangers, which may be no files at all.

Writing: temporary name, flush, fsync, rename, fsync of the folder. Reading: a link, a FIFO or a
device in the place of a file is refused before it can lead elsewhere, never end, or hang.
"""

import errno
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from gan_nas.errors import InvalidInput, MissingResource

logger = logging.getLogger(__name__)

SEAL = "seal"
# Windows lacks the first two, and needs the third, as it would translate line ends. Python itself
# keeps descriptors from child processes.
NO_FOLLOW, NO_WAIT, BINARY = (
    getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")
)
SEEK_DATA, SEEK_HOLE = (getattr(os, name, None) for name in ("SEEK_DATA", "SEEK_HOLE"))
WINDOWS = os.name == "nt"
HOLES_FROM = 32 << 20  # bytes; of a smaller file it does not matter how much is holes
MOST_HOLES = 16  # times its data may a file be: systems that pack files make holes of zeros


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place.

    Raises MissingResource when the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{_machine()}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(path.parent, path.name)
        temporary.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        mode = stat.S_IMODE(temporary.stat().st_mode)  # as the user wants it for new files
        write(temporary)
        if stat.S_IMODE(temporary.stat().st_mode) != mode:
            with suppress(OSError):  # some file systems know no modes
                temporary.chmod(mode)  # safetensors makes it anew, for the user alone
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_folder(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary folder beside `path`, then move it to `path`.

    A folder that holds something keeps it, but for files of the same names, each replaced by the
    new one. Files are not synced one by one: of thousands that takes minutes. Raises
    MissingResource when the disk is full or the folder cannot be written.
    """
    place = Path(os.path.realpath(path))  # of a link, which stays one; . has no name
    temporary = place.with_name(f".{place.name}.{_machine()}.{os.getpid()}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(place.parent, place.name)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        write(temporary)
        if place.is_dir() and (any(place.iterdir()) or place == Path.cwd()):
            for new in sorted(temporary.iterdir()):
                new.replace(place / new.name)
            sync(place)
        else:
            if place.is_dir():
                place.rmdir()  # which Windows does not replace
            temporary.rename(place)
            sync(place.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_strays(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left of their writing into a folder that nobody else writes to.

    Only of a file called `name`, if one is named; others may then write to the folder as well, and
    nothing is removed but what processes of this machine left that are dead.
    """
    stray = re.compile(rf"\.{'.+' if name is None else re.escape(name)}\.([0-9a-f]+)\.(\d+)\.tmp")
    for entry in os.scandir(folder) if folder.is_dir() else ():
        found = stray.fullmatch(entry.name)
        if found and (name is None or (found[1] == _machine() and not _is_alive(int(found[2])))):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
                continue
            with suppress(OSError):
                Path(entry.path).unlink()


def host() -> str:
    """Return this machine's name, in plain letters."""
    return re.sub("[^0-9A-Za-z-]+", "-", platform.node()) or "-"


@cache
def _machine() -> str:
    """Return what tells apart those whose processes have numbers of their own: containers, too."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]


def _is_alive(pid: int) -> bool:
    """Tell whether a process of this machine lives, to be on the safe side."""
    if WINDOWS:
        return pid == os.getpid()  # what is open cannot be removed there anyway
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def warn_not_kept(cache: Path, error: MissingResource) -> None:
    """Say that the cache cannot be written: what it holds can be made again, so work goes on."""
    logger.warning(
        "what takes time is not kept (%s) but made anew by each command: set GAN_NAS_CACHE to "
        "a folder that can be written, it is %s",
        error,
        cache,
    )


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_text(path: Path, limit: int = 1 << 20, *, follow: bool = True) -> str:
    """Read a UTF-8 text of at most `limit` bytes; raises InvalidInput with the reason."""
    try:
        return read_bytes(path, limit, follow=follow).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text") from error


def read_bytes(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """Read a file of at most `limit` bytes; raises InvalidInput with the reason."""
    with open_regular(path, limit, follow=follow) as file:
        try:
            return file.read(os.fstat(file.fileno()).st_size)  # read(limit) would reserve it
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error


def open_regular(path: Path, limit: int, *, follow: bool = True) -> BinaryIO:
    """Open a plain file of at most `limit` bytes for reading.

    Without `follow` a link is refused. Raises InvalidInput for what is missing, too large, nearly
    all holes, or no plain file: a FIFO would hang and a device might never end.
    """
    flags = os.O_RDONLY | NO_WAIT | BINARY | (0 if follow else NO_FOLLOW)
    try:
        found = path.stat() if follow else path.lstat()
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput(f"{path} is {kind_of(found.st_mode)}, a plain file is needed")
        if found.st_size > limit:
            raise InvalidInput(f"{path} is larger than {limit:,} bytes, too large for such a file")
        descriptor = os.open(path, flags)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    file = os.fdopen(descriptor, "rb")
    if found.st_size > HOLES_FROM and (data := _data_in(descriptor)) < found.st_size / MOST_HOLES:
        file.close()
        raise InvalidInput(
            f"{path} has {found.st_size:,} bytes, of which but {data:,} were ever written, as of a "
            "download that was cut short: fetch it again"
        )
    return file


def _data_in(descriptor: int) -> int:
    """Return how many bytes of a file are no holes, as far as its file system knows."""
    size = os.fstat(descriptor).st_size
    if SEEK_DATA is None or SEEK_HOLE is None:
        return size
    data = end = 0
    try:
        while end < size:
            start = os.lseek(descriptor, end, SEEK_DATA)
            end = os.lseek(descriptor, start, SEEK_HOLE)
            data += end - start
    except OSError as error:
        if error.errno != errno.ENXIO:  # which says that there are no data any more
            return size
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return data


def open_own(path: Path, flags: int) -> int:
    """Open a plain file of ours for writing, by a descriptor; raises OSError for anything else.

    A link is not followed. `flags` are those of `os.open`; O_CREAT makes the file where none is.
    """
    if not NO_FOLLOW and path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    descriptor = os.open(path, flags | NO_FOLLOW | NO_WAIT | BINARY, 0o644)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(errno.EEXIST, f"it is {kind_of(mode)}")
    return descriptor


def entries_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield every path below a folder with the mode of its own; links are not followed."""
    waiting = [folder]
    while waiting:
        try:
            entries = sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name)
        except FileNotFoundError:
            continue  # another process has removed it meanwhile
        for entry in entries:
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except FileNotFoundError:
                continue
            yield Path(entry.path), mode
            if stat.S_ISDIR(mode):
                waiting.append(Path(entry.path))


def kind_of(mode: int) -> str:
    """Say what a file of this mode is."""
    return next((words for test, words in _KINDS if test(mode)), "no plain file")


_KINDS: list[tuple[Callable[[int], bool], str]] = [
    (stat.S_ISLNK, "a link"),
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
]


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
    if WINDOWS and path.is_dir():
        return  # folders have no descriptors there, and those of files must be writable
    descriptor = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
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
