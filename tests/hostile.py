"""Small files that promise much, by name, and the commands that read them."""

import json
import os
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import checkpoints
import numpy as np
import old_runs
import torch
from hostile_files import (
    CHUNKS,
    GENOME,
    IMAGE_HEADS,
    MIB,
    PNG_HEAD,
    animation,
    bomb,
    deflated,
    empty_tensors,
    headed,
    honest_generator,
    honest_images,
    honest_npz,
    honest_statistics,
    in_run,
    labelled,
    large_state,
    loop,
    many,
    members,
    nested_pickle,
    npy,
    other_metadata,
    pickled,
    png,
    progressive,
    repeated,
    scores,
    sparse,
    sparse_checkpoint,
    sparse_statistics,
    sparse_tensors,
    statistics,
    tiff_chain,
    tiff_strips,
    wide,
    with_chunk,
)
from safetensors.torch import save_file

from gan_nas.files import seal
from gan_nas.metrics.cifar_resnet import CifarResNet


class Hostile(NamedTuple):
    """A file or folder that is made at a path, and the kind of command that reads it."""

    reader: str
    name: str
    make: Callable[[Path], object]
    codes: tuple[int, ...] = (2, 4)


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
