import io
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_nas.data import load_images
from gan_nas.data.image_folder import EXTENSIONS
from gan_nas.errors import InvalidInput

RANDOM = np.random.RandomState(0)


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    pixels = RANDOM.randint(0, 256, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def fill(folder: Path, num: int = 20, mode: str = "RGB", sub_folders: tuple[str, ...] = ()) -> Path:
    for i in range(num):
        place = folder / sub_folders[i % len(sub_folders)] if sub_folders else folder
        place.mkdir(parents=True, exist_ok=True)
        picture(20 + i, 40 - i, mode).save(place / f"{i:03}.png")
    return folder


def zipped(folder: Path, inside: str = "") -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            if file.is_file():
                archive.write(file, inside + file.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1), ("1", 1), ("LA", 1)])
def test_a_folder_becomes_one_tensor(mode: str, channels: int, tmp_path: Path) -> None:
    images = load_images(str(fill(tmp_path / "x", 30, mode)))
    assert images.train.shape == (27, channels, 8, 8)  # the shortest side is 11
    assert images.held_out.shape == (3, channels, 8, 8)
    assert images.train.dtype == torch.uint8
    assert images.train_labels is None


def test_a_zip_equals_its_folder(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", 20, sub_folders=("cats", "dogs"))
    (folder / "cats" / ".hidden.png").write_bytes(b"no image")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "0.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    expected = load_images(str(folder))
    for path in (zipped(folder), zipped(folder, inside="wrapped/again/")):
        images = load_images(str(path))
        assert images.fingerprint == expected.fingerprint
        assert images.num_classes == expected.num_classes == 2
    assert not list(tmp_path.glob("wrapped"))


def test_sub_folders_are_classes_when_all_images_lie_in_them(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", 20, sub_folders=("a", "b/deep", "b/deeper", "c"))
    images = load_images(str(folder))
    assert images.num_classes == 3
    assert images.train_labels is not None
    assert images.held_out_labels is not None
    labels = torch.cat([images.train_labels, images.held_out_labels])
    assert labels.bincount().tolist() == [5, 10, 5]
    picture(20, 20).save(folder / "outside.png")
    assert load_images(str(folder)).num_classes is None


def test_one_sub_folder_is_no_class(tmp_path: Path) -> None:
    assert load_images(str(fill(tmp_path / "x", sub_folders=("only",)))).num_classes is None


@pytest.mark.parametrize("suffix", EXTENSIONS)
def test_every_extension_is_read_whatever_its_case(suffix: str, tmp_path: Path) -> None:
    for i in range(16):
        picture(16, 16, "L" if suffix == ".pgm" else "RGB").save(tmp_path / f"{i}{suffix}")
    (tmp_path / f"0{suffix}").rename(tmp_path / f"0{suffix.upper()}")
    assert len(load_images(str(tmp_path)).train) == 14


@pytest.mark.parametrize(("size", "side"), [(5, 8), (8, 8), (23, 16), (64, 64), (100, 64)])
def test_the_side_follows_the_smallest_image(size: int, side: int, tmp_path: Path) -> None:
    for i in range(16):
        picture(size, size + i).save(tmp_path / f"{i}.png")
    assert load_images(str(tmp_path)).side == side


def test_the_centre_is_kept(tmp_path: Path) -> None:
    for i in range(16):
        pixels = np.zeros((8, 40, 3), np.uint8)
        pixels[:, 16:24] = 200
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    assert (load_images(str(tmp_path)).train == 200).all()


def test_palettes_transparency_and_rotated_photographs_are_read(tmp_path: Path) -> None:
    for i, mode in enumerate(["RGBA", "P", "CMYK", "RGB"] * 4):
        image = picture(16, 24, "RGB")
        if mode == "P":
            image.quantize(16).save(tmp_path / f"{i}.png", transparency=b"\x00\x80" * 8)
        else:
            image.convert(mode).save(tmp_path / f"{i}.{'tif' if mode == 'CMYK' else 'png'}")
    turned = Image.Exif()
    turned[0x0112] = 6
    left = np.zeros((16, 16, 3), np.uint8)
    left[:, :8] = 255
    Image.fromarray(left).save(tmp_path / "a.png", exif=turned)
    images = load_images(str(tmp_path))
    both = torch.cat([images.train, images.held_out])
    top = both[(both[:, :, :8] == 255).flatten(1).all(1)]
    assert len(top) == 1
    assert (top[:, :, 8:] == 0).all()


@pytest.mark.parametrize(("odd", "rest"), [("L", "RGB"), ("RGB", "L")])
def test_a_grey_image_among_colours_is_named(odd: str, rest: str, tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", 20, rest)
    picture(20, 20, odd).save(folder / "007.png")
    kind = "grey" if odd == "L" else "colour"
    with pytest.raises(InvalidInput, match=f"007.png is {kind} while 19 other"):
        load_images(str(folder))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("I am an image")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-700])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def bomb(path: Path) -> None:
    """Write a valid header of 60,000 x 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    checksum = struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + checksum)


def mild_bomb(path: Path) -> None:
    """Write pixels over Pillow's limit for a warning, under that for an error."""
    Image.new("1", (10_000, 10_000)).save(path)


def sixteen_bits(path: Path) -> None:
    Image.fromarray(RANDOM.randint(0, 65536, (20, 20)).astype(np.uint16)).save(path)


@pytest.mark.parametrize("damage", [empty, text, cut, flipped, bomb, mild_bomb, sixteen_bits])
@pytest.mark.parametrize("as_zip", [False, True], ids=["folder", "zip"])
def test_an_image_that_cannot_be_used_is_named(damage, as_zip: bool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = fill(tmp_path / "x", 20)
    damage(folder / "011.png")
    path = zipped(folder) if as_zip else folder
    with pytest.raises(InvalidInput, match=r"011\.png") as refusal:
        load_images(str(path))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("num", [0, 15])
def test_too_few_images_are_refused_with_the_extensions(num: int, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "story.txt").write_text("once")
    folder = fill(tmp_path / "x", num)
    for path in (folder, zipped(folder)):
        with pytest.raises(InvalidInput, match=rf"holds {num} images.*\.jpeg"):
            load_images(str(path))


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK but not really")
    with pytest.raises(InvalidInput, match="neither a folder nor a readable zip"):
        load_images(str(path))


def test_a_damaged_zip_gives_images_or_a_sentence(tmp_path: Path) -> None:
    path = zipped(fill(tmp_path / "x", 16))
    whole = path.read_bytes()
    random = np.random.RandomState(0)
    num_refused = 0
    for _ in range(60):
        content = bytearray(whole)
        for at in random.randint(0, len(content), random.randint(1, 20)):
            content[at] = random.randint(256)
        path.write_bytes(content)
        try:
            load_images(str(path))
        except InvalidInput:
            num_refused += 1
    assert num_refused > 30


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    path = zipped(fill(tmp_path / "x", 16))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        content[at + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="encrypted"):
        load_images(str(path))


def test_the_split_is_always_the_same_and_folders_can_move(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", 40)
    first = load_images(str(folder))
    shutil.move(folder, tmp_path / "y")
    assert load_images(str(tmp_path / "y")).fingerprint == first.fingerprint
    assert len(first.held_out) == 4


def test_images_are_read_on_the_cpu_whatever_the_default_device(tmp_path: Path) -> None:
    with torch.device("meta"):
        images = load_images(str(fill(tmp_path / "x", sub_folders=("a", "b"))))
    assert images.train.device.type == "cpu"
    assert images.train_labels is not None
    assert images.train_labels.device.type == "cpu"


def test_a_jpeg_stays_close_to_its_pixels(tmp_path: Path) -> None:
    for i in range(16):
        buffer = io.BytesIO()
        Image.new("RGB", (16, 16), (10 * i, 100, 200)).save(buffer, "JPEG", quality=95)
        (tmp_path / f"{i:02}.jpg").write_bytes(buffer.getvalue())
    images = load_images(str(tmp_path))
    assert (images.train[:, 1].int() - 100).abs().max() <= 3
