import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import hostile_files
import numpy as np
import pytest
import torch
from PIL import Image

from gan_nas.data import Preparation, load_images
from gan_nas.data.image_files import EXTENSIONS, open_image_files
from gan_nas.data.resizing import RESIZES
from gan_nas.errors import InvalidInput

RANDOM = np.random.RandomState(0)


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    pixels = RANDOM.randint(0, 256, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def fill(
    folder: Path,
    num: int = 20,
    mode: str = "RGB",
    sub_folders: tuple[str, ...] = (),
    size: tuple[int, int] = (20, 20),
) -> Path:
    for i in range(num):
        place = folder / sub_folders[i % len(sub_folders)] if sub_folders else folder
        place.mkdir(parents=True, exist_ok=True)
        picture(*size, mode).save(place / f"{i:03}.png")
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
    assert images.train.shape == (27, channels, 20, 20)
    assert images.held_out.shape == (3, channels, 20, 20)
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


@pytest.mark.parametrize(
    ("size", "side"),
    [((8, 8), 8), ((23, 23), 23), ((100, 128), 100), ((513, 514), 512)],
)
def test_images_keep_their_own_side_up_to_512(
    size: tuple[int, int], side: int, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "x", 16, size=size)
    images = load_images(str(folder))
    assert images.side == side
    if size == (side, side):
        assert images.resizing == "as they are"
        original = np.asarray(Image.open(folder / "000.png")).transpose(2, 0, 1)
        both = torch.cat([images.train, images.held_out]).numpy()
        assert any((one == original).all() for one in both)


@pytest.mark.parametrize("side", [8, 31, 64])
@pytest.mark.parametrize("by", RESIZES)
def test_images_are_brought_to_a_side_once_as_pillow_does(
    side: int, by: str, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "x", 16, "L", size=(60, 60))
    images = load_images(str(folder), side=side, preparation=Preparation.of(resize=by))
    assert images.side == side
    assert f"to {side} px by " in images.resizing
    name = "bilinear" if by == "box" and side > 60 else by
    how = Image.Resampling[name.upper()]
    expected = [np.asarray(Image.open(file).resize((side, side), how)) for file in folder.iterdir()]
    for one in torch.cat([images.train, images.held_out])[:, 0].numpy():
        assert any((one == image).all() for image in expected)


def test_a_file_of_another_size_is_named_refused_or_skipped(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", 20, size=(24, 24))
    picture(9, 9).save(folder / "odd one.png")
    (folder / "x.gif").write_bytes(b"GIF89a")
    with pytest.raises(InvalidInput, match=r"odd one\.png has 9 x 9 px while 20 other images"):
        load_images(str(folder))
    images = load_images(str(folder), preparation=Preparation.of(skip_odd=True))
    assert (images.side, len(images.train) + len(images.held_out)) == (24, 20)
    assert "2 files skipped: odd one.png, x.gif" in images.summary


def test_images_of_several_sizes_need_a_crop_and_a_side(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    for i in range(16):
        picture(30 + i, 50 - i).save(folder / f"{i}.png")
    with pytest.raises(InvalidInput, match=r"16 sizes, from .* ask for a crop"):
        load_images(str(folder))
    with pytest.raises(InvalidInput, match="name the side"):
        load_images(str(folder), preparation=Preparation.of("center"))
    images = load_images(str(folder), side=32, preparation=Preparation.of("center"))
    assert images.side == 32
    assert "16 sizes" in images.summary
    assert "centre-cropped" in images.summary
    assert "2 smaller than 32 px and enlarged" in images.summary


def test_the_centre_is_kept_or_the_whole_is_squeezed(tmp_path: Path) -> None:
    for i in range(16):
        pixels = np.zeros((8, 40, 3), np.uint8)
        pixels[:, 16:24] = 200
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    cropped = load_images(str(tmp_path))
    assert (cropped.train == 200).all()
    assert cropped.resizing == "40 x 8 px, centre-cropped"
    squeezed = load_images(str(tmp_path), preparation=Preparation.of("none", "box"))
    assert squeezed.train[0, 0, 0].tolist() == [0, 0, 0, 160, 160, 0, 0, 0]
    assert squeezed.resizing == "40 x 8 px, squeezed to a square, to 8 px by box"


def test_palettes_and_rotated_photographs_are_read(tmp_path: Path) -> None:
    for i, mode in enumerate(["P", "RGB"] * 8):
        image = picture(24, 16, "RGB")
        (image.quantize(16) if mode == "P" else image).save(tmp_path / f"{i}.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    left = np.zeros((24, 16, 3), np.uint8)
    left[:, :8] = 255
    Image.fromarray(left).save(tmp_path / "a.png", exif=turned)
    images = load_images(str(tmp_path))
    assert images.side == 16
    both = torch.cat([images.train, images.held_out])
    top = both[(both[:, :, :8] == 255).flatten(1).all(1)]
    assert len(top) == 1
    assert (top[:, :, 8:] == 0).all()


@pytest.mark.parametrize(("background", "grey"), [("white", 255), ("#203040", 0x20), ("black", 0)])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1-bit key"])
def test_what_is_transparent_shows_the_background(
    background: str, grey: int, mode: str, tmp_path: Path
) -> None:
    """Colours that hide under alpha 0 are noise; none of it may become data."""
    for i in range(16):
        noise = picture(16, 16, "RGB")
        alpha = Image.fromarray(
            np.where(np.arange(256).reshape(16, 16) % 16 < 8, 0, 255).astype("u1")
        )
        path = tmp_path / f"{i}.png"
        if mode in ("RGBA", "LA"):
            image = noise.convert(mode)
            image.putalpha(alpha)
            image.save(path)
        elif mode == "P":
            image = Image.fromarray(np.where(np.asarray(alpha) == 0, 3, 1).astype("u1"), "P")
            image.putpalette([1, 2, 3, 90, 90, 90, 7, 7, 7, 66, 77, 88])
            image.save(path, transparency=3)
        else:
            pixels = np.asarray(noise).copy()
            pixels[np.asarray(alpha) == 0] = (12, 34, 56)
            Image.fromarray(pixels).save(path, transparency=(12, 34, 56))
    images = load_images(str(tmp_path), preparation=Preparation.of(background=background))
    assert "16 transparent, laid on #" in images.summary
    hidden = images.train[..., :8]
    if mode == "LA" and background.startswith("#"):
        assert ((hidden.int() - 45).abs() <= 1).all()  # its luma
    else:
        assert (hidden[:, 0] == grey).all()


def test_sixteen_bits_become_the_nearest_of_eight(tmp_path: Path) -> None:
    deep = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    for i in range(16):
        noisy = deep + (0 if i == 0 else RANDOM.randint(-128, 129, deep.shape))
        whole = noisy.clip(0, 65535).astype(np.uint16)
        Image.fromarray(whole).save(tmp_path / f"{i}.{('png', 'tif')[i % 2]}")
    images = load_images(str(tmp_path))
    assert (torch.cat([images.train, images.held_out]) == torch.arange(256).view(16, 16)).all()


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "F", "I"])
def test_pixels_whose_colours_are_not_certain_are_refused_by_name(
    mode: str, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "x", 20, "L" if mode in ("F", "I") else "RGB")
    source = Image.open(folder / "003.png")
    if mode == "LAB":
        source = Image.frombytes("LAB", source.size, source.convert("RGB").tobytes())
    else:
        source = source.convert(mode)
    source.save(folder / "003.tif")
    with pytest.raises(InvalidInput, match=rf"003\.tif has pixels of type {mode}"):
        load_images(str(folder))


@pytest.mark.parametrize("suffix", ["webp", "png", "tif"])
def test_animations_are_refused_by_name(suffix: str, tmp_path: Path) -> None:
    folder = fill(tmp_path / "x")
    frames = [picture(20, 20) for _ in range(3)]
    frames[0].save(folder / f"moving.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidInput, match=rf"moving\.{suffix} holds several pictures"):
        load_images(str(folder))


FOREIGN = ["EPS", "GIF", "SGI", "PCX", "TGA", "ICO", "DDS", "JPEG2000"]


@pytest.mark.parametrize("kind", FOREIGN)
def test_only_the_documented_formats_are_opened_whatever_a_file_is_called(
    kind: str, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "x", mode="RGB")
    try:
        picture(20, 20).save(folder / "000.png", kind)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow writes no {kind}")
    with pytest.raises(InvalidInput, match=r"000\.png cannot be read as an image"):
        load_images(str(folder))


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


@pytest.mark.parametrize("damage", [empty, text, cut, flipped, bomb, mild_bomb])
@pytest.mark.parametrize("as_zip", [False, True], ids=["folder", "zip"])
def test_an_image_that_cannot_be_used_is_named(damage, as_zip: bool, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = fill(tmp_path / "x", 20)
    damage(folder / "011.png")
    path = zipped(folder) if as_zip else folder
    with pytest.raises(InvalidInput, match=r"011\.png") as refusal:
        load_images(str(path))
    assert "\n" not in str(refusal.value)
    if damage not in (cut, flipped):  # whose headers are whole
        images = load_images(str(path), preparation=Preparation.of(skip_odd=True))
        assert len(images.train) + len(images.held_out) == 19


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


def test_a_member_of_a_zip_without_a_name_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20):
            archive.writestr(f"{number}.png", hostile_files.png(8, 8, 0))
        archive.writestr(zipfile.ZipInfo("x"), b"")
        archive.infolist()[-1].filename = ""
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[-1] == ""
    with open_image_files(path) as files:
        assert (len(files.names), files.others) == (20, [""])
