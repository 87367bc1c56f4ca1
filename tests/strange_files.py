"""A file or folder of each kind that people have and commands cannot take."""

import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from gan_nas.spaces.published import published_genome

CODE = "[1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 3]"
GENOTYPE = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2, 3])"
SCORES = {"scores": {}, "passport": {}}


def _image(path: Path, kind: str) -> None:
    Image.new("RGB", (8, 8)).save(path, kind)


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("data"), io.BytesIO())


def _zip(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")


def _run(path: Path) -> None:
    (path / "genomes").mkdir(parents=True)
    (path / ".lock").touch()
    (path / "config.json").write_text(json.dumps({"run_id": "x"}))
    published_genome("sngan-cifar10").save(path / "genomes" / "found.json")
    save_file({"w": torch.zeros(2, device="cpu")}, path / "generator.safetensors")


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "file.txt").touch()


def _numpy(path: Path, array: object) -> None:
    with path.open("wb") as file:
        np.save(file, array)  # type: ignore[arg-type]


def _arrays(path: Path, **arrays: np.ndarray) -> None:  # type: ignore[type-arg]
    with path.open("wb") as file:
        np.savez(file, **arrays)


# Its name -> how it is made, and what must be said of it.
STRANGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "state.pth": (
        lambda p: torch.save({"w": torch.zeros(2, device="cpu")}, p),
        "a pickle of torch",
    ),
    "old.pt": (
        lambda p: torch.save(
            {"w": torch.zeros(2, device="cpu")}, p, _use_new_zipfile_serialization=False
        ),
        "a pickle, which is never read since it can run code",
    ),
    "plain.pkl": (lambda p: p.write_bytes(pickle.dumps([1, "a"])), "a pickle"),
    "protocol0.ckpt": (lambda p: p.write_bytes(pickle.dumps({"a": [1]}, 0)), "a pickle"),
    "command.pkl": (lambda p: p.write_bytes(b"cos\nsystem\n(S'true'\ntR."), "a pickle"),
    "script.pt": (lambda p: _zip(p, "m/data.pkl", "m/constants.pkl"), "a TorchScript module"),
    "objects.npy": (lambda p: _numpy(p, np.array([{}, None], object)), "an .npy of pickled"),
    "other.npy": (lambda p: _numpy(p, np.zeros((4, 4))), "(4, 4)"),
    "arrays.npz": (lambda p: _arrays(p, weights=np.zeros(3)), "an npz that holds 'weights'"),
    "plain.zip": (lambda p: _zip(p, "a.txt"), "a zip"),
    "model.tar": (_tar, "a tar archive"),
    "model.tar.gz": (lambda p: p.write_bytes(b"\x1f\x8b\x08" + bytes(50)), "a gzip archive"),
    "model.h5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50)), "an HDF5 file"),
    "model.onnx": (lambda p: p.write_bytes(b"\x08\x07\x12\x07pytorch\xff"), "an ONNX model"),
    "weights.safetensors": (
        lambda p: save_file({"w": torch.zeros(2, device="cpu")}, p),
        "a safetensors file without a genome",
    ),
    "picture.png": (lambda p: _image(p, "PNG"), "a PNG image"),
    "picture.jpg": (lambda p: _image(p, "JPEG"), "a JPEG image"),
    "picture.webp": (lambda p: _image(p, "WEBP"), "a WebP image"),
    "paper.pdf": (lambda p: p.write_bytes(b"%PDF-1.5\n"), "a PDF"),
    "genotype.py": (lambda p: p.write_text(f"DARTS = {GENOTYPE}\n"), "a genotype of cells"),
    "genotype.txt": (lambda p: p.write_text(GENOTYPE), "a genotype of cells"),
    "short.json": (lambda p: p.write_text("[1, 0, 1]"), "3"),
    "scores.json": (lambda p: p.write_text(json.dumps(SCORES)), "a file of scores"),
    "config.json": (lambda p: p.write_text('{"run_id": "x"}'), "the settings of a run"),
    "notes.ipynb": (lambda p: p.write_text('{"nbformat": 4, "cells": []}'), "a notebook"),
    "other.json": (lambda p: p.write_text('{"lr": 1}'), "a JSON object with 'lr'"),
    "empty.json": (lambda p: p.touch(), "an empty file"),
    "nothing": (lambda p: p.mkdir(), "an empty folder"),
    "folder": (_folder, "a folder"),
    "run": (_run, "the directory of a run"),
    "pipe": (os.mkfifo, "a pipe or a device"),
}
# What is typed and is no path.
TYPED = {
    "https://example.org/model.pth": "an address",
    "s3://bucket/g.safetensors": "an address",
    GENOTYPE: "a genotype of cells",
}


def make(folder: Path, name: str) -> Path:
    """Make a strange file in a folder."""
    path = folder / name
    STRANGE[name][0](path)
    return path
