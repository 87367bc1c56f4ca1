"""What an image file may cost, whatever it promises: strangers' small ones stay small.

A member of a zip can be a thousandth of its content, a PNG of one colour a thousandth of its
pixels, and some formats are read whole, or byte by byte, before their size is known.
"""

import re
from pathlib import Path
from typing import IO, Literal

from PIL import Image

from gan_nas.errors import InvalidInput

MAX_BYTES = 80_000_000  # of a file: 4096 x 4096 pixels of four bytes have 67 million
MAX_PIXELS = 1 << 24  # 4096 x 4096; more where the file is as large as photographs are:
MOST_PIXELS_A_BYTE = 32  # these have 1 to 16
MAX_TEXT = 4 << 20  # bytes of a PPM in text: Pillow reads its numbers one by one
MAX_SCANS = 64  # of a JPEG, each of which takes the time of a picture; usual are 1 to 20
MAX_PARTS = 2000  # before the pixels of a JPEG or PNG, each of which takes some time; usual are 20
MAX_STRIPS = 1 << 16  # or tiles of a TIFF: each is an object of Pillow's; usual is one for 8 kB
PART = 512  # bytes of pixels of a PNG in each of its chunks, on average; usual are 8192

HEAD = 4096  # bytes within which the sizes of a PPM stand, which Pillow seeks without end
PPM = re.compile(rb"P[0-6fy]")
TEXT = re.compile(rb"P[1-3]")
_BETWEEN = rb"(?:\s|#[^\r\n]*[\r\n])+"
PPM_SIZES = re.compile(
    rb"(?:P[14](?:%b\d{1,10}){2}|P\w+(?:%b[^\s#]{1,10}){3})\s" % ((_BETWEEN,) * 2)
)

JPEG = b"\xff\xd8"
PNG = b"\x89PNG\r\n\x1a\n"
TIFF = (b"II", b"MM")  # numbers with their first byte last, or first
STRIPS = (273, 279, 324, 325)  # where a TIFF's strips or tiles are, and their bytes
RESTART, BEGIN, END, SCAN = 0xD0, 0xD8, 0xD9, 0xDA
MARKER = re.compile(rb"\xff+([^\x00\xff])")
AFTER_SCAN = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")  # restarts are within a scan


def check_file(path: Path, size: int, file: IO[bytes], *, to_decode: bool) -> bytes:
    """Return a file's first bytes; raises InvalidInput where opening it, or decoding, costs much.

    A JPEG's scans are counted when it is to be decoded, since it is read whole then anyway.
    """
    if size > MAX_BYTES:
        raise InvalidInput(
            f"{path} has {size:,} bytes, an image may have {MAX_BYTES:,}: make it smaller, or "
            "remove it"
        )
    head = file.read(HEAD)
    if PPM.match(head) and not PPM_SIZES.match(head):
        raise InvalidInput(f"{path} does not begin with its sizes, as a PPM does: remove it")
    if TEXT.match(head) and size > MAX_TEXT:
        raise InvalidInput(
            f"{path} is a PPM in text of {size:,} bytes, it may have {MAX_TEXT:,}: save it as a PNG"
        )
    if head.startswith(JPEG):
        if not _reaches_scan(file):
            raise InvalidInput(f"{path} is a JPEG without a picture that begins soon: remove it")
        file.seek(0)
        if to_decode and count_scans(file.read()) > MAX_SCANS:
            raise InvalidInput(
                f"{path} is a JPEG of more than {MAX_SCANS} scans, usual are 1 to 20: save it anew"
            )
    if head.startswith(PNG) and not _has_few_chunks(file, size, to_decode=to_decode):
        raise InvalidInput(f"{path} is a PNG in more pieces than are usual: save it anew")
    if head[:2] in TIFF and not _has_few_strips(file, head):
        raise InvalidInput(f"{path} is a TIFF in more than {MAX_STRIPS:,} strips: save it anew")
    file.seek(0)
    return head


def check_pixels(path: Path, size: int, image: Image.Image) -> None:
    """Raise InvalidInput for more pixels than a file of so many bytes may have."""
    if image.width * image.height > max(MAX_PIXELS, MOST_PIXELS_A_BYTE * size):
        raise InvalidInput(
            f"{path} has {image.width} x {image.height} pixels in {size:,} bytes, at most "
            f"{MAX_PIXELS:,} are allowed where not each {MOST_PIXELS_A_BYTE} of them have a byte: "
            "make it smaller, or remove it"
        )


def _reaches_scan(file: IO[bytes]) -> bool:
    """Tell whether a JPEG's first scan comes after few segments, and little between them."""
    file.seek(len(JPEG))
    for _ in range(MAX_PARTS):
        start = file.tell()
        found = MARKER.search(file.read(HEAD))
        if found is None:
            return False
        kind = found[1][0]
        file.seek(start + found.end())
        if kind in (SCAN, END):
            return True
        if not RESTART <= kind <= BEGIN:  # these stand alone
            file.seek(max(0, int.from_bytes(file.read(2)) - 2), 1)
    return False


def _has_few_chunks(file: IO[bytes], size: int, *, to_decode: bool) -> bool:
    """Tell whether a PNG has few chunks before its pixels and, if they are decoded, in all."""
    file.seek(len(PNG))
    for _ in range(MAX_PARTS + (size // PART if to_decode else 0)):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND" or (head[4:] == b"IDAT" and not to_decode):
            return True
        file.seek(int.from_bytes(head[:4]) + 4, 1)
    return False


def _has_few_strips(file: IO[bytes], head: bytes) -> bool:
    """Tell whether the first picture of a TIFF, or BigTIFF, lies in few pieces."""
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    is_big = int.from_bytes(head[2:4], order) == 43
    wide, entry = (8, 20) if is_big else (4, 12)  # bytes of a place, and of an entry
    place = int.from_bytes(head[wide : 2 * wide], order)
    if place >= 1 << 63:
        return True  # which Pillow refuses
    file.seek(place)
    num = int.from_bytes(file.read(8 if is_big else 2), order)
    entries = file.read(entry * min(num, MAX_PARTS))
    for start in range(0, len(entries) - entry + 1, entry):
        tag = int.from_bytes(entries[start : start + 2], order)
        if tag in STRIPS and int.from_bytes(entries[start + 4 :][:wide], order) > MAX_STRIPS:
            return False
    return True


def count_scans(data: bytes) -> int:
    """Count the scans of a JPEG's picture, up to one more than are allowed.

    What comes behind the picture, a film perhaps, and what is embedded in it, are not looked at.
    """
    num, place = 0, len(JPEG)
    while num <= MAX_SCANS and (found := MARKER.search(data, place)):
        kind, place = found[1][0], found.end()
        if kind == END:
            break
        if RESTART <= kind <= BEGIN:  # these stand alone
            continue
        place += max(2, int.from_bytes(data[place : place + 2]))
        if kind == SCAN:
            num += 1
            after = AFTER_SCAN.search(data, place)
            place = after.start() if after else len(data)
    return num
