"""Images to be judged as they are: read again and again from where they lie, never all at once.

Neither cropped nor resized nor held out: what cannot be taken as it is, is refused by name.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_nas.data.image_files import (
    BROKEN,
    EXTENSIONS,
    ImageFiles,
    ImageHeader,
    decode_image,
    open_image_files,
    read_image_header,
)
from gan_nas.data.resizing import Resize
from gan_nas.errors import InvalidInput, shorten
from gan_nas.formats import npy
from gan_nas.formats.zips import open_zip

USUAL_NAMES = ("arr_0", "images", "samples")  # of the images in an npz that holds labels, too
ALLOWED = "allowed is uint8 (N, H, W, C) or (N, C, H, W), square, with 1 or 3 channels"
MAX_SIDE = 4096
# Of an array in an npz: images of one colour are a thousandth when compressed, others a twentieth.
MAX_DENSITY, DENSE_FROM = 200, 256 << 20  # bytes
MAX_VALUES = 80 << 20  # pixels held at once, whatever batch is asked for: 100 of 512 px have 75 MiB


@dataclass(frozen=True, eq=False)
class ImageStream:
    """`num` square images of one side, all grey (1 channel) or all coloured (3 channels)."""

    name: str
    num: int
    side: int
    channels: int
    read: Callable[[int], Iterator[Tensor]]
    resize_by: Resize = "bilinear"
    """Filter that brings them to another side, where one is asked for."""

    def batches(self, batch_size: int = 100) -> Iterator[Tensor]:
        """Yield all images in order, uint8 (B, C, H, W) on the CPU, holding one batch at a time.

        Of large images batches are smaller. Files come sorted by name. Raises InvalidInput naming
        the file that cannot be read.
        """
        assert batch_size > 0
        return self.read(min(batch_size, max(1, MAX_VALUES // (self.channels * self.side**2))))


class PixelHash:
    """The name of a sequence of images by their pixels, however they are stored and cut."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, images: Tensor) -> None:
        """Look at the next images, uint8 (B, C, H, W)."""
        assert images.dtype == torch.uint8
        for image in images.cpu().contiguous():
            self._digest.update(str(tuple(image.shape)).encode())
            self._digest.update(image.numpy().data)

    @property
    def fingerprint(self) -> str:
        """Return 16 hex digits of the sha256 over shapes and bytes."""
        return self._digest.hexdigest()[:16]


def open_images(path: Path, background: str = "#ffffff") -> ImageStream:
    """Look at the images in a folder (recursively), a zip, or the array of an .npz.

    What is transparent is laid on the background. All headers are read, so that files of another
    size or kind are found before any work is done. Raises InvalidInput naming the first file that
    differs.
    """
    if not path.exists():
        raise InvalidInput(f"{path} does not exist; name a folder, a zip or an .npz of images")
    if path.suffix == ".npz" and path.is_file():
        return open_npz(path)
    return _open_files(path, background)


def _open_files(path: Path, background: str) -> ImageStream:
    with open_image_files(path) as files:
        if not files.names:
            raise InvalidInput(f"{path} holds no images; images end in {', '.join(EXTENSIONS)}")
        first = read_image_header(files, files.names[0])
        for name in files.names:
            _check(files, name, read_image_header(files, name), first)

    def read(batch_size: int) -> Iterator[Tensor]:
        # The names that were counted, whatever has been added since.
        with open_image_files(path) as now:
            for start in range(0, len(files.names), batch_size):
                names = files.names[start : start + batch_size]
                images = np.empty((len(names), first.height, first.width, channels), np.uint8)
                for place, name in enumerate(names):
                    images[place] = pixels(now, name)
                yield torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()

    def pixels(now: ImageFiles, name: str) -> np.ndarray:
        image = decode_image(now, name, first.mode, background)
        _check(now, name, ImageHeader(first.mode, *image.size), first)
        return np.asarray(image).reshape(first.height, first.width, -1)

    channels = 1 if first.mode == "L" else 3
    return ImageStream(_name(path), len(files.names), first.width, channels, read)


