"""The image files in a folder or a zip: which there are, their headers, their pixels."""

import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple

from PIL import Image, ImageOps

from gan_nas.errors import InvalidInput

EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
GREY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")

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
    """Where images lie, their relative names, sorted, and how to open one."""

    path: Path
    names: list[str]
    open: Callable[[str], AbstractContextManager[IO[bytes]]]


class Header(NamedTuple):
    """Whether an image is grey ("L") or coloured ("RGB"), and its size in pixels."""

    mode: Literal["L", "RGB"]
    width: int
    height: int


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Lend the images under a folder (recursively) or in a zip, which is not extracted."""
    with ExitStack() as stack:
        yield _in_zip(path, stack) if path.is_file() else _in_folder(path)


def read_header(source: Source, name: str) -> Header:
    """Read what an image says of itself; raises InvalidInput naming a file that is unusable."""
    try:
        with _strict(), source.open(name) as file, Image.open(file) as image:
            mode, (width, height) = image.mode, image.size
    except BROKEN as error:
        raise _broken(source, name, error) from error
    if mode not in GREY_MODES + COLOUR_MODES:
        raise InvalidInput(
            f"{source.path / name} has pixels of type {mode}: convert it to 8 bits per channel"
        )
    return Header("L" if mode in GREY_MODES else "RGB", width, height)


def decode(source: Source, name: str, mode: str) -> Image.Image:
    """Return an image upright, in this mode, without transparency; raises as read_header does."""
    try:
        with _strict(), source.open(name) as file, Image.open(file) as image:
            # Palettes with transparency become colours only by way of RGBA.
            upright = ImageOps.exif_transpose(image)
            upright = upright.convert("RGBA") if upright.mode in ("P", "PA") else upright
            return upright.convert(mode)
    except BROKEN as error:
        raise _broken(source, name, error) from error


def _in_folder(root: Path) -> Source:
    # Not rglob, which remembers every path it has seen.
    paths = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    files = [path.relative_to(root).as_posix() for path in paths if path.is_file()]
    return Source(root, _image_names(files), lambda name: (root / name).open("rb"))


def _in_zip(path: Path, stack: ExitStack) -> Source:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InvalidInput(
            f"{path} is neither a folder nor a readable zip of images ({error})"
        ) from error
    return Source(path, _image_names(archive.namelist()), archive.open)


def _image_names(names: list[str]) -> list[str]:
    """Return the sorted names of images, without hidden files and macOS's shadows of them."""
    return sorted(
        name
        for name in set(names)
        if name.lower().endswith(EXTENSIONS)
        and not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
    )


@contextmanager
def _strict() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _broken(source: Source, name: str, error: Exception) -> InvalidInput:
    reason = str(error).split("\n")[0] or type(error).__name__
    return InvalidInput(
        f"{source.path / name} cannot be read as an image ({reason}): repair or remove it"
    )
