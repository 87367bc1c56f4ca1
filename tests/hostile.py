"""Small files that promise much, and what commands spend on them: seconds and memory.

`python tests/hostile.py` runs each through its command, in a process of its own, and prints what
it cost beyond the same command on a small honest file; the tests do the same.
"""

import argparse
import io
import json
import os
import resource
import shutil
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import checkpoints
import numpy as np
import old_runs
import torch
from PIL import Image
from safetensors.torch import save_file

from gan_nas.cli import run
from gan_nas.files import seal, unseal
from gan_nas.metrics.cifar_resnet import CifarResNet
from gan_nas.metrics.statistics import Statistics, save_statistics
from gan_nas.spaces.published import published_genome
from gan_nas.training.untrained import save_untrained

MIB = 1 << 20
GENOME = published_genome("autogan-cifar10-top1").resized(4, 4)
MOST_MEMORY, MOST_SECONDS = 200 * MIB, 2.0  # beyond the honest file's
CAP = 3 << 30  # bytes of a child's memory, lest a fault takes the machine's


class Cost(NamedTuple):
    """How a command ended, what it said at the end, and what it took."""

    code: int
    said: str
    seconds: float
    memory: int
    """Bytes, at most at a time."""


class Hostile(NamedTuple):
    """A file or folder that is made at a path, and the kind of command that reads it."""

    reader: str
    name: str
    make: Callable[[Path], object]
    codes: tuple[int, ...] = (2, 4)


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


# How each kind of file is read, and an honest one of it.
READERS: dict[str, tuple[Sequence[str], Callable[[Path], object], str]] = {
    "genome": (("build", "{}"), GENOME.save, "honest.json"),
    "sample": (("sample", "{}", "-n", "2", "-o", "x.png"), honest_generator, "g.safetensors"),
    "generator": (("score", "{}", "-n", "8"), honest_generator, "g.safetensors"),
    "images": (("score", "{}", "--data", "digits"), honest_images, "honest"),
    "data": (("retrain", "g.json", "--data", "{}", "--dry-run"), honest_images, "honest"),
    "npz": (("score", "{}", "--data", "digits"), honest_npz, "images.npz"),
    "statistics": (
        ("score", "g.safetensors", "-n", "8", "--data", "digits", "--reference", "{}"),
        honest_statistics,
        "honest.npz",
    ),
    "scores": (("compare", "{}", "{}"), scores, "honest.json"),
    "table": (("table", "show", "{}"), lambda path: path.write_text("{}"), "t.json"),
}

READERS |= {
    "run": (
        ("derive", "{}", "--top-k", "1"),
        partial(old_runs.copy, "degas-finished"),
        "honest-run",
    ),
    "retrained": (
        ("sample", "{}", "-n", "2", "-o", "x.png"),
        partial(old_runs.copy, "retrain-finished"),
        "honest-retrained",
    ),
    "report": (
        ("report", "{}", "-o", "x.html"),
        partial(old_runs.copy, "degas-finished"),
        "honest-report",
    ),
    "options": (
        ("build", "g.json", "--config", "{}"),
        lambda path: path.write_text("resolution = 16"),
        "honest.toml",
    ),
    "import": (
        ("import", "{}", "--genome", "autogan-cifar10-top1", "-o", "y.safetensors"),
        lambda path: torch.save(checkpoints.plain_state("derived top1")[1], path),
        "honest.pth",
    ),
    "classifier": (
        ("score", "g.safetensors", "-n", "8", "--data", "digits", "--backbone", "classifier:{}"),
        lambda path: save_file(CifarResNet(1, 10).state_dict(), path),
        "honest.safetensors",
    ),
}

