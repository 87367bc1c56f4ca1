"""Any folder or zip of images: sorted, centre-cropped, resized once, held in memory.

Sub-folders are classes where every image lies in one of at least two. Every tenth image of a
seeded permutation is held out.
"""

import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps

from gan_nas.data import Images
from gan_nas.errors import InvalidInput
from gan_nas.streams import stream

EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
GREY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
MIN_IMAGES = 16
MIN_SIDE, MAX_SIDE = 8, 64

# What Pillow and zipfile raise on files that are cut, altered, encrypted or not images at all.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


class Source(NamedTuple):
    """Relative names of the images, sorted, and how to open one."""

    names: list[str]
    open: Callable[[str], AbstractContextManager[IO[bytes]]]


def load(path: Path) -> Images:
    """Load the images under a folder (recursively) or in a zip, without extracting it.

    Their side is the shortest side found, rounded down to a multiple of 8, between 8 and 64. All
    are grey or all are colour; transparency is dropped. Raises InvalidInput naming the file that
    cannot be used.
    """
    with ExitStack() as stack:
        source = _in_zip(path, stack) if path.is_file() else _in_folder(path)
        if len(source.names) < MIN_IMAGES:
            raise InvalidInput(
                f"{path} holds {len(source.names)} images, at least {MIN_IMAGES} are needed; "
                f"images end in {', '.join(EXTENSIONS)}"
            )
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        mode, side = _mode_and_side(path, source)
        pixels = np.stack([_pixels(path, source, name, mode, side) for name in source.names])
    images = torch.from_numpy(pixels.reshape(len(pixels), side, side, -1))
    images = images.permute(0, 3, 1, 2).contiguous()  # (N, C, H, W)
    return _split(str(path), images, _classes(source.names))


def _in_folder(root: Path) -> Source:
    files = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
    return Source(_image_names(list(files)), lambda name: files[name].open("rb"))


def _in_zip(path: Path, stack: ExitStack) -> Source:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InvalidInput(
            f"{path} is neither a folder nor a readable zip of images ({error})"
        ) from error
    return Source(_image_names(archive.namelist()), archive.open)


def _image_names(names: list[str]) -> list[str]:
    """Return the sorted names of images, without hidden files and macOS's shadows of them."""
    return sorted(
        name
        for name in set(names)
        if name.lower().endswith(EXTENSIONS)
        and not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
    )


def _mode_and_side(path: Path, source: Source) -> tuple[str, int]:
    """Read all headers: "L" or "RGB", and the side that suits the smallest image."""
    grey: list[str] = []
    colour: list[str] = []
    shortest = MAX_SIDE
    for name in source.names:
        try:
            with source.open(name) as file, Image.open(file) as image:
                image_mode, shortest = image.mode, min(shortest, *image.size)
        except BROKEN as error:
            raise _broken(path, name, error) from error
        if image_mode not in GREY_MODES + COLOUR_MODES:
            raise InvalidInput(
                f"{path / name} has pixels of type {image_mode}: convert it to 8 bits per channel"
            )
        (grey if image_mode in GREY_MODES else colour).append(name)
    if grey and colour:
        few, kind, others = (
            (grey, "grey", "colour") if len(grey) <= len(colour) else (colour, "colour", "grey")
        )
        which = "it" if len(few) == 1 else f"all {len(few)} of its kind"
        raise InvalidInput(
            f"{path / few[0]} is {kind} while {len(source.names) - len(few)} other images are "
            f"{others}: convert or remove {which}, or keep them in a folder of their own"
        )
    return "L" if grey else "RGB", max(MIN_SIDE, shortest // 8 * 8)


def _pixels(path: Path, source: Source, name: str, mode: str, side: int) -> np.ndarray:
    """Decode one image, crop its centre to a square, resize it with antialiasing."""
    try:
        with source.open(name) as file, Image.open(file) as image:
            # Palettes with transparency become colours only by way of RGBA.
            upright = ImageOps.exif_transpose(image)
            upright = upright.convert("RGBA") if upright.mode in ("P", "PA") else upright
            fitted = ImageOps.fit(upright.convert(mode), (side, side), Image.Resampling.BILINEAR)
            return np.asarray(fitted)
    except BROKEN as error:
        raise _broken(path, name, error) from error


def _broken(path: Path, name: str, error: Exception) -> InvalidInput:
    reason = str(error).split("\n")[0] or type(error).__name__
    return InvalidInput(f"{path / name} cannot be read as an image ({reason}): repair or remove it")


def _classes(names: list[str]) -> list[str] | None:
    """Return each image's class: its first folder, below those that hold all images."""
    parts = [PurePosixPath(name).parts for name in names]
    while all(len(p) > 1 for p in parts) and len({p[0] for p in parts}) == 1:
        parts = [p[1:] for p in parts]
    return [p[0] for p in parts] if all(len(p) > 1 for p in parts) else None


def _split(name: str, images: torch.Tensor, classes: list[str] | None) -> Images:
    order = torch.randperm(len(images), generator=stream(0, "held-out images"), device="cpu")
    # Two at least: one image has no covariance.
    held_out, train = order.split_with_sizes([n := max(2, len(images) // 10), len(images) - n])
    held_out, train = held_out.sort().values, train.sort().values
    if classes is None:
        return Images(name, images[train], images[held_out])
    known = sorted(set(classes))
    labels = torch.tensor([known.index(c) for c in classes], device="cpu")
    return Images(
        name, images[train], images[held_out], labels[train], labels[held_out], len(known)
    )
