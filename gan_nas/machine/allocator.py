"""How this process allocates memory on the CPU."""

import ctypes
import sys

# glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let malloc keep what is freed until the process ends; returns whether it could be asked to.

    By default glibc maps every tensor above 32 MB afresh and gives it back when it is freed, so
    each operation of a training step waits for the kernel to clear its pages: a fifth to a third
    of a float32 step on a CPU. The price is a higher peak, by a third. Only glibc has the switch.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))
