"""Images written one by one: a folder of PNGs, or the array of an .npz, as both are read here."""

import zipfile
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from PIL import Image
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.files import write_atomically, write_folder

CHANNELS = (1, 3)  # that a picture can have here
NAME = "arr_0.npy"  # what numpy.savez calls an array without a name


def save_images(batches: Iterable[Tensor], folder: Path, names: Sequence[str]) -> None:
    """Write uint8 batches (B, C, H, W), C 1 or 3, as a PNG for each name into a folder.

    A new one appears whole, or not at all. Raises InvalidInput where it holds anything but earlier
    images of these names.
    """

    def write(temporary: Path) -> None:
        pictures = (pixels for batch in batches for pixels in _rows(batch))
        for name, pixels in zip(names, pictures, strict=True):
            image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
            image.save(temporary / f"{name}.png")

    refuse_others(folder, names)
    write_folder(folder, write)


def refuse_others(folder: Path, names: Sequence[str]) -> None:
    """Raise InvalidInput for a folder that holds anything but earlier images of these names.

    Those are written anew, so that the same command can be called again.
    """
    mine = {f"{name}.png" for name in names}
    if folder.is_dir() and any(path.name not in mine for path in folder.iterdir()):
        raise InvalidInput(
            f"{folder} holds other files, and images are written to a folder of their own: name a "
            "new one, or remove these"
        )


def save_npz(batches: Iterable[Tensor], path: Path, num: int) -> None:
    """Write uint8 batches (B, C, H, W) of `num` images as the array (num, H, W, C) of an .npz.

    A batch is in memory at a time. Written again it has the same bytes.
    """

    def write(temporary: Path) -> None:
        rows = map(_rows, batches)
        first = next(rows)
        shape = (num, *first.shape[1:])
        about = {"descr": "|u1", "fortran_order": False, "shape": shape}
        # ZipInfo's own date, 1980: the clock has no place in a result.
        with (
            zipfile.ZipFile(temporary, "w") as archive,
            archive.open(zipfile.ZipInfo(NAME), "w", force_zip64=True) as member,
        ):
            npy.write_array_header_1_0(member, about)
            for pixels in chain([first], rows):
                member.write(pixels.tobytes())

    write_atomically(path, write)


def _rows(batch: Tensor) -> np.ndarray:
    """Return a batch as (B, H, W, C), laid out so."""
    return np.ascontiguousarray(batch.permute(0, 2, 3, 1).cpu().numpy())
