from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_nas import data
from gan_nas.data import DATA_SETS, Images, cache_dir, data_root, load_images, resize, resizing
from gan_nas.data.resizing import RESIZES, Resize, check_resize, in_effect
from gan_nas.errors import InvalidInput


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator, device="cpu")


def test_every_file_of_the_folder_that_is_a_data_set_is_listed() -> None:
    folder = Path(data.__file__).parent
    sets = {
        path.stem for path in folder.glob("*.py") if "\ndef load(root: Path)" in path.read_text()
    }
    assert sets == set(DATA_SETS)


@pytest.mark.parametrize("side", [1, 2, 3, 4, 6, 8, 12, 16, 24, 31])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("by", RESIZES)
def test_resized_images_keep_type_range_and_constants(side: int, channels: int, by: Resize) -> None:
    resized = resize(noise(5, channels, 12, 12), side, by)
    assert resized.shape == (5, channels, side, side)
    assert resized.dtype == torch.uint8
    for value in (0, 7, 255):
        flat = torch.full((2, channels, 12, 12), value, dtype=torch.uint8)
        assert (resize(flat, side, by) == value).all()


@pytest.mark.parametrize("by", RESIZES)
@pytest.mark.parametrize("old", [8, 9, 28, 32, 96, 300])
@pytest.mark.parametrize("new", [4, 13, 16, 48, 200])
def test_every_filter_is_pillows_to_a_grey_level(by: Resize, old: int, new: int) -> None:
    image = noise(1, 1, old, old)
    how = Image.Resampling[in_effect(by, old, new).upper()]
    pillow = np.array(Image.fromarray(image[0, 0].numpy()).resize((new, new), how))
    difference = resize(image, new, by)[0, 0].int() - torch.from_numpy(pillow).int()
    assert difference.abs().max() <= 1


def test_box_shrinks_to_the_mean_of_each_block_and_enlarges_as_bilinear() -> None:
    images = noise(4, 3, 12, 12)
    means = images.double().reshape(4, 3, 4, 3, 4, 3).mean((3, 5))
    assert torch.equal(resize(images, 4, "box"), means.round().to(torch.uint8))
    assert torch.equal(resize(images, 24, "box"), resize(images, 24, "bilinear"))


def test_an_unknown_filter_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="did you mean bicubic"):
        check_resize("bicubik")


@pytest.mark.parametrize("by", RESIZES)
def test_resizing_in_chunks_changes_nothing(by: Resize, monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(7, 1, 8, 8)
    whole = resize(images, 20, by)
    monkeypatch.setattr(resizing, "CHUNK_VALUES", 1000)
    assert torch.equal(resize(images, 20, by), whole)


def test_the_fingerprint_tells_pixels_labels_and_split_apart_and_survives_moves() -> None:
    pixels, labels = noise(6, 1, 8, 8), torch.arange(6)
    images = Images("a", pixels[:4], pixels[4:], labels[:4], labels[4:], 6)
    others = [
        Images("a", pixels[:3], pixels[3:], labels[:3], labels[3:], 6),
        Images("a", pixels[:4], pixels[4:]),
        Images("a", pixels[:4] ^ 1, pixels[4:], labels[:4], labels[4:], 6),
        Images("a", pixels[:4], pixels[4:], labels[:4] + 1, labels[4:], 7),
    ]
    prints = {one.fingerprint for one in (images, *others)}
    assert len(prints) == 5
    assert all(len(one) == 16 for one in prints)
    assert Images("b", pixels[:4], pixels[4:], labels[:4], labels[4:]).fingerprint in prints
    assert images.to("meta").fingerprint == images.at(16).fingerprint == images.fingerprint


def test_images_at_another_side_keep_everything_else() -> None:
    images = Images("a", noise(4, 3, 8, 8), noise(2, 3, 8, 8, seed=1), torch.arange(4), None, 4)
    large = images.at(16)
    assert (images.side, large.side, large.channels) == (8, 16, 3)
    assert torch.equal(large.held_out, resize(images.held_out, 16, "bilinear"))
    assert large.train_labels is images.train_labels
    assert images.at(8) is images


@pytest.mark.parametrize("name", ["digit", "no/such/folder", "CIFAR10", ""])
def test_an_unknown_name_is_refused_with_what_is_allowed(name: str, tmp_path: Path) -> None:
    if not name:
        name = str(tmp_path / "gone.zip")
    with pytest.raises(InvalidInput, match="digits, cifar10, stl10") as refusal:
        load_images(name, tmp_path)
    assert ("did you mean digits?" in str(refusal.value)) == (name == "digit")


def test_folders_come_from_the_environment_or_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GAN_NAS_CACHE", "GAN_NAS_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    assert cache_dir() == Path.home() / ".cache/gan-nas"
    assert data_root() == Path.home() / ".cache/gan-nas/data"
    monkeypatch.setenv("GAN_NAS_CACHE", "/somewhere")
    assert (cache_dir(), data_root()) == (Path("/somewhere"), Path("/somewhere/data"))
    monkeypatch.setenv("GAN_NAS_DATA_ROOT", "~/sets")
    assert data_root() == Path.home() / "sets"


@pytest.mark.parametrize(("side", "resolution"), [(8, 8), (9, 16), (32, 32), (33, 40)])
def test_images_are_trained_at_a_side_that_three_cells_make(side: int, resolution: int) -> None:
    assert load_images("digits").default_resolution == 16
    assert Images("own", noise(1, 3, side, side), noise(1, 3, side, side)).default_resolution == (
        resolution
    )
