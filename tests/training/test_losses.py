"""The losses: values by hand, gradients, and where there is none."""

import pytest
import torch
from torch import Tensor

from gan_nas.streams import stream
from gan_nas.training.losses import (
    consistency_term,
    generator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    wasserstein_critic_loss,
)


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
    ("fake", "expected"),
    [([3.0], -3.0), ([-1.0, 4.0], -1.5), ([0.0, 0.0], 0.0), ([100.0, -100.0, 1.0], -1 / 3)],
)
def test_generator_loss_by_hand_and_its_gradient(fake: list[float], expected: float) -> None:
    """The gradient is there also where the discriminator is fooled: the paper's eq. 2 has none."""
    given = scores(*fake)
    loss = generator_loss(given)
    assert float(loss.detach()) == pytest.approx(expected)
    assert gradient(loss, given) == pytest.approx([-1 / len(fake)] * len(fake))


def test_the_discriminator_learns_nothing_beyond_the_margin() -> None:
    real, fake = scores(1.5, 0.5, 7.0, -2.0), scores(-1.5, -0.5, -7.0, 2.0)
    loss = hinge_discriminator_loss(real, fake)
    assert gradient(loss, real) == [0, -0.25, 0, -0.25]
    loss = hinge_discriminator_loss(real, fake)
    assert gradient(loss, fake) == [0, 0.25, 0, 0.25]


def normal(name: str, *size: int) -> Tensor:
    return torch.randn(*size, generator=stream(0, name), device="cpu", dtype=torch.float64)


def test_wasserstein_loss_by_hand_and_its_gradient() -> None:
    real, fake = scores(2.0, 1.0), scores(-3.0, 1.0, 5.0)
    assert float(wasserstein_critic_loss(real, fake).detach()) == pytest.approx(1.0 - 1.5)
    assert gradient(wasserstein_critic_loss(real, fake), real) == [-0.5, -0.5]
    assert torch.autograd.gradcheck(wasserstein_critic_loss, (real, fake))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_penalty_of_a_linear_critic_by_hand(share: float) -> None:
    """D(x) = w x + b has the slope w everywhere: the penalty is (||w|| - 1)^2."""
    weight = normal("weight", 3 * 4 * 4).requires_grad_()
    real, fake = normal("real", 5, 3, 4, 4), normal("fake", 5, 3, 4, 4)
    epsilon = torch.full((5, 1, 1, 1), share, dtype=torch.float64, device="cpu")
    penalty = gradient_penalty(lambda x: x.flatten(1) @ weight + 7.0, real, fake, epsilon)
    length = weight.detach().norm()
    assert float(penalty.detach()) == pytest.approx(float((length - 1) ** 2))
    (of_weight,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(of_weight, 2 * (length - 1) * weight.detach() / length)


def test_the_penalty_is_taken_between_the_images() -> None:
    """D(x) = ||x||^2 / 2 has the slope x, so that the penalty tells where it was taken."""
    real, fake = normal("real", 4, 3, 2, 2), normal("fake", 4, 3, 2, 2)
    epsilon = torch.rand(4, 1, 1, 1, generator=stream(0, "e"), device="cpu", dtype=torch.float64)
    found = gradient_penalty(lambda x: x.square().flatten(1).sum(1) / 2, real, fake, epsilon)
    between = epsilon * real + (1 - epsilon) * fake
    expected = (between.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(found.detach(), expected)


def test_first_and_second_derivatives_of_the_penalty() -> None:
    real, fake = normal("real", 3, 2, 3, 3), normal("fake", 3, 2, 3, 3)
    epsilon = torch.rand(3, 1, 1, 1, generator=stream(0, "e"), device="cpu", dtype=torch.float64)
    first = normal("first", 4, 2, 3, 3).requires_grad_()
    last = normal("last", 4 * 9).requires_grad_()

    def penalty(first: Tensor, last: Tensor) -> Tensor:
        def critic(x: Tensor) -> Tensor:
            h = torch.nn.functional.conv2d(x, first, padding=1).tanh()
            return h.flatten(1) @ last

        return gradient_penalty(critic, real, fake, epsilon)

    assert torch.autograd.gradcheck(penalty, (first, last))
    assert torch.autograd.gradgradcheck(penalty, (first, last))


def test_consistency_by_hand() -> None:
    a, b = scores(3.0, 1.0).unsqueeze(1), scores(1.0, 1.0).unsqueeze(1)
    features = normal("features", 2, 4)
    other = features + torch.tensor([[1.0], [2.0]], dtype=torch.float64, device="cpu")
    # 4 + 0.1 * 1 and 0 + 0.1 * 4
    for margin, expected in ((0.0, 4.5 / 2), (1.1, 3.0 / 2), (5.0, 0.0)):
        found = consistency_term(a, b, features, other, margin)
        assert float(found.detach()) == pytest.approx(expected)
    weighed = consistency_term(a, b, features, other, 0.0, feature_weight=1.0)
    assert float(weighed.detach()) == pytest.approx((5 + 4) / 2)


@pytest.mark.parametrize("margin", [0.0, 0.7])
def test_gradients_of_the_consistency_term(margin: float) -> None:
    given = [normal("a", 6, 1), normal("b", 6, 1), normal("c", 6, 5), normal("d", 6, 5)]
    for tensor in given:
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(lambda *x: consistency_term(*x, margin=margin), given)


def test_two_equal_judgements_cost_nothing_and_have_no_gradient() -> None:
    a, features = normal("a", 6, 1).requires_grad_(), normal("c", 6, 5)
    loss = consistency_term(a, a.detach(), features, features, 0.0)
    assert float(loss.detach()) == 0
    assert gradient(loss, a) == [[0.0]] * 6
