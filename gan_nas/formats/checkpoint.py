"""PyTorch's .pth files: tensors of strangers, read without running their code."""

import hashlib
import io
import pickletools
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_nas.errors import InvalidInput, shorten
from gan_nas.files import read_bytes
from gan_nas.formats.foreign import Kind, Wanted, refuse_foreign
from gan_nas.formats.zips import open_zip

LIMIT = 1 << 31  # bytes of a file, and of what is in it
STEPS_LIMIT = 400_000  # of a pickle; a checkpoint's with its optimizers has some 30 a tensor
PICKLES = 5  # before the tensors of PyTorch's older format: the last names them
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64)

# Checkpoints hold the best score as a number of NumPy's; these rebuild one and do nothing else.
# Before NumPy 2 its modules had other names.
_rebuild: Any = np.float64(0).__reduce__()[0]
NUMBERS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    np.dtype,
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32")),
    (_rebuild, "numpy.core.multiarray.scalar"),
    (_rebuild, "numpy._core.multiarray.scalar"),
]


class Checkpoint(NamedTuple):
    """A state dict, without `module.` before its names, and where it was found."""

    tensors: dict[str, Tensor]
    key: str | None  # of the file's dictionary; None where the file is the state dict
    sha256: str  # of the file


def read_checkpoint(path: Path, keys: tuple[str, ...]) -> Checkpoint:
    """Read the state dict that lies under the first of `keys`, or else is the file, onto the CPU.

    Raises InvalidInput for what is not there, larger than 2 GiB, packed, damaged, holds anything
    but tensors, numbers, texts and containers of them, very many of these, or has no state dict.
    """
    refuse_foreign(path, Wanted.CHECKPOINT, Kind.PICKLE)
    content = read_bytes(path, LIMIT)
    if content.startswith(b"PK"):
        _refuse_packed(path, content)
    else:
        _refuse_long(path, content, PICKLES)
    try:
        with torch.serialization.safe_globals(NUMBERS):
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes PyTorch raise nearly anything
        raise InvalidInput(
            f"{path} cannot be read without running what is in it, or is damaged "
            f"({shorten(_first_line(error))}): only tensors, numbers and texts are read; write "
            "its generator's state dict alone with torch.save"
        ) from error
    if not isinstance(found, Mapping):
        raise InvalidInput(f"{path} holds no state dict, but {shorten(type(found).__name__)}")
    key = next((key for key in keys if isinstance(found.get(key), Mapping)), None)
    tensors = dict(_checked(path, found if key is None else found[key]))
    return Checkpoint(_without_module(tensors), key, hashlib.sha256(content).hexdigest())


def _checked(path: Path, state: Mapping[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    if not state:
        raise InvalidInput(f"{path} holds an empty state dict")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise InvalidInput(
                f"{path} holds {shorten(type(tensor).__name__)} under {shorten(name)}, a state "
                "dict has tensors by name"
            )
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
        if not plain or tensor.is_quantized or tensor.dtype not in DTYPES:
            raise InvalidInput(
                f"{path} holds {shorten(name)} of {tensor.dtype} and layout {tensor.layout}, "
                "allowed are plain tensors of float32, float16 and bfloat16"
            )
        yield name, tensor.detach()


def _without_module(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop what DataParallel puts before every name."""
    while all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def _refuse_packed(path: Path, content: bytes) -> None:
    """Refuse a zip that grows when it is read; PyTorch packs nothing."""
    try:
        with open_zip(content) as archive:
            members = archive.infolist()
            packed = any(member.file_size > member.compress_size for member in members)
            if sum(member.file_size for member in members) > len(content):  # they lie in one place
                packed = True
            named = [] if packed else [one for one in members if one.filename.endswith("data.pkl")]
            pickles = [archive.read(member) for member in named]
    except (ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{path} is damaged, perhaps cut short: {error}") from error
    if packed:
        raise InvalidInput(f"{path} is packed, which PyTorch's files never are: fetch it again")
    for pickle in pickles:
        _refuse_long(path, pickle, 1)


def _refuse_long(path: Path, content: bytes, pickles: int) -> None:
    """Refuse pickles that would build millions of things; nothing of them is run."""
    file, steps = io.BytesIO(content), 0
    with suppress(ValueError):  # of a damaged one, of which PyTorch says more
        for _ in range(pickles):
            for _ in islice(pickletools.genops(file), STEPS_LIMIT - steps):
                steps += 1
    if steps >= STEPS_LIMIT:
        raise InvalidInput(
            f"{path} holds more than {STEPS_LIMIT:,} things beside its tensors: write its "
            "generator's state dict alone with torch.save"
        )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
