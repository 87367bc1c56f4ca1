"""What torch.compile needs on this machine."""

import shutil
from importlib.util import find_spec

import torch

from gan_nas.errors import MissingResource


def check_compiler(device: torch.device) -> None:
    """Raise MissingResource when torch.compile has no compiler to call."""
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        raise MissingResource(
            "torch.compile needs a C++ compiler and none is on the PATH: install g++, or train "
            "without compile"
        )
    if device.type == "cuda" and find_spec("triton") is None:
        raise MissingResource(
            "torch.compile needs triton on a GPU and it is not installed: install it, or train "
            "without compile"
        )
