import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_nas.data.image_stream import ImageStream, PixelHash, open_images
from gan_nas.errors import InvalidInput


def noise(num: int = 7, side: int = 12, channels: int = 3) -> np.ndarray:
    random = np.random.default_rng(num)
    return random.integers(0, 256, (num, side, side, channels), np.uint8)


def as_folder(folder: Path, images: np.ndarray) -> Path:
    for i, pixels in enumerate(images):
        place = folder / f"{i // 3:02}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.squeeze()).save(place / f"{i:05}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def as_zip(folder: Path, images: np.ndarray) -> Path:
    return zipped(as_folder(folder, images))


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*"), reverse=True):
            archive.write(file, file.relative_to(folder).as_posix())
    return path


def as_npz(folder: Path, images: np.ndarray) -> Path:
    path = folder.with_suffix(".npz")
    np.savez(path, arr_0=images, arr_1=np.arange(len(images)))
    return path


def as_small_npz(folder: Path, images: np.ndarray) -> Path:
    path = folder.with_suffix(".npz")
    np.savez_compressed(path, what=images.transpose(0, 3, 1, 2).copy())
    return path


FORMS = [as_folder, as_zip, as_npz, as_small_npz]
Form = Callable[[Path, np.ndarray], Path]


def all_of(stream: ImageStream, batch_size: int = 100) -> torch.Tensor:
    return torch.cat(list(stream.batches(batch_size)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_form_gives_the_same_pixels_in_order(
    form: Form, channels: int, tmp_path: Path
) -> None:
    images = noise(channels=channels)
    path = form(tmp_path / "x", images)
    stream = open_images(path)
    assert (stream.name, stream.num, stream.side, stream.channels) == (str(path), 7, 12, channels)
    expected = torch.from_numpy(images).permute(0, 3, 1, 2)
    for batch_size in (1, 3, 7, 100):
        batches = list(stream.batches(batch_size))
        assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
        assert all(batch.is_contiguous() for batch in batches)
        assert torch.equal(torch.cat(batches), expected)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("1", "png"), ("LA", "png"), ("RGBA", "png"), ("P", "png"), ("RGB", "jpg")],
)
def test_pixels_are_those_that_pillow_reads(mode: str, suffix: str, tmp_path: Path) -> None:
    for i, pixels in enumerate(noise(3, 16)):
        Image.fromarray(pixels).convert(mode).save(tmp_path / f"{i}.{suffix}")
    kind = "L" if mode in ("1", "LA") else "RGB"
    read = [np.asarray(Image.open(f).convert(kind)) for f in sorted(tmp_path.iterdir())]
    expected = torch.from_numpy(np.stack(read)).reshape(3, 16, 16, -1).permute(0, 3, 1, 2)
    assert torch.equal(all_of(open_images(tmp_path)), expected)


def test_a_stream_can_be_read_again_and_left_early(tmp_path: Path) -> None:
    for form in FORMS:
        stream = open_images(form(tmp_path / form.__name__, noise()))
        first = next(iter(stream.batches(2)))
        assert torch.equal(all_of(stream)[:2], first)
        assert torch.equal(all_of(stream, 2), all_of(stream, 3))


def test_fingerprints_name_pixels_and_order_but_no_storage(tmp_path: Path) -> None:
    def fingerprint(path: Path, batch_size: int = 100) -> str:
        pixels = PixelHash()
        for batch in open_images(path).batches(batch_size):
            pixels.update(batch)
        return pixels.fingerprint

    images = noise()
    folder = as_folder(tmp_path / "x", images)
    expected = fingerprint(folder)
    assert expected == fingerprint(folder, 2) == fingerprint(as_zip(tmp_path / "x", images))
    assert expected == fingerprint(as_npz(tmp_path / "x", images))
    changed = images.copy()
    changed[3, 0, 0, 0] ^= 1
    for other in (changed, images[:-1], images[::-1]):
        assert fingerprint(as_npz(tmp_path / "y", other)) != expected


@pytest.mark.parametrize("form", [as_folder, as_zip])
def test_the_first_image_that_differs_is_named(form: Form, tmp_path: Path) -> None:
    odd = {
        "larger": (Image.new("RGB", (13, 13)), "13 x 13"),
        "oblong": (Image.new("RGB", (12, 11)), "12 x 11"),
        "grey": (Image.new("L", (12, 12)), "is grey of 12 x 12"),
    }
    for name, (image, said) in odd.items():
        folder = tmp_path / name
        as_folder(folder, noise())
        image.save(folder / "01" / "00004.png")
        image.save(folder / "02" / "00006.png")
        if form is as_zip:
            folder = zipped(folder)
        with pytest.raises(InvalidInput, match=rf"01/00004\.png.*{said}.*00000\.png"):
            open_images(folder)


def test_images_that_are_all_oblong_are_refused(tmp_path: Path) -> None:
    for i in range(3):
        Image.new("L", (8, 9)).save(tmp_path / f"{i}.png")
    with pytest.raises(InvalidInput, match=r"0\.png is grey of 8 x 9 pixels"):
        open_images(tmp_path)


