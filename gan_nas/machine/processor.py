"""What the processor calls itself."""

import platform
import re
from contextlib import suppress
from pathlib import Path

from gan_nas.machine.cores import ROOT, available_cores


def processor_name(root: Path = ROOT) -> str:
    """Return the processor's model and the cores that this process may use: for reports."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        text = (root / "proc/cpuinfo").read_text()
        if found := re.search(r"^model name\s*: (.+)$", text, re.MULTILINE):
            model = found[1].strip()
    cores = available_cores(root)
    return f"{model}, {cores} core{'s' * (cores != 1)}"
