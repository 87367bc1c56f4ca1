"""What was typed and where: kept with what it has made, so that one can tell later."""

import os
import platform
import sys
from pathlib import Path

from gan_nas.files import host
from gan_nas.machine.cores import available_cores
from gan_nas.machine.processor import processor_model


def command_line() -> list[str]:
    """Return the command that this process obeys, of its program the name alone."""
    program, *words = sys.argv or [""]
    return [_as_json(word) for word in (Path(program).name, *words)]


def machine(device: object = "cpu") -> dict[str, str | int]:
    """Describe this machine and, where it is a GPU that computes, the GPU."""
    about: dict[str, str | int] = {
        "host": host(),
        "system": platform.platform(),
        "processor": processor_model(),
        "cores": available_cores(),
    }
    if device == "cuda":
        import torch

        about["gpu"] = torch.cuda.get_device_name()
    return about


def _as_json(word: str) -> str:
    """Return a word as JSON takes it; bytes that are no UTF-8 are spelled out."""
    return os.fsencode(word).decode("utf-8", "backslashreplace")