def test_an_image_without_a_header_is_named_at_once_and_a_cut_one_when_read(
    tmp_path: Path,
) -> None:
    path = as_folder(tmp_path / "x", noise())
    file = path / "01" / "00004.png"
    whole = file.read_bytes()
    file.write_bytes(b"no image")
    with pytest.raises(InvalidInput, match=r"00004\.png cannot be read"):
        open_images(path)
    file.write_bytes(whole[:-100])
    stream = open_images(path)
    with pytest.raises(InvalidInput, match=r"00004\.png cannot be read"):
        all_of(stream)
    file.unlink()
    with pytest.raises(InvalidInput, match=r"00004\.png cannot be read"):
        all_of(stream)
    Image.new("RGB", (24, 24)).save(file)
    with pytest.raises(InvalidInput, match=r"00004\.png is colour of 24 x 24"):
        all_of(stream)


def test_no_images_are_refused_with_the_extensions(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "notes.txt").write_text("no image")
    for path in (tmp_path / "x", zipped(tmp_path / "x")):
        with pytest.raises(InvalidInput, match=r"holds no images.*\.png"):
            open_images(path)
    with pytest.raises(InvalidInput, match="does not exist"):
        open_images(tmp_path / "y")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    for name, said in (("x.zip", "readable zip"), ("x.png", "readable zip"), ("x.npz", "npz")):
        (tmp_path / name).write_bytes(b"PK but not really")
        with pytest.raises(InvalidInput, match=said):
            open_images(tmp_path / name)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"arr_0": noise().astype(np.float32)}, "float32"),
        ({"arr_0": np.array([{"a": 1}, None], dtype=object)}, "object"),
        ({"arr_0": noise()[:, :, :-1]}, r"\(7, 12, 11, 3\)"),
        ({"arr_0": noise(channels=2)}, r"\(7, 12, 12, 2\)"),
        ({"arr_0": noise()[0]}, r"\(12, 12, 3\)"),
        ({"arr_0": noise()[:0]}, r"\(0, 12, 12, 3\)"),
        ({"arr_0": np.asfortranarray(noise())}, "Fortran"),
        ({"arr_0": noise(), "images": noise()}, "must hold one array"),
        ({"a": noise(), "b": noise()}, "must hold one array"),
        ({}, "must hold one array"),
    ],
)
def test_an_npz_of_something_else_is_refused(
    arrays: dict[str, np.ndarray], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **arrays)
    with pytest.raises(InvalidInput, match=rf"x\.npz.*{said}"):
        open_images(path)


def test_an_npz_whose_header_claims_more_than_there_is_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("arr_0.npy", "w") as member:
        claim = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 4096, 4096, 3)}
        np.lib.format.write_array_header_1_0(member, claim)
        member.write(bytes(100))
    with pytest.raises(InvalidInput, match="cut off or too long"):
        open_images(path)


@pytest.mark.parametrize("form", [as_npz, as_small_npz, as_zip])
def test_a_damaged_archive_gives_a_sentence_or_the_right_pixels(form: Form, tmp_path: Path) -> None:
    images = noise()
    path = form(tmp_path / "x", images)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    expected = torch.from_numpy(images).permute(0, 3, 1, 2)
    for cut in random.integers(0, len(whole), 10):
        path.write_bytes(whole[:cut])
        with pytest.raises(InvalidInput, match=path.name):
            open_images(path)
    refusals = []
    for _ in range(60):
        content = bytearray(whole)
        content[random.integers(len(content))] ^= 1 << random.integers(8)
        path.write_bytes(content)
        try:
            read = all_of(open_images(path))
        except InvalidInput as error:
            refusals.append(str(error))
        else:
            assert len(read) < len(images) or torch.equal(read, expected)
    assert len(refusals) > 30
    assert all(path.name in said and "\n" not in said for said in refusals)


@pytest.mark.parametrize("form", FORMS)
def test_memory_does_not_grow_with_the_number_of_images(form: Form, tmp_path: Path) -> None:
    def peak(path: Path, num: int) -> int:
        tracemalloc.start()
        try:
            assert sum(len(batch) for batch in open_images(path).batches(50)) == num
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    blank = np.zeros((900, 112, 112, 3), np.uint8)
    few = peak(form(tmp_path / "few", blank[:100]), 100)
    many = peak(form(tmp_path / "many", blank), 900)
    # 800 images more are 30 MB of pixels. Their names, a zip's index and Python's table of
    # interned strings, which pathlib fills, take up to 10 MB.
    assert many - few < 20_000_000


@pytest.mark.parametrize("form", FORMS)
def test_images_are_read_on_the_cpu_whatever_the_default_device(form: Form, tmp_path: Path) -> None:
    with torch.device("meta"):
        assert all_of(open_images(form(tmp_path / "x", noise()))).device.type == "cpu"
