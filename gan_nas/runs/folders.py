"""What a run directory holds: names, and nothing but plain files and folders under them.

A directory may come from a stranger. With a link in it, resuming or deriving would write, cut or
remove files elsewhere; a FIFO would make it hang. So everything below it is looked at first.
"""

import re
import stat
from pathlib import Path

from gan_nas.errors import InvalidInput
from gan_nas.files import entries_below, kind_of

CHECKPOINT = "checkpoint"
CHECKPOINT_NAME = re.compile(r"(\d{9})(?:-(\d+))?")  # -2, -3: the same step saved again
CONFIG = "config.json"
LOG = "log.jsonl"
RESULT = "result.json"
OUTCOME = "outcome.json"
LOCK = ".lock"
FILE_SUFFIXES = (".json", ".jsonl", ".safetensors", ".png", ".svg")
RESULTS = "results"  # of the lengths from which a run has gone on
TRIALS = "trials"
TENSORBOARD = "tensorboard"
FOLDERS = (
    *(CHECKPOINT, "genomes", "history", "samples", "retrained"),
    *(RESULTS, TRIALS, TENSORBOARD),
)


def check_entries(directory: Path) -> None:
    """Raise InvalidInput naming what, below a run directory, is no plain file or folder.

    The directory itself may be a link: whoever names it means it.
    """
    for path, mode in entries_below(directory):
        kind = kind_of(mode)
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InvalidInput(
                f"{path} is {kind}, and below a run directory there may be only plain files and "
                "folders: remove it, or put what it stands for in its place"
            )
        if path.name in FOLDERS or is_checkpoint(path.name):
            if not stat.S_ISDIR(mode):
                raise InvalidInput(f"{path} is {kind} where a run has a folder: remove it")
        elif (path.suffix in FILE_SUFFIXES or path.name == LOCK) and not stat.S_ISREG(mode):
            raise InvalidInput(f"{path} is {kind} where a run has a file: remove it")


def is_checkpoint(name: str) -> bool:
    """Tell whether a checkpoint's folder may have this name."""
    return CHECKPOINT_NAME.fullmatch(name) is not None


def is_ours(name: str) -> bool:
    """Tell names that a process killed while it created the run may have left behind."""
    return name == LOCK or name.startswith(f".{CONFIG}.")
