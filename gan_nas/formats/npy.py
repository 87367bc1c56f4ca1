"""NumPy's file format, one step at a time: what an array is, before any of it is read."""

from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy


class Header(NamedTuple):
    """Shape and type of an array, and whether its first axis is the one that varies fastest."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]


def read_header(file: IO[bytes]) -> Header:
    """Read the header of an .npy file, up to its numbers; raises ValueError for other files."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return Header(*read(file))
