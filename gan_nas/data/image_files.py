"""The image files in a folder or a zip: which there are, their headers, their pixels."""

import errno
import hashlib
import io
import os
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from gan_nas.data.image_limits import check_file, check_pixels
from gan_nas.errors import InvalidInput
from gan_nas.formats.zips import open_zip

# What is opened, whatever a file is called: Pillow knows more formats, and gives PostScript, for
# one, to a program.
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
LABELS = "dataset.json"  # StyleGAN's list of labels
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N")  # 16 bits, grey
SIXTEEN_BITS = ("PNG", "PPM")
GREY_MODES = ("1", "L", "LA", "La", *DEEP_MODES)
COLOUR_MODES = ("RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "YCbCr")
QUARTER_TURNS = (5, 6, 7, 8)  # values of ORIENTATION that exchange width and height
ORIENTATION = 0x0112  # Exif's tag
HIDDEN = (".", "__MACOSX")
NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # where a link leads that leads to no file

# What Pillow and zipfile raise on files that are cut, altered, encrypted or not images at all.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


class ImageFiles(NamedTuple):
    """Where images lie, their relative names, sorted, and how to open one.

    `others` are the names of files that are no images by their names. `stamp` changes when a file
    is added, removed, or written again; folders of other places have others. `size` is the bytes
    of one.
    """

    path: Path
    names: list[str]
    others: list[str]
    stamp: str
    open: Callable[[str], AbstractContextManager[IO[bytes]]]
    size: Callable[[str], int]


class ImageHeader(NamedTuple):
    """Whether an image is grey ("L") or coloured ("RGB"), its size in pixels when it is upright."""

    mode: Literal["L", "RGB"]
    width: int
    height: int
    transparent: bool = False


@contextmanager
def open_image_files(path: Path) -> Iterator[ImageFiles]:
    """Lend the images under a folder (recursively) or in a zip, which is not extracted.

    Links in a folder are followed, but not in circles; those in a zip are refused.
    """
    with ExitStack() as stack:
        yield _in_zip(path, stack) if path.is_file() else _in_folder(path)


def read_image_header(files: ImageFiles, name: str) -> ImageHeader:
    """Read what an image says of itself; raises InvalidInput naming a file that is unusable."""
    try:
        with _strict(), _opened(files, name) as image:
            mode, (width, height) = image.mode, image.size
            # Older Pillows say I for 16 bits, which means 32 elsewhere.
            is_deep = mode == "I" and image.format in SIXTEEN_BITS
            transparent = image.has_transparency_data
            if _orientation(image) in QUARTER_TURNS:
                width, height = height, width
            several = _holds_several(image)
    except InvalidInput:
        raise
    except BROKEN as error:
        raise _broken(files, name, error) from error
    if several:
        raise InvalidInput(
            f"{files.path / name} holds several pictures, an animation perhaps: save those you "
            "want as files of their own"
        )
    if (is_deep or mode in DEEP_MODES) and transparent:
        raise InvalidInput(
            f"{files.path / name} has 16 bits and a transparent colour: convert it to 8 bits"
        )
    if not is_deep and mode not in GREY_MODES + COLOUR_MODES:
        raise InvalidInput(
            f"{files.path / name} has pixels of type {mode}: convert it to grey or RGB with 8 "
            "bits per channel"
        )
    grey = is_deep or mode in GREY_MODES
    return ImageHeader("L" if grey else "RGB", width, height, transparent)


def decode_image(
    files: ImageFiles, name: str, mode: str, background: str = "#ffffff"
) -> Image.Image:
    """Return an image upright, in this mode, laid on the background.

    16 bits become the nearest of 8. Raises as read_image_header does.
    """
    try:
        with _strict(), _opened(files, name, to_decode=True) as image:
            ImageOps.exif_transpose(image, in_place=True)  # spares a copy
            upright: Image.Image = image
            if upright.mode == "I" or upright.mode in DEEP_MODES:
                deep = np.asarray(upright).astype(np.int64)
                return Image.fromarray(((deep + 128) // 257).clip(0, 255).astype(np.uint8))
            if upright.has_transparency_data:
                below = Image.new("RGBA", upright.size, background)
                upright = Image.alpha_composite(below, upright.convert("RGBA"))
            return upright.convert(mode)
    except InvalidInput:
        raise
    except BROKEN as error:
        raise _broken(files, name, error) from error


@contextmanager
def _opened(files: ImageFiles, name: str, *, to_decode: bool = False) -> Iterator[Image.Image]:
    """Open an image that is no larger than honest ones are; raises InvalidInput for others."""
    path, size = files.path / name, files.size(name)
    with files.open(name) as file:
        head = check_file(path, size, file, to_decode=to_decode)
        # A TIFF is read here and there, and every step back in a zip begins at its start again.
        is_tiff = isinstance(file, zipfile.ZipExtFile) and head[:2] in (b"II", b"MM")
        with Image.open(io.BytesIO(file.read()) if is_tiff else file, formats=FORMATS) as image:
            check_pixels(path, size, image)
            yield image


def _holds_several(image: Image.Image) -> bool:
    """Tell whether there is a second picture; those of a TIFF would be counted one by one."""
    if image.format == "MPO":  # a telephone's JPEG may have a second behind it, which is a copy
        return False
    if image.format != "TIFF":
        return getattr(image, "n_frames", 1) > 1
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _orientation(image: Image.Image) -> int | None:
    # In a PNG without Exif before its pixels, Pillow would decode these to look behind them.
    looks = image.format != "PNG" or "exif" in image.info
    return image.getexif().get(ORIENTATION) if looks else None


def name_some(names: list[str], num: int = 3) -> str:
    """Name some files and tell that there are more."""
    return ", ".join(names[:num]) + (" ..." if len(names) > num else "")


def _in_folder(root: Path) -> ImageFiles:
    digest = hashlib.sha256(str(root.resolve()).encode(errors="replace"))
    names = []
    for name, size, changed in sorted(_files_below(root)):
        names.append(name)
        digest.update(f"{name}\0{size}\0{changed}\n".encode(errors="replace"))
    images, others = _apart(names)
    return ImageFiles(
        root,
        images,
        others,
        digest.hexdigest(),
        lambda name: (root / name).open("rb"),
        lambda name: (root / name).stat().st_size,
    )


def _files_below(root: Path) -> Iterator[tuple[str, int, int]]:
    """Yield names, sizes and times of files, through links too, entering each folder once."""
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        about = (root / folder).stat()
        if (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        folders = []
        for entry in _entries(root / folder):
            try:
                about = entry.stat()
            except OSError as error:
                if error.errno not in NOWHERE:
                    raise
                continue
            name = folder + entry.name  # paths take several times as long
            if stat.S_ISDIR(about.st_mode):
                folders.append(f"{name}/")
            elif stat.S_ISREG(about.st_mode):
                yield name, about.st_size, about.st_mtime_ns
        waiting += sorted(folders, reverse=True)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except PermissionError:  # such as the lost+found of a disk
        return []


def _in_zip(path: Path, stack: ExitStack) -> ImageFiles:
    try:
        archive = stack.enter_context(open_zip(path))
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InvalidInput(
            f"{path} is neither a folder nor a readable zip of images ({error})"
        ) from error
    # Not is_dir, which before Python 3.12 cannot answer for a name that is empty.
    members = [member for member in archive.infolist() if not member.filename.endswith("/")]
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InvalidInput(f"{path / member.filename} is a link, which a zip may not hold")
    images, others = _apart([member.filename for member in members])

    def size(name: str) -> int:
        return archive.getinfo(name).file_size

    return ImageFiles(path, images, others, _stamp(members), archive.open, size)


def stamp_of_zip(path: Path) -> str:
    """Return what changes with the content of a readable zip, or npz, wherever it lies."""
    with open_zip(path) as archive:
        return _stamp(archive.infolist())


def _stamp(members: list[zipfile.ZipInfo]) -> str:
    digest = hashlib.sha256()
    for member in members:
        about = f"{member.filename}\0{member.file_size}\0{member.CRC}\n"
        digest.update(about.encode(errors="replace"))
    return digest.hexdigest()


def _apart(names: list[str]) -> tuple[list[str], list[str]]:
    """Return the sorted names of images and of others, without hidden files and their shadows."""
    shown = sorted(name for name in set(names) if not _is_hidden(name))
    images = [name for name in shown if name.lower().endswith(EXTENSIONS)]
    return images, [name for name in shown if not name.lower().endswith(EXTENSIONS)]


def _is_hidden(name: str) -> bool:
    """Tell whether a file, or a folder it is in, begins with a dot or is macOS' of shadows."""
    if not name.startswith(HIDDEN) and not any(f"/{start}" in name for start in HIDDEN):
        return False  # as most
    return any(part.startswith(HIDDEN) for part in PurePosixPath(name).parts)


@contextmanager
def _strict() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _broken(files: ImageFiles, name: str, error: Exception) -> InvalidInput:
    reason = str(error).split("\n")[0] or type(error).__name__
    return InvalidInput(
        f"{files.path / name} cannot be read as an image ({reason}): repair or remove it"
    )
