"""Sets that are decoded once into the cache."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_nas.data import Images, Preparation, image_folder, load_images
from gan_nas.data import image_files as files
from gan_nas.errors import Interrupted

RANDOM = np.random.RandomState(0)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAN_NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(image_folder, "STORED_FROM", 0)
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("a", "b"):
        (tmp_path / "x" / kind).mkdir(parents=True)
        for i in range(20):
            pixels = RANDOM.randint(0, 256, (24, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "x" / kind / f"{i}.png")
    return tmp_path / "x"


def same(a: Images, b: Images) -> bool:
    tensors = ("train", "held_out", "train_labels", "held_out_labels")
    facts = ("fingerprint", "summary", "classes", "resize_by", "num_classes", "preparation")
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in tensors) and all(
        getattr(a, name) == getattr(b, name) for name in facts
    )


def test_a_stored_set_equals_a_decoded_one_and_is_not_decoded_again(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_images(str(folder))
    assert len(list(cache.glob("images-*.npy"))) == 1
    with monkeypatch.context() as context:
        context.setattr(image_folder, "STORED_FROM", 1 << 40)
        context.setattr(image_folder, "load", image_folder.load)
        (plain_cache := cache.with_name("other")).mkdir()
        context.setenv("GAN_NAS_CACHE", str(plain_cache))
        plain = load_images(str(folder))
        assert not list(plain_cache.iterdir())
    assert same(first, plain)
    monkeypatch.setattr(files.Image, "open", lambda *_, **__: pytest.fail("decoded again"))
    again = load_images(str(folder))
    assert same(first, again)
    fresh = Images("x", again.train, again.held_out, again.train_labels, again.held_out_labels)
    assert fresh.fingerprint == again.fingerprint  # hashed from the mapped bytes


def test_a_changed_file_or_setting_is_another_set(folder: Path, cache: Path) -> None:
    prints = {load_images(str(folder)).fingerprint}
    prints.add(load_images(str(folder), side=16).fingerprint)
    prints.add(
        load_images(str(folder), side=16, preparation=Preparation.of(resize="box")).fingerprint
    )
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save(folder / "a" / "0.png")
    prints.add(load_images(str(folder)).fingerprint)
    (folder / "b" / "19.png").unlink()
    prints.add(load_images(str(folder)).fingerprint)
    assert len(prints) == 5
    assert len(list(cache.glob("images-*.npy"))) == 5


def test_other_images_of_equal_names_sizes_and_times_are_another_set(
    cache: Path, tmp_path: Path
) -> None:
    """As archives that were unpacked or written reproducibly are."""
    prints = set()
    for place in ("a", "b"):
        (tmp_path / place / "x").mkdir(parents=True)
        pixels = RANDOM.randint(0, 256, (20, 16, 16, 3)).astype(np.uint8)
        np.savez(tmp_path / place / "x.npz", pixels)
        with zipfile.ZipFile(tmp_path / place / "x.zip", "w") as archive:
            for i, image in enumerate(pixels):
                file = tmp_path / place / "x" / f"{i}.bmp"
                Image.fromarray(image).save(file)
                os.utime(file, (0, 0))
                archive.writestr(zipfile.ZipInfo(file.name), file.read_bytes())
        for name in ("x", "x.npz", "x.zip"):
            os.utime(tmp_path / place / name, (0, 0))
            prints.add((name, load_images(str(tmp_path / place / name)).fingerprint))
    assert len(prints) == 6


@pytest.mark.parametrize("harm", ["cut", "empty", "json", "other json", "no json"])
def test_a_damaged_set_is_made_anew(harm: str, folder: Path, cache: Path) -> None:
    first = load_images(str(folder))
    expected = first.train.clone()
    (array,), (facts,) = cache.glob("images-*.npy"), cache.glob("images-*.json")
    match harm:
        case "cut":
            array.with_suffix(".new").write_bytes(array.read_bytes()[:-1000])
            array.with_suffix(".new").replace(array)
        case "empty":
            array.unlink()
            array.touch()
        case "json":
            facts.write_text(facts.read_text()[:-40])
        case "other json":
            facts.write_text(json.dumps({"key": "another", "shape": [1, 1, 1, 1]}))
        case "no json":
            facts.unlink()
    assert torch.equal(load_images(str(folder)).train, expected)


def test_an_interruption_leaves_nothing_that_is_taken_for_whole(folder: Path, cache: Path) -> None:
    asked = iter([False] * 1 + [True] * 99)
    with pytest.raises(Interrupted):
        load_images(str(folder), stop=lambda: next(asked))
    assert not list(cache.rglob("images-*.npy"))
    assert len(load_images(str(folder)).train) == 36


def test_two_processes_may_make_the_same_set_at_once(folder: Path, cache: Path) -> None:
    code = (
        "import sys; from gan_nas.data import image_folder, load_images;"
        "image_folder.STORED_FROM = 0;"
        "print(load_images(sys.argv[1]).fingerprint)"
    )
    command = [sys.executable, "-P", "-c", code, str(folder)]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"})
        for _ in range(2)
    ]
    answers = {child.communicate(timeout=120)[0] for child in children}
    assert answers == {load_images(str(folder)).fingerprint.encode() + b"\n"}
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_named_and_done_without(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual = load_images(str(folder))
    monkeypatch.setattr(image_folder, "STORED_FROM", 0)
    (tmp_path / "file").touch()
    monkeypatch.setenv("GAN_NAS_CACHE", str(tmp_path / "file" / "cache"))
    images = load_images(str(folder))
    assert "set GAN_NAS_CACHE" in caplog.text
    assert images.fingerprint == usual.fingerprint
    assert torch.equal(images.train, usual.train)


def test_an_npz_is_loaded_as_its_images_are(cache: Path, tmp_path: Path) -> None:
    pixels = RANDOM.randint(0, 256, (600, 12, 12, 3)).astype(np.uint8)
    np.savez_compressed(tmp_path / "x.npz", pixels)
    images = load_images(str(tmp_path / "x.npz"))
    assert (len(images.train), len(images.held_out), images.side) == (540, 60, 12)
    both = torch.cat([images.train, images.held_out]).permute(0, 2, 3, 1).numpy()
    assert {one.tobytes() for one in both} == {one.tobytes() for one in pixels}
    assert load_images(str(tmp_path / "x.npz"), side=16).side == 16


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell")
def test_a_large_set_is_loaded_and_drawn_from_in_little_memory(tmp_path: Path, cache: Path) -> None:
    """Pages of the mapped file are the system's, which takes them back: only others count."""
    (tmp_path / "x").mkdir()
    buffer = io.BytesIO()
    Image.fromarray(RANDOM.randint(0, 256, (128, 128, 3)).astype(np.uint8)).save(buffer, "PNG")
    (tmp_path / "x" / "0.png").write_bytes(buffer.getvalue())
    for i in range(1, 6000):
        (tmp_path / "x" / f"{i}.png").hardlink_to(tmp_path / "x" / "0.png")
    code = """
import re, sys, threading, time
from pathlib import Path
from gan_nas.data import load_images
from gan_nas.data.batches import Batches

def own():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

before = most = own()

def watch():
    global most
    while True:
        most = max(most, own())
        time.sleep(0.01)

threading.Thread(target=watch, daemon=True).start()
images = load_images(sys.argv[1])
batches = Batches(images.train, 64, seed=0)
for step in range(200):
    batches.at(step)
print(images.train.nbytes / 2**20, most - before)
"""
    command = [sys.executable, "-P", "-c", code, str(tmp_path / "x")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    size, own = map(float, told.stdout.split())
    assert size > 250
    assert own < size / 2  # one copy of the set would be all of it