def _check(files: ImageFiles, name: str, header: ImageHeader, first: ImageHeader) -> None:
    if header[:3] == first[:3] and header.width == header.height <= MAX_SIDE:
        return
    kinds = {"L": "grey", "RGB": "colour"}
    size = f"is {kinds[header.mode]} of {header.width} x {header.height} pixels"
    if name != files.names[0]:
        size += f" and {files.names[0]} {kinds[first.mode]} of {first.width} x {first.height}"
    raise InvalidInput(
        f"{files.path / name} {size}: images are judged as they are, so bring all to one square "
        f"size of at most {MAX_SIDE} pixels, and to grey or to colour"
    )


def open_npz(path: Path) -> ImageStream:
    """Look at the images in the array of an .npz, uint8 (N, H, W, C) or (N, C, H, W)."""
    try:
        with open_zip(path) as archive:
            name = _name_of_images(path, archive)
            with archive.open(name) as member:
                header = npy.read_header(member)
                about = archive.getinfo(name)
                num_bytes = about.file_size - member.tell()
    except InvalidInput:
        raise
    except BROKEN as error:
        raise _damaged(path, error) from error
    (num, *shape), channels_last = _layout(path, name, header)
    if num_bytes != num * prod(shape):
        raise _damaged(path, f"{name} is cut off or too long")
    if num_bytes > max(DENSE_FROM, MAX_DENSITY * about.compress_size):
        raise InvalidInput(
            f"{path} holds {num_bytes:,} bytes of images in {about.compress_size:,}, at most "
            f"{MAX_DENSITY} times as many are allowed: save them by numpy.savez"
        )

    def read(batch_size: int) -> Iterator[Tensor]:
        try:
            with open_zip(path) as archive, archive.open(name) as member:
                npy.read_header(member)
                for start in range(0, num, batch_size):
                    size = (min(batch_size, num - start), *shape)
                    # A bytearray, since torch warns of memory it may not write to.
                    content = bytearray(member.read(prod(size)))
                    images = torch.frombuffer(content, dtype=torch.uint8).view(size)
                    yield images.permute(0, 3, 1, 2).contiguous() if channels_last else images
        except BROKEN as error:
            raise _damaged(path, error) from error

    side, channels = (shape[0], shape[2]) if channels_last else (shape[1], shape[0])
    return ImageStream(_name(path), num, side, channels, read)


def _name(path: Path) -> str:
    """Return a path as JSON takes it: bytes that are no UTF-8 are spelled out."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _name_of_images(path: Path, archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    usual = [name for name in names if name.removesuffix(".npy") in USUAL_NAMES]
    found = names if len(names) == 1 else usual
    if len(found) != 1:
        raise InvalidInput(
            f"{path} holds {shorten(', '.join(names) or 'nothing')}; it must hold one array, or "
            f"its images as one of {', '.join(USUAL_NAMES)}"
        )
    return found[0]


def _layout(path: Path, name: str, header: npy.Header) -> tuple[tuple[int, ...], bool]:
    """Return the shape, and whether channels come last."""
    shape = header.shape
    if header.dtype == np.uint8 and not header.is_fortran and len(shape) == 4 and shape[0] > 0:
        for channels, sides, last in ((shape[3], shape[1:3], True), (shape[1], shape[2:], False)):
            if channels in (1, 3) and sides[0] == sides[1] and 0 < sides[0] <= MAX_SIDE:
                return shape, last
    order = " in Fortran's order" if header.is_fortran else ""
    raise InvalidInput(
        f"{path} holds {name} of {shorten(header.dtype.name)} {shorten(shape)}{order}; {ALLOWED}"
    )


def _damaged(path: Path, error: object) -> InvalidInput:
    reason = str(error).split("\n")[0] or type(error).__name__
    return InvalidInput(f"{path} is not a readable npz of images ({reason}): fetch or make it anew")
