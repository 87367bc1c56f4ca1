from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_nas.runs.plots import GAP, GROUND, save_grid


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_every_image_pixel_by_pixel(tmp_path: Path, channels: int) -> None:
    random = torch.Generator(device="cpu").manual_seed(0)
    size = (5, channels, 8, 8)
    images = torch.randint(256, size, generator=random, dtype=torch.uint8, device="cpu")
    save_grid(images, tmp_path / "grid.png", columns=3, scale=2)
    with Image.open(tmp_path / "grid.png") as picture:
        sheet = np.asarray(picture).reshape(picture.height, picture.width, channels)
    assert sheet.shape == (2 * (16 + GAP) + GAP, 3 * (16 + GAP) + GAP, channels)
    for i, image in enumerate(images):
        top, left = GAP + i // 3 * (16 + GAP), GAP + i % 3 * (16 + GAP)
        shown = sheet[top : top + 16 : 2, left : left + 16 : 2]
        assert np.array_equal(shown, image.permute(1, 2, 0).numpy())
    assert (sheet[-16:, -16:] == GROUND).all()  # the place of a sixth image
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


@pytest.mark.parametrize(("side", "width"), [(16, 64), (48, 48), (96, 96)])
def test_small_images_are_blown_up(tmp_path: Path, side: int, width: int) -> None:
    images = torch.zeros(1, 3, side, side, dtype=torch.uint8, device="cpu")
    save_grid(images, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (width + 2 * GAP, width + 2 * GAP)
