"""Pillow itself is the oracle: its mode F, image by image and channel by channel."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gan_nas.metrics.pillow import SUPPORT, PillowFilter, resize_pillow, taps

FILTERS: dict[PillowFilter, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def noise(*shape: int) -> Tensor:
    random = torch.Generator(device="cpu").manual_seed(sum(shape))
    return torch.randint(256, shape, generator=random, dtype=torch.uint8, device="cpu")


def by_pillow(images: Tensor, side: int, kind: PillowFilter) -> Tensor:
    channels = [
        np.asarray(Image.fromarray(x.float().numpy()).resize((side, side), FILTERS[kind]))
        for x in images.flatten(0, 1)
    ]
    return torch.from_numpy(np.stack(channels)).view(*images.shape[:2], side, side)


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize(
    "size",
    [
        *((side, side) for side in (1, 2, 8, 28, 32, 48, 64, 100, 256, 298, 299, 300, 511, 600)),
        *((32, 48), (299, 64), (300, 299)),
    ],
    ids=str,
)
def test_every_value_is_pillows(kind: PillowFilter, size: tuple[int, int]) -> None:
    images = noise(2, 3, *size)
    assert torch.equal(resize_pillow(images, 299, kind), by_pillow(images, 299, kind))


@pytest.mark.parametrize("kind", SUPPORT)
@pytest.mark.parametrize(("size", "side"), [(1, 9), (7, 3), (3, 7), (512, 16)])
def test_a_flat_image_stays_flat(kind: PillowFilter, size: int, side: int) -> None:
    places, weights = taps(size, side, kind)
    assert torch.allclose(weights.sum(1), torch.ones(side, dtype=torch.float64, device="cpu"))
    assert 0 <= int(places.min()) <= int(places.max()) < size


def test_images_do_not_depend_on_their_batch_nor_on_the_default_device() -> None:
    images = noise(5, 3, 32, 32)
    with torch.device("meta"):
        whole = resize_pillow(images, 299, "bicubic")
    parts = torch.cat([resize_pillow(part, 299, "bicubic") for part in torch.split(images, 2)])
    assert torch.equal(parts, whole)
