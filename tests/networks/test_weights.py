import json
import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gan_nas.errors import GanNasError, Incompatible, InvalidInput, MissingResource
from gan_nas.files import seal
from gan_nas.networks.builder import build_generator
from gan_nas.networks.states import module_state, pack
from gan_nas.networks.weights import (
    load_generator_file,
    read_metadata,
    save_generator,
    weights_sha256,
)
from gan_nas.spaces.genome import parse_genome

CELL = {"conv": "pre", "norm": "none", "up": "nearest", "shortcut": True, "skips": []}
GENOME = parse_genome(
    json.dumps(
        {
            "name": "tiny",
            "generator": {"space": "autogan", "width": 8, "latent_dim": 4, "cells": [CELL] * 3},
            "discriminator": {"space": "sn_resnet", "width": 8},
        }
    )
)
LINEAGE: dict[str, Any] = {"data": "digits", "seed": 0, "scores": {"frechet": 1 / 3}, "run": "rün"}
NETWORK = build_generator(GENOME.generator, 16, 3).to(memory_format=torch.channels_last)
TENSORS = module_state(NETWORK)
TENSORS["to_rgb.conv.bias"] = TENSORS["to_rgb.conv.bias"].bfloat16()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "generator.safetensors"
    save_generator(path, TENSORS, GENOME, 16, 3, LINEAGE)
    return path


def test_a_generator_file_comes_back_as_it_was(path: Path) -> None:
    about, tensors = load_generator_file(path)
    assert about == read_metadata(path)
    assert (about.genome, about.resolution, about.image_channels) == (GENOME, 16, 3)
    assert about.lineage == LINEAGE
    assert about.sha256 == weights_sha256(TENSORS)
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype


def test_equal_content_gives_equal_bytes(path: Path, tmp_path: Path) -> None:
    backwards = dict(reversed(TENSORS.items()))
    save_generator(tmp_path / "again", backwards, GENOME, 16, 3, dict(reversed(LINEAGE.items())))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_files_are_read_under_a_foreign_default_device(path: Path) -> None:
    with torch.device("meta"):
        _, tensors = load_generator_file(path)
    assert all(tensor.device.type == "cpu" for tensor in tensors.values())


@pytest.mark.parametrize("name", TENSORS)
def test_the_hash_sees_names_dtypes_shapes_and_values(name: str) -> None:
    def changed(tensor: Tensor | None) -> str:
        rest = {key: value for key, value in TENSORS.items() if key != name}
        return weights_sha256(rest | ({name: tensor} if tensor is not None else {}))

    tensor = TENSORS[name]
    assert changed(tensor.contiguous()) == weights_sha256(TENSORS)
    others = [None, tensor[None], tensor.double(), tensor + 1]
    assert len({changed(tensor), *map(changed, others)}) == 5


def test_a_file_cut_anywhere_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(InvalidInput, match=r"cut short|damaged|an empty file"):
            load_generator_file(path)


def test_every_flipped_bit_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    for position in [*range(0, len(content), 13), *range(16)]:
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        with pytest.raises((InvalidInput, Incompatible)):
            load_generator_file(path)


def test_a_file_longer_than_it_says_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(InvalidInput, match="damaged"):
        load_generator_file(path)


def refuse(path: Path, kind: type[GanNasError], sentence: str) -> None:
    """Expect one sentence, at once and without reading or reserving much."""
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(kind, match=sentence) as caught:
        load_generator_file(path)
    assert time.perf_counter() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    refuse(tmp_path / "missing", InvalidInput, "not a file")
    refuse(tmp_path, InvalidInput, "is a folder|is an empty folder")


@pytest.mark.parametrize(
    "content",
    [
        b"short",
        bytes(1000),
        b"\xff" * 8 + b"{}",
        (10).to_bytes(8, "little") + b"not json at all",
        (2).to_bytes(8, "little") + b"[]",
        (1000).to_bytes(8, "little") + b"[" * 1000,
        (10_000).to_bytes(8, "little") + b'{"a":' * 2000,
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    refuse(path, InvalidInput, "cut short|not a safetensors file")


def test_a_huge_header_or_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write((3 << 30).to_bytes(8, "little"))
        file.truncate((3 << 30) + 8)
    refuse(path, InvalidInput, "were ever written")
    path.write_bytes((20 << 20).to_bytes(8, "little"))
    os.truncate(path, (20 << 20) + 8)
    refuse(path, InvalidInput, "header of 20,971,520 bytes")
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    refuse(path, InvalidInput, "larger than 4,294,967,296 bytes")


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file({"w": torch.zeros(2)}, path, metadata)
        refuse(path, InvalidInput, "without a genome")


def write_metadata(path: Path, **changes: Any) -> None:
    content = read_metadata(path).model_dump(mode="json") | changes
    path.write_bytes(pack(TENSORS, {"gan_nas": seal(content)}))


def test_another_version_is_incompatible(path: Path) -> None:
    original = path.read_bytes()
    write_metadata(path, format_version=2)
    refuse(path, Incompatible, "format version 2")
    path.write_bytes(original)
    write_metadata(path, genome=GENOME.model_dump(mode="json") | {"schema_version": 2})
    refuse(path, Incompatible, "schema version 2")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"resolution": 10**9}, "resolution = 1000000000: must be at most 1024"),
        ({"image_channels": "many"}, "image_channels = 'many': must be a whole number"),
        ({"extra": 1}, "unknown field extra"),
        ({"lineage": []}, "lineage: must be an object"),
        ({"genome": {}}, "generator is missing"),
        ({"genome": "autogan"}, "not a genome"),
        ({"genome": GENOME.model_dump(mode="json") | {"name": "a/b"}}, "name = 'a/b': must match"),
        ({"sha256": "0" * 64}, "weights do not have the hash"),
        ({"sha256": "0"}, "sha256 = '0': must match"),
    ],
)
def test_a_bad_field_is_named(path: Path, changes: dict[str, Any], sentence: str) -> None:
    write_metadata(path, **changes)
    refuse(path, InvalidInput, sentence)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingResource, match="cannot be written"):
        save_generator(tmp_path / "file" / "g", TENSORS, GENOME, 16, 3, LINEAGE)
