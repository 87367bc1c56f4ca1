"""torchvision's files, md5 checks and downloads, with errors in our words."""

import socket
import sys
import tarfile
from collections.abc import Callable
from contextlib import redirect_stdout
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar

from gan_nas.errors import MissingResource

T = TypeVar("T")

TIMEOUT = 30  # seconds without an answer; torchvision itself would wait for ever


def through_torchvision(name: str, folder: Path, url: str, open_with: Callable[[bool], T]) -> T:
    """Return `open_with(download=False)`, or `open_with(True)` where files are absent or damaged.

    Raises MissingResource when that fails too: no network, no room, no such server.
    """
    # torchvision's progress goes to stderr: stdout belongs to the result.
    with redirect_stdout(sys.stderr):
        try:
            return open_with(False)
        except RuntimeError:  # "Dataset not found or corrupted"
            pass
        timeout = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT)
        try:
            return open_with(True)
        except (OSError, RuntimeError, HTTPException, tarfile.TarError, EOFError) as error:
            state = "damaged or incomplete" if folder.exists() else "absent"
            raise MissingResource(
                f"the data set {name} is {state} and its download failed ({error}): unpack {url} "
                f"into {folder.parent}, so that {folder} exists, or set GAN_NAS_DATA_ROOT to the "
                f"folder that holds {folder.name}"
            ) from error
        finally:
            socket.setdefaulttimeout(timeout)
