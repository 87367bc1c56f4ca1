"""Decoded images in the cache: one memory-mapped array, made once, shared by all processes.

Two files stand for a set: the array (npy) and a JSON that is written after it, so that a crash
leaves nothing that is taken for whole. Two processes that make the same set write the same bytes.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from gan_nas.files import read_text, write_atomically, write_json

FORMAT = 1  # raised whenever the same files and settings would give other pixels
LIMIT = 1 << 28  # bytes of the JSON, which holds labels


class Stored(NamedTuple):
    """Pixels, uint8 (N, C, S, S), mapped from the disk, and what is known of them."""

    pixels: Tensor
    about: dict[str, Any]


def key_of(**facts: Any) -> str:
    """Return the name of a set that depends on these facts, in JSON."""
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def find(cache: Path, key: str) -> Stored | None:
    """Return a set that is there, or None; what is damaged counts as not there."""
    array, facts = _paths(cache, key)
    try:
        about = json.loads(read_text(facts, LIMIT))
        shape = tuple(about["shape"])
        # Copied on write, so that torch may take it for memory of its own; nobody writes.
        pixels = np.load(array, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    if about.get("key") != key or pixels.dtype != np.uint8 or pixels.shape != shape:
        return None
    return Stored(torch.from_numpy(pixels), about)


def keep(
    cache: Path,
    key: str,
    shape: tuple[int, int, int, int],
    batches: Iterable[Tensor],
    about: dict[str, Any],
) -> Stored:
    """Write batches of uint8 (B, C, S, S), N images in all, and open what was written.

    `about` may be filled while the batches are made; it is read after the last. Raises
    MissingResource where the cache cannot be written or is full.
    """
    array, facts = _paths(cache, key)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            _write_header(file, shape)
            for batch in batches:
                file.write(batch.contiguous().numpy().data)

    write_atomically(array, write)
    write_json(facts, {"key": key, "shape": list(shape), **about})
    stored = find(cache, key)
    assert stored, "what was just written can be read"
    return stored


def _paths(cache: Path, key: str) -> tuple[Path, Path]:
    return cache / f"images-{key}.npy", cache / f"images-{key}.json"


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)
