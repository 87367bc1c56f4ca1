"""Small files that promise much, mutated ones, and honest ones that are large."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fuzz
import hostile
import numpy as np
import pytest
import torch
from PIL import Image

from gan_nas.data.image_folder import load
from gan_nas.data.image_limits import MAX_SCANS, count_scans
from gan_nas.data.image_stream import open_images
from gan_nas.errors import GanNasError, InvalidInput
from gan_nas.networks.weights import load_generator

SCRIPTS = [
    (hostile.__file__, []),
    (fuzz.__file__, ["--inputs", "4000"]),
    (fuzz.__file__, ["--commands", "60"]),
]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.parametrize(("script", "options"), SCRIPTS, ids=["hostile", "inputs", "commands"])
def test_no_file_costs_much_or_ends_as_a_bug(script: str, options: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, script, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_few_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    assert fuzz.tries(30, seed=3, folder=tmp_path) == []


@pytest.mark.slow
def test_a_mutated_input_is_a_function_of_its_number() -> None:
    for parser in fuzz.parsers():
        assert fuzz.mutated(parser, 0, 5) == fuzz.mutated(parser, 0, 5)


QUICK = (
    "a genome of a mebibyte of {}",
    "metadata with a genome of {}",
    "a small file that claims a width of 2048",
    "a matrix with a header of 2 GiB",
    "an npz whose header nests",
    "a TIFF of many pictures",
)
READ: dict[str, Callable[[Path], object]] = {
    "genome": lambda path: fuzz.load_genome(str(path)),
    "sample": load_generator,
    "npz": open_images,
    "images": open_images,
}


@pytest.mark.parametrize("name", QUICK)
def test_a_small_file_that_promises_much_is_refused(name: str, tmp_path: Path) -> None:
    one = hostile.HOSTILE[name]
    one.make(tmp_path / one.name)
    with pytest.raises(GanNasError):
        READ[one.reader](tmp_path / one.name)


@pytest.mark.parametrize("scans", [1, 20, 200])
def test_the_scans_of_a_jpeg_are_counted_up_to_the_limit(scans: int) -> None:
    whole = count_scans(hostile.progressive(16, 0))
    assert count_scans(hostile.progressive(16, scans)) == min(whole + scans, MAX_SCANS + 1)


def test_what_follows_a_jpegs_picture_is_not_counted() -> None:
    data = hostile.progressive(16, 0)
    assert count_scans(data + data * 50) == count_scans(data)


# Honest files are read, however large.


@pytest.mark.slow
def test_large_honest_images_are_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4096, 4096, 4), dtype=np.uint8)
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(noise[..., :3]).save(folder / "0.bmp")
    Image.fromarray(noise).save(folder / "1.tif")
    Image.fromarray(noise[..., :3]).save(folder / "2.png", compress_level=1)
    Image.fromarray(noise[..., :3]).save(folder / "3.ppm")
    Image.fromarray(noise[..., :3]).save(folder / "4.jpg", progressive=True)
    for i in range(5, 16):
        (folder / f"{i}.jpg").hardlink_to(folder / "4.jpg")
    assert next(open_images(folder).batches(2)).shape == (1, 3, 4096, 4096)
    assert load(folder, side=32).train.shape[1:] == (3, 32, 32)


@pytest.mark.slow
def test_photographs_of_more_pixels_are_read_and_drawings_of_one_colour_are_not(
    tmp_path: Path,
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (6000, 8000, 3), dtype=np.uint8)
    folder = tmp_path / "photographs"
    folder.mkdir()
    Image.fromarray(noise).save(folder / "0.jpg", quality=50)
    for i in range(1, 16):
        (folder / f"{i}.jpg").hardlink_to(folder / "0.jpg")
    assert load(folder, side=16).train.shape[1:] == (3, 16, 16)
    (folder / "16.png").write_bytes(hostile.png(8000, 6000))
    with pytest.raises(InvalidInput, match="8000 x 6000 pixels in"):
        load(folder, side=16)


@pytest.mark.slow
def test_a_large_npz_and_a_large_generator_are_read(tmp_path: Path) -> None:
    digits = np.random.default_rng(0).integers(0, 17, (1 << 20, 8, 8, 1), dtype=np.uint8)
    np.savez_compressed(tmp_path / "digits.npz", digits)  # 64 MiB
    assert sum(map(len, open_images(tmp_path / "digits.npz").batches(10_000))) == 1 << 20
    hostile.honest_generator(tmp_path / "g.safetensors", 1100)
    assert (tmp_path / "g.safetensors").stat().st_size > 250e6
    generator = load_generator(tmp_path / "g.safetensors")
    assert generator(torch.zeros(1, generator.latent_dim)).shape == (1, 1, 16, 16)