BRACES = b'{"generator": {"space": "autogan", "cells": ['
HOSTILE: dict[str, Hostile] = {
    "a genome of a mebibyte of {}": Hostile(
        "genome", "g.json", lambda p: repeated(p, BRACES + b"{}", MIB // 3 - 50, b",{}", b"]}}")
    ),
    "a genome of a mebibyte of []": Hostile(
        "genome", "g.json", lambda p: repeated(p, BRACES + b"[]", MIB // 3 - 50, b",[]", b"]}}")
    ),
    "a genome of 60 KiB of {}": Hostile(
        "genome", "g.json", lambda p: repeated(p, BRACES + b"{}", 20000, b",{}", b"]}}")
    ),
    "a genome of many unknown fields": Hostile(
        "genome",
        "g.json",
        lambda p: p.write_text(json.dumps({"generator": {}, **{f"f{i}": 0 for i in range(70000)}})),
    ),
    "a genome of deep brackets": Hostile(
        "genome", "g.json", lambda p: repeated(p, b'{"generator": ', MIB - 99, b"[")
    ),
    "a genome whose width has a million digits": Hostile(
        "genome",
        "g.json",
        lambda p: repeated(p, b'{"generator": {"width": ', MIB - 99, b"9", b"}}"),
    ),
    "a code of a mebibyte": Hostile(
        "genome", "g.txt", lambda p: repeated(p, b"1", MIB // 2 - 9, b",1")
    ),
    "a matrix whose header nests": Hostile(
        "genome", "g.npy", lambda p: p.write_bytes(npy("(" * 9000 + ")" * 9000))
    ),
    "a matrix with a header of 2 GiB": Hostile(
        "genome", "g.npy", lambda p: sparse(p, npy("(3, 7)", version=2, length=2 << 30), 3 << 30)
    ),
    "a matrix of terabytes": Hostile(
        "genome", "g.npy", lambda p: sparse(p, npy(f"({1 << 40},)", "<i8"), 3 << 30)
    ),
    "metadata with a genome of {}": Hostile(
        "sample",
        "h.safetensors",
        lambda p: other_metadata(
            p, lambda about: about["genome"]["generator"].update(cells=[{}] * (MIB // 4 - 2000))
        ),
    ),
    "a lineage of a mebibyte of {}": Hostile(
        "sample",
        "h.safetensors",
        lambda p: other_metadata(
            p, lambda about: about["lineage"].update(x=[{}] * (MIB // 4 - 2000))
        ),
        (0,),
    ),
    "a small file that claims a width of 2048": Hostile(
        "sample", "h.safetensors", lambda p: other_metadata(p, wide)
    ),
    "the same at 1024 pixels": Hostile(
        "sample",
        "h.safetensors",
        lambda p: other_metadata(p, lambda about: about.update(resolution=1024)),
    ),
    "a sparse generator of 4 GiB": Hostile("sample", "h.safetensors", large_state),
    "a sparse file of 3.9 GiB with a short header": Hostile(
        "sample",
        "h.safetensors",
        lambda p: (honest_generator(p), os.truncate(p, (4 << 30) - 99)),
    ),
    **{
        f"a zip of a {ending} of 76 MiB": Hostile(
            reader,
            "h.zip",
            lambda p, ending=ending, head=head: deflated(  # type: ignore[misc]
                p, f"a.{ending}", head, 76 * MIB, b" " if ending in ("ppm", "pgm") else b"\0"
            ),
        )
        for ending, head in IMAGE_HEADS.items()
        for reader in ("images",)
    },
    **{
        f"a folder of a sparse {ending} of 3 GiB": Hostile(
            "images",
            "h",
            lambda p, ending=ending, head=head: many(  # type: ignore[misc]
                p, 1, lambda one: sparse(one, head, 3 << 30), f".{ending}"
            ),
        )
        for ending, head in IMAGE_HEADS.items()
    },
    "a folder of a plain PPM of one digit": Hostile(
        "images",
        "h",
        lambda p: many(
            p, 1, lambda one: repeated(one, b"P3 4096 4096 255\n", 30 * MIB, b"1 "), ".ppm"
        ),
    ),
    **{
        f"{reader}: a PNG of {width} x {height}": Hostile(
            reader,
            "h",
            lambda p, width=width, height=height: many(  # type: ignore[misc]
                p, 20, lambda one: one.write_bytes(png(width, height, 0)), ".png"
            ),
        )
        for width, height in ((1, 80_000_000), (80_000_000, 1), (9400, 9400))
        for reader in ("images", "data")
    },
    "data: a PNG of 9400 x 9400 with colours": Hostile(
        "data", "h", lambda p: many(p, 20, lambda one: one.write_bytes(png(9400, 9400)), ".png")
    ),
    **{
        f"a zip of a PNG of many chunks of {name}": Hostile(
            "images",
            "h.zip",
            lambda p, part=part: deflated(p, "a.png", PNG_HEAD, 70 * MIB, part),  # type: ignore[misc]
        )
        for name, part in CHUNKS.items()
    },
    "a zip of a JPEG of many segments": Hostile(
        "images", "h.zip", lambda p: deflated(p, "a.jpg", b"\xff\xd8", 70 * MIB, b"\xff\xfe\0\4ab")
    ),
    "a TIFF of many pictures": Hostile(
        "images", "h", lambda p: many(p, 1, lambda one: tiff_chain(one, 15000), ".tif")
    ),
    "JPEGs of many scans": Hostile(
        "data",
        "h",
        lambda p: many(p, 20, lambda one: one.write_bytes(progressive(4096, 2000)), ".jpg"),
    ),
    "a dataset.json of 2 GiB": Hostile(
        "data", "h.zip", lambda p: labelled(p, b'{"labels": [{}', b",{}", 300 * MIB)
    ),
    "a dataset.json of spaces": Hostile(
        "data", "h.zip", lambda p: labelled(p, b" ", b" ", 300 * MIB)
    ),
    "an npz with a header of 2 GiB": Hostile(
        "npz",
        "h.npz",
        lambda p: deflated(
            p, "a.npy", npy("(20, 16, 16, 3)", version=2, length=2 << 30), 300 * MIB, b" "
        ),
    ),
    "an npz whose header nests": Hostile(
        "npz", "h.npz", lambda p: deflated(p, "a.npy", npy("(" * 9000), MIB)
    ),
    "an npz of 100 x 4096 x 4096 of one colour": Hostile(
        "npz",
        "h.npz",
        lambda p: deflated(
            p, "a.npy", npy("(100, 4096, 4096, 3)"), len(npy("(100, 4096, 4096, 3)")) + 4800 * MIB
        ),
    ),
    "an npz of statistics of 8192 features": Hostile(
        "statistics", "h.npz", lambda p: statistics(p, 8192)
    ),
    "statistics with a header of 2 GiB": Hostile(
        "statistics",
        "h.npz",
        lambda p: deflated(
            p, "mu.npy", npy("(4,)", "<f8", version=2, length=2 << 30), 300 * MIB, b" "
        ),
    ),
    "statistics whose header nests": Hostile(
        "statistics", "h.npz", lambda p: deflated(p, "mu.npy", npy("(" * 9000, "<f8"), MIB)
    ),
    "sparse safetensors of statistics of 8192 features": Hostile(
        "statistics", "h.safetensors", lambda p: sparse_statistics(p, 8192)
    ),
    "scores of a mebibyte of {}": Hostile(
        "scores",
        "h.json",
        lambda p: scores(p, b",".join(b'"%x": {}' % i for i in range(80000))),
    ),
    "a table of a mebibyte of {}": Hostile(
        "table",
        "h.json",
        lambda p: p.write_text(seal({"format": 1, "rows": [{}] * 250000})),
    ),
}


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


# Those that still cost more than they may: tried when they are named.
OPEN = {
    "a run with a sparse checkpoint",
    "a folder of 200,000 empty files",
    "an import of a sparse pickle",
    "an import of sparse zeros",
    "an import of nested lists",
}


@cache
def bomb() -> bytes:
    """Return what becomes 300 MiB of zeros."""
    return zlib.compress(bytes(300 * MIB), 9)


SPARSE = 6 << 30
DEEP, DIGITS = b"[" * 500_000, b"9" * 1_000_000
JSON_BOMBS = {
    "of deep brackets": b'{"x": ' + DEEP,
    "of deep braces": b'{"x": ' * 200_000,
    "with a number of a million digits": b'{"x": ' + DIGITS + b"}",
    "of a hundred thousand fields": json.dumps({f"f{i}": i for i in range(100_000)}).encode(),
}
HOSTILE |= {
    **{
        f"{reader}: a {file} {what}": Hostile(
            reader, "h", in_run(file, lambda p, data=data: p.write_bytes(data), run), codes
        )
        for what, data in JSON_BOMBS.items()
        for reader, file, run, codes in (
            ("run", "config.json", "degas-finished", (2, 4)),
            ("run", "result.json", "degas-finished", (2, 4)),
            ("report", "log.jsonl", "degas-finished", (0,)),
            ("retrained", "result.json", "retrain-finished", (0, 2, 4)),
        )
    },
    "a folder of 200,000 empty files": Hostile(
        "images", "h", lambda p: (p.mkdir(), [(p / f"{i}.png").touch() for i in range(200_000)])
    ),
    "a run with a sparse checkpoint": Hostile(
        "run",
        "h",
        lambda p: (
            old_runs.copy("degas-finished", p),
            sparse_checkpoint(p, "network.safetensors", SPARSE),
        ),
    ),
    "a run with a sparse state": Hostile(
        "run", "h", in_run("checkpoint/000000004/state.json", lambda p: os.truncate(p, SPARSE))
    ),
    "a sparse classifier": Hostile(
        "classifier", "h.safetensors", lambda p: sparse_tensors(p, SPARSE)
    ),
    "a run with a sparse judge": Hostile(
        "run",
        "h",
        in_run(
            "judge.safetensors",
            lambda p: sparse_tensors(p, SPARSE, {"gan_nas_classifier": '{"format": 6, "side": 8}'}),
        ),
        (0, 2, 4),
    ),
    "a run of sparse genomes": Hostile(
        "retrained",
        "h",
        in_run("best.safetensors", lambda p: sparse_tensors(p, SPARSE), "retrain-finished"),
    ),
    "a classifier with a header of 99 MB": Hostile(
        "classifier", "h.safetensors", lambda p: headed(p, b'{"w": ' + b" " * 99_000_000 + b"{}}")
    ),
    "a generator with a header of 99 MB": Hostile(
        "sample", "h.safetensors", lambda p: headed(p, b'{"w": ' + b" " * 99_000_000 + b"{}}")
    ),
    **{
        f"{what} with a header of a million tensors": Hostile(
            reader, "h.safetensors", lambda p: headed(p, empty_tensors(1_000_000))
        )
        for what, reader in {"statistics": "statistics", "a classifier": "classifier"}.items()
    },
    "a generator whose header names one tensor twice": Hostile(
        "sample",
        "h.safetensors",
        lambda p: headed(
            p,
            b'{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        ),
    ),
    "images: a zip of a million members": Hostile(
        "images", "h.zip", lambda p: members(p, 1_000_000)
    ),
    "data: a zip of a million members": Hostile("data", "h.zip", lambda p: members(p, 1_000_000)),
    "a zip of a hundred thousand members of one name": Hostile(
        "images", "h.zip", lambda p: members(p, 100_000, "x.png")
    ),
    "a zip of nested names": Hostile(
        "images", "h.zip", lambda p: members(p, 200, "a/" * 30_000 + "{}.png")
    ),
    "an npz of a million members": Hostile(
        "npz", "h.npz", lambda p: members(p, 1_000_000, "{}.npy")
    ),
    "statistics of a million members": Hostile(
        "statistics", "h.npz", lambda p: members(p, 1_000_000, "{}.npy")
    ),
    "an npz of objects": Hostile(
        "npz", "h.npz", lambda p: np.savez(p, images=np.array([{}] * 100, dtype=object))
    ),
    "statistics of objects": Hostile(
        "statistics",
        "h.npz",
        lambda p: np.savez(
            p, mu=np.array([{}], dtype=object), sigma=np.array([[{}]], dtype=object)
        ),
    ),
    "an import of a million members": Hostile(
        "import", "h.pth", lambda p: members(p, 1_000_000, "a/data/{}")
    ),
    **{
        f"a folder of a {kind} of {frames} frames": Hostile(
            "images",
            "h",
            lambda p, kind=kind, frames=frames, ending=ending: (  # type: ignore[misc]
                p.mkdir(),
                (p / f"a.{ending}").write_bytes(animation(kind, frames)),
            ),
        )
        for kind, ending, frames in (
            ("PNG", "png", 20_000),
            ("WEBP", "webp", 3_000),
            ("GIF", "png", 20_000),
        )
    },
    "a TIFF whose chain of pictures is a loop": Hostile(
        "images", "h", lambda p: many(p, 1, lambda one: (tiff_chain(one, 3), loop(one)), ".tif")
    ),
    "a TIFF of millions of strips": Hostile(
        "data", "h", lambda p: many(p, 20, lambda one: tiff_strips(one, 4_000_000), ".tif")
    ),
    **{
        f"a PNG with a bomb in {kind.decode()}": Hostile(
            "data",
            "h",
            lambda p, kind=kind, head=head: many(  # type: ignore[misc]
                p, 20, lambda one: one.write_bytes(with_chunk(kind, head + bomb())), ".png"
            ),
            (0, 2, 4),
        )
        for kind, head in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0"))
    },
    "a config of deep brackets": Hostile(
        "options", "h.toml", lambda p: p.write_bytes(b"x = " + DEEP)
    ),
    "a config of a million digits": Hostile(
        "options", "h.toml", lambda p: p.write_bytes(b"resolution = " + DIGITS)
    ),
    "a config of deep tables": Hostile(
        "options", "h.toml", lambda p: p.write_bytes(b"[" + b"a." * 400_000 + b"a]\n")
    ),
    "a config of many tables": Hostile(
        "options",
        "h.toml",
        lambda p: p.write_bytes(b"".join(b"[%x]\n" % i for i in range(130_000))),
    ),
    "a config of deep dotted keys": Hostile(
        "options",
        "h.toml",
        lambda p: p.write_bytes(b"".join(b"a%d%s=1\n" % (i, b".b" * 1000) for i in range(400))),
    ),
    "an import of a packed gigabyte": Hostile(
        "import", "h.pth", lambda p: pickled(p, 1 << 30, zipfile.ZIP_DEFLATED)
    ),
    "an import of a sparse pickle": Hostile(
        "import", "h.pth", lambda p: (pickled(p, 4 << 10, 0), os.truncate(p, 2_000_000_000))
    ),
    "an import of sparse zeros": Hostile(
        "import", "h.pth", lambda p: sparse(p, b"\x80\x02}.", 2_000_000_000)
    ),
    "an import of nested lists": Hostile("import", "h.pth", lambda p: nested_pickle(p, 2_000_000)),
}


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


def cost(words: Sequence[str], folder: Path) -> Cost:
    """Run a command in a folder and a process of its own."""
    said = folder / "said.txt"
    pid = os.fork()
    if not pid:
        status = 70
        try:
            os.chdir(folder)
            now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + CAP, now + CAP))
            resource.setrlimit(resource.RLIMIT_CPU, (6, 6))
            null, err = os.open(os.devnull, os.O_RDWR), os.open(said, os.O_WRONLY | os.O_CREAT)
            os.dup2(null, 1)
            os.dup2(err, 2)
            status = run(list(words))
        finally:
            os._exit(status)
    _, status, used = os.wait4(pid, 0)
    lines = said.read_text().splitlines() or [""]
    said.unlink()
    seconds = used.ru_utime + used.ru_stime
    errors = [line for line in lines if line.startswith("error")]
    text = " ".join(lines[lines.index(errors[0]) :] if errors else lines[-1:])
    return Cost(os.waitstatus_to_exitcode(status), text, seconds, used.ru_maxrss * 1024)


def beyond(name: str, folder: Path, base: Cost) -> Cost:
    """Return how a command ends on a hostile file, and what that took beyond the honest one."""
    hostile = HOSTILE[name]
    path = folder / hostile.name
    hostile.make(path)
    try:
        found = cost([word.format(path) for word in READERS[hostile.reader][0]], folder)
    finally:
        remove(path)
    return Cost(found.code, found.said, found.seconds - base.seconds, found.memory - base.memory)


def honest(reader: str, folder: Path) -> Cost:
    """Return how a command ends on an honest file, and what that took."""
    command, make, name = READERS[reader]
    GENOME.save(folder / "g.json")
    honest_generator(folder / "g.safetensors")
    honest_statistics(folder / "r.npz")
    path = folder / name
    if not path.exists():
        make(path)
    return cost([word.format(path) for word in command], folder)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def prepare() -> None:
    """Import here, and not in every child, what commands import late."""
    torch.set_num_threads(1)
    for late in ("torch._dynamo", "scipy.stats", "gan_nas.scoring.score", "gan_nas.training.loop"):
        import_module(late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="of names; without, all are tried")
    asked = parser.parse_args()
    prepare()
    bases: dict[str, Cost] = {}
    bad = 0
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for name, hostile in HOSTILE.items():
            if not any(word in name for word in asked.words) if asked.words else name in OPEN:
                continue
            if hostile.reader not in bases:
                bases[hostile.reader] = honest(hostile.reader, folder)
                print(f"-- {hostile.reader}: {bases[hostile.reader]}", flush=True)
            found = beyond(name, folder, bases[hostile.reader])
            wrong = (
                found.code not in hostile.codes
                or found.seconds > MOST_SECONDS
                or found.memory > MOST_MEMORY
            )
            bad += wrong
            print(
                f"{'BAD' if wrong else 'ok '} {name}: {found.code}, {found.seconds:.1f} s, "
                f"{found.memory / MIB:.0f} MiB; {found.said[:150]}",
                flush=True,
            )
    if not asked.words:
        print(f"left out, as they still cost too much: {', '.join(sorted(OPEN))}")
    print(f"{bad} bad")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
