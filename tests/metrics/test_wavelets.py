"""Frechet distance of wavelet packets: the published code's numbers, and identities."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.wavelets import each, levels_for, packet_moments, packets, wavelet_distance

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "measures_golden.npz")


def images(num: int, seed: int, channels: int = 3, side: int = 16) -> Tensor:
    random = torch.Generator(device="cpu").manual_seed(seed)
    size = (num, channels, side, side)
    return torch.randint(0, 256, size, generator=random, dtype=torch.uint8, device="cpu")


def test_the_published_numbers() -> None:
    real, fake = (packet_moments(torch.from_numpy(GOLDEN[f"fwd0_{side}"])) for side in "ab")
    assert levels_for(16) == GOLDEN["fwd0_level"]
    distances = [
        FrechetReference(theirs).distance(ours)
        for theirs, ours in zip(each(real), each(fake), strict=True)
    ]
    # Packets come in another order.
    assert sorted(distances) == pytest.approx(sorted(GOLDEN["fwd0_per_packet"]), rel=1e-6)
    assert wavelet_distance(real, fake) == pytest.approx(float(GOLDEN["fwd0_value"]), rel=1e-6)


@pytest.mark.parametrize(("side", "levels"), [(8, 2), (16, 3), (24, 3), (32, 4), (48, 4), (256, 4)])
def test_images_are_taken_apart_into_two_pixels_at_least(side: int, levels: int) -> None:
    assert levels_for(side) == levels
    with pytest.raises(InvalidInput, match="33 px is odd"):
        levels_for(33)


def test_packets_keep_the_energy_of_images() -> None:
    x = images(4, 0)
    parts = packets(x, 3)
    assert parts.shape == (64, 4, 3 * 2 * 2)
    energy = (x.double() / 255).square().sum()
    torch.testing.assert_close(parts.square().sum(), energy)
    flat = packets(torch.full((1, 1, 8, 8), 255, dtype=torch.uint8, device="cpu"), 2)
    torch.testing.assert_close(flat[0], torch.full((1, 4), 4.0, dtype=torch.float64))
    assert not flat[1:].any()


def test_moments_of_parts_merge_to_those_of_all() -> None:
    x = images(30, 1)
    whole = packet_moments(x)
    merged = packet_moments(x[:7]).merge(packet_moments(x[7:]))
    assert merged.count == whole.count
    torch.testing.assert_close(merged.mean, whole.mean)
    torch.testing.assert_close(merged.scatter, whole.scatter)


def test_equal_samples_are_at_no_distance_and_blur_is_at_some() -> None:
    x = images(60, 2, side=8)
    moments = packet_moments(x)
    assert wavelet_distance(moments, moments) == pytest.approx(0, abs=1e-9)
    blurred = x.float().mean((2, 3), keepdim=True).expand_as(x).to(torch.uint8)
    near = packet_moments(images(60, 3, side=8))
    far = wavelet_distance(moments, packet_moments(blurred))
    assert far > 3 * wavelet_distance(moments, near) > 0
    with pytest.raises(Incompatible, match="16 packets"):
        wavelet_distance(packet_moments(images(9, 0)), moments)


def test_sides_that_would_need_gibibytes_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"8 GiB for images of 150 px, which can be halved 1 "):
        packet_moments(images(1, 0, side=150))
