"""Freed memory is kept: large blocks are not mapped and cleared anew for each operation."""

import ctypes
import subprocess
import sys

import pytest

from gan_nas.machine.allocator import keep_freed_memory

BLOCK = 64 << 20  # beyond what malloc would keep by itself

FAULTS = f"""
import ctypes, resource
from gan_nas.machine.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        block = malloc({BLOCK})
        ctypes.memset(block, 1, {BLOCK})
        free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

libc = ctypes.CDLL(None)
malloc, free = libc.malloc, libc.free
malloc.argtypes, malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
free.argtypes = [ctypes.c_void_p]
before = faults()
assert keep_freed_memory()
print(before, faults())
"""


def has_glibc() -> bool:
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")


@pytest.mark.skipif(not has_glibc(), reason="only glibc's malloc can be asked")
def test_large_blocks_come_back_without_page_faults() -> None:
    done = subprocess.run([sys.executable, "-P", "-c", FAULTS], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    before, after = map(int, done.stdout.split())
    assert after < before / 4


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
