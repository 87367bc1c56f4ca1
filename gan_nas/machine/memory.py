"""How it is told that memory ran out: by Python, by PyTorch, CUDA and what they are linked with."""

import errno
import sys
from collections.abc import Iterator

from gan_nas.errors import GanNasError

# What errors of other classes say. The third: more numbers in a tensor than a GPU's kernels count.
WORDS = (
    "can't allocate memory",
    "not enough memory",
    "INT_MAX elements",
    "cannot allocate memory",
    "out of memory",
    "bad_alloc",
    "bad allocation",
    "ALLOC_FAILED",  # cuDNN's, cuBLAS'
    "failed to map segment",  # the dynamic linker's, of a library that is imported
    "can't start new thread",
    "Unable to allocate",  # NumPy's
    "could not create a memory object",  # oneDNN's
)
# oneDNN's, too; a primitive's descriptor, however, is what it has no code for.
PRIMITIVE, DESCRIPTOR = "could not create a primitive", "descriptor"


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error, or what it was raised from, is want of memory."""
    return any(map(_is_of_memory, _causes(error)))


def _is_of_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")  # not imported here: it takes seconds
    if isinstance(error, MemoryError):
        return True
    if torch and isinstance(error, getattr(torch, "OutOfMemoryError", ())):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, GanNasError):  # our own words, and those of a user's file
        return False
    text = str(error).lower()
    if PRIMITIVE in text and DESCRIPTOR not in text:
        return True
    return any(words.lower() in text for words in WORDS)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
