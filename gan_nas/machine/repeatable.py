"""The same bytes from the same seed on a GPU, too."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def fix_workspaces() -> None:
    """Let cuBLAS sum in one order; it asks once, at the first product on a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def repeatable(device: "torch.device") -> Iterator[None]:
    """Let a GPU's kernels sum in one order, so that a run repeats itself and goes on, bit for bit.

    PyTorch warns of an operation that has no such kernel. A CPU needs no more than a fixed number
    of threads.
    """
    if device.type != "cuda":
        yield
        return

    import torch

    fix_workspaces()
    kept = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filling: Any = torch.utils.deterministic
    filled = filling.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    filling.fill_uninitialized_memory = False  # it would cost a kernel for each new tensor
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(kept, warn_only=warned)
        filling.fill_uninitialized_memory = filled
