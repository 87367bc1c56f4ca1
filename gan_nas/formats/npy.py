"""NumPy's file format, one step at a time: what an array is, before any of it is read."""

import io
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

HEADER_LIMIT = 10_000  # bytes: NumPy parses no more of a stranger's, and reads up to 4 GiB of it


class Header(NamedTuple):
    """Shape and type of an array, and whether its first axis is the one that varies fastest."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]


def read_header(file: IO[bytes]) -> Header:
    """Read the header of an .npy file, up to its numbers; raises ValueError for other files."""
    version = npy.read_magic(file)
    size = file.read(2 if version == (1, 0) else 4)
    if (length := int.from_bytes(size, "little")) > HEADER_LIMIT:
        raise ValueError(f"a header of {length:,} bytes, at most {HEADER_LIMIT:,} are allowed")
    header = io.BytesIO(size + file.read(length))
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        return Header(*read(header))
    except Exception as error:  # a damaged or nested header makes Python's parser raise anything
        raise ValueError(f"a damaged header ({type(error).__name__})") from error
