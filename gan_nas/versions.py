"""What computes here: the versions that decide the last bits of a result."""

import platform
from importlib.metadata import version
from typing import Any


def versions() -> dict[str, Any]:
    """Return the versions of gan-nas, Python, torch and numpy, and the number of CPU threads."""
    import torch

    return {
        "gan_nas": version("gan-nas"),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": version("numpy"),
        "threads": torch.get_num_threads(),
    }
