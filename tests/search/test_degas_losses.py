"""The loss of a reconstruction: against the plain pyramid of both images, and what must hold."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan_nas.search.degas.losses import (
    laplacian_loss,
    reconstruction_loss,
    reconstruction_losses,
)
from gan_nas.streams import stream

SHAPES = [
    (3, 3, 32, 32),
    (2, 1, 8, 8),
    (2, 3, 48, 48),
    (1, 2, 28, 28),
    (2, 3, 16, 24),
    (2, 1, 5, 5),
]


def drawn(name: str, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(shape, generator=stream(0, name), device="cpu", dtype=dtype) * 2 - 1


def pyramid(images: Tensor) -> list[Tensor]:
    """Make the levels of a pyramid as the papers say it, one convolution after the other."""
    line = torch.tensor([1.0, 4, 6, 4, 1], dtype=images.dtype, device="cpu") / 16
    channels = images.shape[1]
    gaussian = torch.outer(line, line).expand(channels, 1, 5, 5)
    levels = []
    while len(levels) < 3 and all(side >= 4 and side % 2 == 0 for side in images.shape[2:]):
        padded = F.pad(images, (2, 2, 2, 2), mode="replicate")
        blurred = F.conv2d(padded, gaussian, groups=channels)
        levels.append(images - blurred)
        images = F.avg_pool2d(blurred, 2)
    return [*levels, images]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_pyramid_of_the_difference_is_the_difference_of_both_pyramids(
    shape: tuple[int, ...],
) -> None:
    x, target = drawn("x", *shape), drawn("target", *shape)
    expected = sum((a - b).abs().mean() for a, b in zip(pyramid(x), pyramid(target), strict=True))
    loss = laplacian_loss(x - target)
    assert loss.shape == ()
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    both = reconstruction_loss(x, target, l2_weight=0.5, laplacian_weight=3.0)
    expected_both = 0.5 * F.mse_loss(x, target) + 3 * expected
    torch.testing.assert_close(both, expected_both, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("side", [32, 48])
def test_means_are_the_papers_weighted_sums_over_the_number_of_entries(side: int) -> None:
    """Lap1 = sum_j 2^{2j} |L^j|_1, as DEGAS prints it."""
    difference = drawn("d", 4, 3, side, side)
    sums = [4**j * level.abs().sum((1, 2, 3)) for j, level in enumerate(pyramid(difference))]
    expected = sum(sums) / (3 * side * side)
    losses = reconstruction_losses(difference, torch.zeros_like(difference), l2_weight=0.0)
    torch.testing.assert_close(losses, expected, rtol=1e-12, atol=1e-12)


def test_a_constant_difference_is_in_the_low_pass_alone() -> None:
    difference = torch.full((2, 3, 32, 32), -0.25, dtype=torch.float64, device="cpu")
    assert float(laplacian_loss(difference)) == pytest.approx(0.25, rel=1e-12)
    zero = torch.zeros_like(difference)
    assert float(reconstruction_loss(difference, zero)) == pytest.approx(0.25**2 + 0.25)


def test_gradients_away_from_the_kinks() -> None:
    x = drawn("x", 2, 1, 8, 8).requires_grad_()
    target = drawn("target", 2, 1, 8, 8)
    assert min(level.abs().min() for level in pyramid(x.detach() - target)) > 1e-5
    loss: Callable[[Tensor], Tensor] = lambda x: reconstruction_loss(x, target)  # noqa: E731
    assert torch.autograd.gradcheck(loss, (x,), eps=1e-6)
    assert torch.autograd.gradcheck(laplacian_loss, (x,), eps=1e-7)


def test_the_loss_is_zero_where_images_are_equal_and_only_there() -> None:
    x = drawn("x", 3, 3, 16, 16, dtype=torch.float32)
    assert float(reconstruction_loss(x, x.clone())) == 0
    for place in ((0, 0, 0, 0), (2, 1, 7, 9), (1, 2, 15, 15)):
        other = x.clone()
        other[place] += 1e-3
        losses = reconstruction_losses(x, other)
        assert [i for i, loss in enumerate(losses.tolist()) if loss] == [place[0]]
    same = x.clone().requires_grad_()
    assert torch.autograd.grad(reconstruction_loss(same, x), same)[0].abs().sum() == 0


def test_the_loss_of_a_batch_is_the_mean_over_its_images() -> None:
    x, target = drawn("x", 5, 3, 16, 16), drawn("target", 5, 3, 16, 16)
    losses = reconstruction_losses(x, target)
    assert losses.shape == (5,)
    alone = [reconstruction_loss(x[i : i + 1], target[i : i + 1]) for i in range(5)]
    torch.testing.assert_close(losses, torch.stack(alone))
    torch.testing.assert_close(reconstruction_loss(x, target), losses.mean())
    flipped = reconstruction_loss(target, x)
    torch.testing.assert_close(flipped, losses.mean())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_losses_are_float32_also_under_autocast(dtype: torch.dtype) -> None:
    x, target = drawn("x", 4, 3, 32, 32).to(dtype), drawn("target", 4, 3, 32, 32).float()
    expected = reconstruction_loss(x.double(), target.double())
    with torch.autocast("cpu", torch.bfloat16):
        loss = reconstruction_loss(x, target)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)


def test_the_memory_format_does_not_matter() -> None:
    difference = drawn("d", 4, 3, 32, 32, dtype=torch.float32)
    last = difference.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(laplacian_loss(last), laplacian_loss(difference), rtol=0, atol=0)


def test_another_default_device_does_not_matter_and_the_meta_device_works() -> None:
    x, target = drawn("x", 2, 3, 20, 20), drawn("target", 2, 3, 20, 20)
    with torch.device("meta"):
        inside = reconstruction_loss(x, target)  # of a side whose matrices nobody made before
        assert reconstruction_loss(torch.empty(2, 3, 32, 32), torch.empty(2, 3, 32, 32)).is_meta
    torch.testing.assert_close(inside, reconstruction_loss(x, target), rtol=0, atol=0)


def test_a_report_in_inference_mode_does_not_spoil_training() -> None:
    x = drawn("x", 2, 1, 12, 12)
    with torch.inference_mode():
        laplacian_loss(x)  # the first of this side
    laplacian_loss(x.requires_grad_()).backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
