"""What the processor calls itself."""

import platform
import re
from contextlib import suppress
from pathlib import Path

from gan_nas.machine.cores import ROOT, available_cores


def processor_model(root: Path = ROOT) -> str:
    """Return the processor's model as the system tells it."""
    with suppress(OSError):
        text = (root / "proc/cpuinfo").read_text(errors="replace")
        if found := re.search(r"^model name\s*: (.+)$", text, re.MULTILINE):
            return found[1].strip()
    return platform.processor() or platform.machine()


def processor_name(root: Path = ROOT) -> str:
    """Return its model with the cores that this process may use: for reports."""
    cores = available_cores(root)
    return f"{processor_model(root)}, {cores} core{'s' * (cores != 1)}"
