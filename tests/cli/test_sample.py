from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Command
from PIL import Image

from gan_nas.data.image_stream import open_images
from gan_nas.networks.weights import load_generator
from gan_nas.scoring.generating import generate


def pixels(path: Path) -> np.ndarray:
    """Read a PNG, or the images of a folder or an npz (N, C, S, S), as integers."""
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return np.asarray(picture, int)
    return np.concatenate([batch.numpy() for batch in open_images(path).batches()]).astype(int)


def test_sample_draws_the_same_grid_for_a_seed(
    gan_nas: Command, trained: Path, tmp_path: Path
) -> None:
    pictures = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}.png"
        answer = gan_nas("sample", trained, "-n", 6, "--columns", 3, "--seed", seed, "-o", path)
        assert answer.out == f"{path}\n"
        with Image.open(path) as picture:
            assert picture.size == (3 * (64 + 2) + 2, 2 * (64 + 2) + 2)
            pictures.append(picture.tobytes())
    assert pictures[0] == pictures[1] != pictures[2]
    assert gan_nas("sample", trained, "-n", 2, "--json").json["file"] == str(
        trained.with_suffix(".png")
    )


def test_the_image_of_a_seed_is_the_same_whatever_others_there_are(
    gan_nas: Command, trained: Path, tmp_path: Path
) -> None:
    folder, array, picture = tmp_path / "new" / "images", tmp_path / "x.npz", tmp_path / "x.png"
    answer = gan_nas("sample", trained, "--seeds", "0-11,500", "-o", folder, "--json")
    assert answer.json == {"file": str(folder), "num": 13, "seeds": "0-11,500"}
    names = sorted(path.name for path in folder.iterdir())
    assert names == [*(f"seed{seed:04}.png" for seed in range(12)), "seed0500.png"]
    assert gan_nas("sample", trained, "--seeds", "500,3", "-o", array).out == f"{array}\n"
    with np.load(array) as arrays:
        assert (arrays["arr_0"].shape, arrays["arr_0"].dtype) == ((2, 16, 16, 1), np.uint8)
    both = np.stack([pixels(folder / name) for name in ("seed0500.png", "seed0003.png")])
    assert abs(pixels(array)[:, 0] - both).max() <= 1
    assert gan_nas("sample", trained, "--seed", 3, "-n", 1, "-o", picture).code == 0
    assert abs(pixels(picture)[2:-2:4, 2:-2:4] - both[1]).max() <= 1
    before = array.read_bytes()
    assert gan_nas("sample", trained, "--seeds", "500,3", "-o", array).code == 0
    assert array.read_bytes() == before


def test_single_images_are_those_that_are_scored(
    gan_nas: Command, trained: Path, tmp_path: Path
) -> None:
    folder, array = tmp_path / "images", tmp_path / "x.npz"
    options = ("-n", 30, "--seed", 1, "--device", "cpu")
    assert gan_nas("sample", trained, *options, "-o", folder).code == 0
    assert gan_nas("sample", trained, *options, "-o", array).code == 0
    assert np.array_equal(pixels(folder), pixels(array))
    batches = generate(load_generator(trained), 30, 128, 1, "cpu")
    assert np.array_equal(pixels(array), torch.cat(list(batches)).numpy())


def test_a_strip_leads_from_seed_to_seed(gan_nas: Command, trained: Path, tmp_path: Path) -> None:
    strip, folder = tmp_path / "strip.png", tmp_path / "frames"
    options = ("--seeds", "3,7,1", "--interpolate", 5)
    assert gan_nas("sample", trained, *options, "-o", strip).code == 0
    assert pixels(strip).shape == (2 * 66 + 2, 5 * 66 + 2)
    assert gan_nas("sample", trained, *options, "-o", folder).code == 0
    frames, ends = pixels(folder), tmp_path / "ends.npz"
    assert gan_nas("sample", trained, "--seeds", "3,7,1", "-o", ends).code == 0
    assert abs(frames[[0, 4, 9]] - pixels(ends)).max() <= 1
    assert abs(frames[4] - frames[5]).max() <= 1
    assert sorted(path.name for path in folder.iterdir())[-1] == "0009.png"


def test_truncated_images_vary_less(gan_nas: Command, trained: Path, tmp_path: Path) -> None:
    spread = []
    for truncation in ((), ("--truncation", 0.1)):
        path = tmp_path / "x.npz"
        assert gan_nas("sample", trained, "-n", 20, *truncation, "-o", path).code == 0
        spread.append(pixels(path).std(0).mean())
    assert spread[1] < spread[0] / 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-o", "grid.jpg"), "ends in .jpg"),
        (("--seeds", "3-1"), "are no seeds"),
        (("--seeds", "1", "-n", 3), "leave out -n and --seed"),
        (("--seeds", "1", "--seed", 3), "leave out -n and --seed"),
        (("--interpolate", 3), "name two or more by --seeds"),
        (("--interpolate", 3, "--seeds", 1), "needs two seeds or more"),
        (("-n", 4097), "4,097 images are too many for one picture"),
        (("--truncation", 0), "--truncation"),
    ],
)
def test_what_cannot_be_sampled_is_said(
    gan_nas: Command, trained: Path, options: tuple[str | int, ...], said: str
) -> None:
    answer = gan_nas("sample", trained, *map(str, options))
    assert answer.code == 2
    assert said in answer.err


def test_images_are_not_mixed_with_others(gan_nas: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.png").touch()
    answer = gan_nas("sample", trained, "-n", 3, "-o", tmp_path)
    assert answer.code == 2
    assert f"{tmp_path} holds other files" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


def test_the_same_images_are_written_once_more(
    gan_nas: Command, trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    assert gan_nas("sample", trained, "-n", 3, "-o", folder).code == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "0001.png").unlink()
    (folder / "0002.png").write_bytes(b"another")
    assert gan_nas("sample", trained, "-n", 3, "-o", folder).code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(tmp_path.iterdir()) == [folder]
    assert gan_nas("sample", trained, "-n", 2, "-o", folder).code == 2


@pytest.mark.slow
def test_images_of_two_channels_are_no_picture(gan_nas: Command, tmp_path: Path) -> None:
    path, array = tmp_path / "g.safetensors", tmp_path / "x.npz"
    assert gan_nas("build", "sngan-cifar10", "--width", 2, "--channels", 2, "-o", path).code == 0
    answer = gan_nas("sample", path)
    assert answer.code == 2
    assert "images of 2 channels are no pictures" in answer.err
    assert gan_nas("sample", path, "-n", 3, "-o", array).code == 0
    with np.load(array) as arrays:
        assert arrays["arr_0"].shape == (3, 32, 32, 2)


def test_sample_refuses_other_files(gan_nas: Command, trained: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(trained.read_bytes()[:-100])
    answer = gan_nas("sample", cut)
    assert answer.code == 2
    assert "damaged" in answer.err
    assert gan_nas("sample", tmp_path / "absent.safetensors").code == 2
