"""Files that promise much and hold little, and honest ones of each kind, which cost nothing."""

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import old_runs
import torch
from PIL import Image
from safetensors.torch import save_file

from gan_nas.files import seal, unseal
from gan_nas.metrics.statistics import Statistics, save_statistics
from gan_nas.spaces.published import published_genome
from gan_nas.training.untrained import save_untrained

MIB = 1 << 20
GENOME = published_genome("autogan-cifar10-top1").resized(4, 4)


def repeated(path: Path, head: bytes, times: int, unit: bytes, tail: bytes = b"") -> None:
    path.write_bytes(head + unit * times + tail)


def sparse(path: Path, head: bytes, size: int) -> None:
    """Write a file that is large and takes no room."""
    path.write_bytes(head)
    os.truncate(path, size)


def deflated(path: Path, name: str, head: bytes, size: int, filler: bytes = b"\0") -> None:
    """Write a zip with one member, `head` and then `filler` up to `size` bytes."""
    block = filler * (MIB // len(filler))
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        member.write(head)
        for _ in range((size - len(head)) // len(block)):
            member.write(block)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, colour: int = 2, depth: int = 8) -> bytes:
    """Return a PNG of one value, a thousandth of its pixels long."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row = bytes(1 + (width * channels * depth + 7) // 8)
    packer = zlib.compressobj(1)
    rows = max(1, min(height, MIB // len(row)))
    parts = [packer.compress(row * min(rows, height - i)) for i in range(0, height, rows)]
    parts.append(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", b"".join(parts)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


PNG_HEAD = png(16, 16)[:33]
IMAGE_HEADS = {
    "webp": b"RIFF" + struct.pack("<I", (2 << 30) - 8) + b"WEBPVP8X" + bytes(18),
    "png": PNG_HEAD + struct.pack(">I", (2 << 30) - 64) + b"eXIf",
    "bmp": b"BM" + struct.pack("<IIIIiiHHIIiiII", 2 << 30, 0, 54, 40, 4000, 4000, 1, 24, *[0] * 6),
    "tiff": b"II*\0" + struct.pack("<IHHHII", 8, 1, 700, 7, (2 << 30) - 64, 26),
    "ppm": b"P6 #",
    "pgm": b"P5 ",
    "jpg": b"\xff\xd8" + b"\xff\xe1\xff\xff" + bytes(65533),
}
CHUNKS = {"text": chunk(b"tEXt", b"a\0b"), "pixels": chunk(b"IDAT", b"")}


def tiff_chain(path: Path, num: int) -> None:
    """Write a TIFF of many pictures, each a directory without pixels."""
    entries = [(256, 3, 1, 16), (257, 3, 1, 16), (262, 3, 1, 1), (258, 3, 1, 8), (273, 4, 1, 8)]
    size = 2 + 12 * len(entries) + 4
    one = struct.pack("<H", len(entries))
    one += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    following = [8 + size * (i + 1) for i in range(num - 1)] + [0]
    chain = b"".join(one + struct.pack("<I", place) for place in following)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + chain)


def progressive(side: int, scans: int) -> bytes:
    """Return a progressive JPEG of one colour whose last scan stands there many times."""
    file = io.BytesIO()
    Image.new("L", (side, side)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    table = data.rindex(b"\xff\xc4", 0, last)
    return data[:-2] + data[table:-2] * scans + data[-2:]


def npy(shape: str, dtype: str = "|u1", version: int = 1, length: int | None = None) -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    num = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + num + text


def many(path: Path, number: int, make: Callable[[Path], object], suffix: str) -> None:
    path.mkdir()
    make(path / f"0{suffix}")
    for i in range(1, number):
        (path / f"{i}{suffix}").hardlink_to(path / f"0{suffix}")


def honest_generator(path: Path, width: int = 4) -> None:
    save_untrained(path, GENOME.resized(width, width), 16, 1, seed=0)


def other_metadata(path: Path, change: Callable[[dict[str, Any]], object], head: str = "") -> None:
    """Write an honest generator with other metadata, sealed as ours are."""
    honest_generator(path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    about = unseal(header["__metadata__"]["gan_nas"])
    assert about is not None
    change(about)
    header["__metadata__"]["gan_nas"] = seal(about)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def wide(about: dict[str, Any]) -> None:
    about["genome"]["generator"]["width"] = 2048


def large_state(path: Path) -> None:
    """Write a generator whose one tensor has nearly 4 GiB, on a disk that it does not fill."""
    honest_generator(path)
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    size = (4 << 30) - 2 * MIB
    metadata = header["__metadata__"]
    one = {"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    text = json.dumps({"__metadata__": metadata} | one).encode()
    sparse(path, len(text).to_bytes(8, "little") + text, 8 + len(text) + size)


def statistics(path: Path, dim: int, *, zipped: bool = True) -> None:
    """Write mean and covariance of zeros."""
    if not zipped:
        tensors = {"mu": torch.zeros(dim).double(), "sigma": torch.zeros(dim, dim).double()}
        save_file(tensors, path)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, shape, num in (("mu", f"({dim},)", dim), ("sigma", f"({dim}, {dim})", dim * dim)):
            with archive.open(f"{name}.npy", "w") as member:
                member.write(npy(shape, "<f8"))
                for _ in range(0, num, 1 << 16):
                    member.write(bytes(8 * min(num, 1 << 16)))


def honest_statistics(path: Path) -> None:
    save_statistics(path, Statistics(200, torch.zeros(4).double(), torch.eye(4).double()))


def honest_images(path: Path) -> None:
    many(path, 20, lambda one: one.write_bytes(png(16, 16, 0)), ".png")


def honest_npz(path: Path) -> None:
    np.savez(path, np.zeros((20, 16, 16, 1), np.uint8))


def scores(path: Path, more: bytes = b"") -> None:
    path.write_bytes(b'{"scores": {' + more + b'}, "passport": {}}')


def in_run(name: str, change: Callable[[Path], object], run: str = "degas-finished") -> Any:
    """Return what writes a run with one file that is changed."""

    def make(path: Path) -> None:
        old_runs.copy(run, path)
        change(path / name)

    return make


def sparse_tensors(path: Path, size: int, metadata: dict[str, str] | None = None) -> None:
    """Write safetensors of one tensor of zeros that take no room."""
    one = {"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    text = json.dumps(({"__metadata__": metadata} if metadata else {}) | one).encode()
    sparse(path, len(text).to_bytes(8, "little") + text, 8 + len(text) + size)


def sparse_checkpoint(run: Path, name: str, size: int) -> None:
    """Make a file of the checkpoint large, as its manifest says."""
    (folder,) = (run / "checkpoint").iterdir()
    sparse_tensors(folder / name, size)
    manifest = unseal((folder / "manifest.json").read_text())
    assert manifest is not None
    manifest["sizes"] = {one: (folder / one).stat().st_size for one in manifest["files"]}
    (folder / "manifest.json").write_text(seal(manifest))


def headed(path: Path, header: bytes) -> None:
    """Write safetensors with this header and nothing behind it."""
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def empty_tensors(number: int) -> bytes:
    """Return a header of safetensors that lists so many tensors of no elements."""
    one = b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    return b"{%s}" % b",".join(one % index for index in range(number))


def members(path: Path, number: int, name: str = "{}.png", content: bytes = b"") -> None:
    """Write a zip of so many members that are all one: its directory alone is long."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name.format(0), content)
    data = path.read_bytes()
    start = data.index(b"PK\1\2")
    first, end = data[start : data.index(b"PK\5\6")], data[:start]
    size = len(name.format(0))
    directory = b"".join(
        first[:28] + struct.pack("<H", len(one)) + first[30:46] + one + first[46 + size :]
        for one in (name.format(i).encode() for i in range(number))
    )
    place = len(end)
    zip64 = struct.pack(
        "<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, *[number] * 2, len(directory), place
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, place + len(directory), 1)
    last = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    path.write_bytes(end + directory + zip64 + locator + last)


def animation(kind: str, frames: int) -> bytes:
    """Return an animation of tiny pictures."""
    file = io.BytesIO()
    shown = [Image.new("P" if kind == "GIF" else "RGB", (16, 16), i % 2) for i in range(frames)]
    shown[0].save(file, kind, save_all=True, append_images=shown[1:])
    return file.getvalue()


def with_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG with a chunk before its pixels."""
    whole = png(16, 16, 0)
    return whole[:33] + chunk(kind, data) + whole[33:]


def pickled(path: Path, size: int, packed: int) -> None:
    """Write a checkpoint of one tensor of zeros; packed it is small."""
    torch.save({"w": torch.zeros(size // 4)}, path)
    if packed:
        with zipfile.ZipFile(path) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", packed, compresslevel=1) as archive:
            for name, data in content.items():
                archive.writestr(name, data)


def nested_pickle(path: Path, depth: int) -> None:
    """Write a checkpoint in the older format of lists within lists."""
    path.write_bytes(b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b".")


def loop(path: Path) -> None:
    """Let the last directory of a TIFF lead to its first one."""
    data = path.read_bytes()
    path.write_bytes(data[:-4] + struct.pack("<I", 8))


def tiff_strips(path: Path, num: int) -> None:
    """Write a TIFF of one row a strip, all of them the same byte."""
    entries = [
        *((256, 3, 1, 1), (257, 4, 1, num), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)),
        *((273, 4, num, 200), (278, 3, 1, 1), (279, 4, num, 200 + 4 * num)),
    ]
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    head += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    offsets, counts = struct.pack("<I", 8) * num, struct.pack("<I", 1) * num
    path.write_bytes(head.ljust(200, b"\0") + offsets + counts)


def labelled(path: Path, head: bytes, filler: bytes, size: int) -> None:
    deflated(path, "dataset.json", head, size, filler)
    with zipfile.ZipFile(path, "a") as archive:
        for i in range(20):
            archive.writestr(f"{i}.png", png(16, 16))


def sparse_statistics(path: Path, dim: int) -> None:
    tensors, end = {}, 0
    for name, shape in (("mu", [dim]), ("sigma", [dim, dim])):
        begin, end = end, end + 8 * int(np.prod(shape))
        tensors[name] = {"dtype": "F64", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(tensors).encode()
    sparse(path, len(text).to_bytes(8, "little") + text, 8 + len(text) + end)


@cache
def bomb() -> bytes:
    """Return what becomes 300 MiB of zeros."""
    return zlib.compress(bytes(300 * MIB), 9)
