"""The hinge loss: values by hand, gradients, and where there is none."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gan_nas.losses import hinge_discriminator_loss, hinge_generator_loss
from gan_nas.streams import stream


def scores(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device="cpu", requires_grad=True)


def gradient(loss: Tensor, of: Tensor) -> list[float]:
    return torch.autograd.grad(loss, of, allow_unused=True)[0].tolist()


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        ([2.0], [-2.0], 0.0),  # both beyond the margin
        ([1.0], [-1.0], 0.0),  # on it
        ([0.0], [0.0], 2.0),
        ([-3.0], [4.0], 4.0 + 5.0),
        ([2.0, 0.5, -1.0], [-2.0, -0.5, 1.0], 2.5 / 3 + 2.5 / 3),
        ([0.5], [-3.0, 0.0, 1.0, 3.0], 0.5 + 7 / 4),  # batches of different sizes
    ],
)
def test_discriminator_loss_by_hand(real: list[float], fake: list[float], expected: float) -> None:
    assert float(hinge_discriminator_loss(scores(*real), scores(*fake)).detach()) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    ("fake", "expected"), [([3.0], -3.0), ([-1.0, 4.0], -1.5), ([0.0, 0.0], 0.0)]
)
def test_generator_loss_by_hand(fake: list[float], expected: float) -> None:
    assert float(hinge_generator_loss(scores(*fake)).detach()) == pytest.approx(expected)


def test_gradients_away_from_the_kinks() -> None:
    real = torch.randn(9, 1, generator=stream(0, "real"), device="cpu", dtype=torch.float64)
    fake = torch.randn(6, 1, generator=stream(0, "fake"), device="cpu", dtype=torch.float64)
    assert (real - 1).abs().min() > 1e-3
    assert (fake + 1).abs().min() > 1e-3
    real.requires_grad_()
    fake.requires_grad_()
    assert torch.autograd.gradcheck(hinge_discriminator_loss, (real, fake))
    assert torch.autograd.gradcheck(hinge_generator_loss, (fake,))


def test_the_discriminator_learns_nothing_beyond_the_margin() -> None:
    real, fake = scores(1.5, 0.5, 7.0, -2.0), scores(-1.5, -0.5, -7.0, 2.0)
    loss = hinge_discriminator_loss(real, fake)
    assert gradient(loss, real) == [0, -0.25, 0, -0.25]
    loss = hinge_discriminator_loss(real, fake)
    assert gradient(loss, fake) == [0, 0.25, 0, 0.25]


@pytest.mark.parametrize("level", [-100.0, -1.0, 0.0, 1.0, 100.0])
def test_the_generators_gradient_is_the_same_everywhere(level: float) -> None:
    """Also where the discriminator is fooled: the paper's eq. 2 has no gradient there."""
    fake = scores(level, level + 1, level - 1, 2 * level)
    assert gradient(hinge_generator_loss(fake), fake) == [-0.25] * 4


@pytest.mark.parametrize(
    "loss", [lambda s: hinge_discriminator_loss(s, s), hinge_generator_loss], ids=["d", "g"]
)
def test_losses_are_float32_scalars_that_ignore_the_order(loss: Callable[[Tensor], Tensor]) -> None:
    batch = torch.randn(8, 1, generator=stream(0, "scores"), device="cpu")
    value = loss(batch)
    assert value.shape == ()
    assert value.dtype == torch.float32
    torch.testing.assert_close(loss(batch.flip(0)), value)
    torch.testing.assert_close(loss(batch.flatten()), value)
