"""The losses: values by hand, gradients, and where there is none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan_nas.streams import stream
from gan_nas.training.losses import (
    consistency_term,
    generator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    relativistic_average_hinge_loss,
    relativistic_pairing_loss,
    squared_slopes,
    wasserstein_critic_loss,
)

# R3GAN's own losses for small critics, in float64.
GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "losses_golden.npz", allow_pickle=False)
CRITICS = ["r3gan0_linear", "r3gan1_tanh", "r3gan2_leaky"]


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


def golden(name: str) -> Tensor:
    return torch.tensor(GOLDEN[name], device="cpu")


def critic_of(case: str) -> tuple[Callable[[Tensor], Tensor], dict[str, Tensor]]:
    """Return a golden critic and its weights."""
    names = ("w", "b") if case.endswith("linear") else ("w1", "b1", "w2", "b2")
    weights = {name: golden(f"{case}_{name}").requires_grad_() for name in names}
    activation = torch.tanh if case.endswith("tanh") else lambda x: F.leaky_relu(x, 0.2)

    def critic(images: Tensor) -> Tensor:
        x = images.flatten(1)
        if len(weights) == 2:
            return x @ weights["w"] + weights["b"]
        h = activation(x @ weights["w1"].t() + weights["b1"])
        return (h @ weights["w2"].t() + weights["b2"]).squeeze(1)

    return critic, weights


@pytest.mark.parametrize("case", CRITICS)
def test_relativistic_pairs_and_their_penalties_are_the_published_codes(case: str) -> None:
    critic, weights = critic_of(case)
    real, fake = (golden(f"{case}_{name}").requires_grad_() for name in ("real", "fake"))
    of_real, of_fake = critic(real), critic(fake)
    loss = relativistic_pairing_loss(of_real, of_fake)
    for scores_of, images, name in ((of_real, real, "r1"), (of_fake, fake, "r2")):
        slopes = squared_slopes(scores_of, images)
        torch.testing.assert_close(slopes, golden(f"{case}_{name}"), rtol=1e-9, atol=1e-12)
        loss = loss + float(GOLDEN[f"{case}_gamma"]) / 2 * slopes.mean()
    torch.testing.assert_close(loss, golden(f"{case}_d_loss"), rtol=1e-9, atol=1e-12)
    found = torch.autograd.grad(loss, list(weights.values()), retain_graph=True)
    for name, slope in zip(weights, found, strict=True):
        expected = golden(f"{case}_d_grad_{name}")
        torch.testing.assert_close(slope, expected, rtol=1e-9, atol=1e-12)
    loss = relativistic_pairing_loss(of_fake, of_real.detach())
    torch.testing.assert_close(loss, golden(f"{case}_g_loss"), rtol=1e-9, atol=1e-12)
    (slope,) = torch.autograd.grad(loss, fake)
    torch.testing.assert_close(slope, golden(f"{case}_g_grad_fake"), rtol=1e-9, atol=1e-12)


def test_relativistic_pairs_are_in_order() -> None:
    ahead, behind = scores(1.0, -2.0), scores(3.0, 0.5)
    expected = (np.log1p(np.exp(2.0)) + np.log1p(np.exp(2.5))) / 2
    assert float(relativistic_pairing_loss(ahead, behind).detach()) == pytest.approx(expected)
    assert torch.autograd.gradcheck(relativistic_pairing_loss, (ahead, behind))


def test_relativistic_average_hinge_by_hand() -> None:
    ahead, behind = scores(2.0, 0.0, -2.0), scores(0.5, -0.5)
    # the averages are 0: max(0, 1 - 2), 1, 3 and 1.5, 0.5
    assert float(relativistic_average_hinge_loss(ahead, behind).detach()) == pytest.approx(
        4 / 3 + 1.0
    )
    assert torch.autograd.gradcheck(relativistic_average_hinge_loss, (ahead, behind))


@pytest.mark.parametrize("loss", [relativistic_average_hinge_loss, relativistic_pairing_loss])
def test_only_the_distance_matters_to_a_relativistic_loss(
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """All scores raised by as much cost the same, and nobody is ahead of himself."""
    ahead, behind = normal("ahead", 6), normal("behind", 6)
    torch.testing.assert_close(loss(ahead + 100, behind + 100), loss(ahead, behind))
    assert float(loss(ahead + 1, behind)) < float(loss(ahead, behind))


def test_squared_slopes_by_hand_and_their_derivatives() -> None:
    """D(x) = ||x||^2 / 2 has the slope x."""
    images = normal("images", 4, 3, 2, 2).requires_grad_()
    slopes = squared_slopes(images.square().flatten(1).sum(1) / 2, images)
    torch.testing.assert_close(slopes, images.square().sum((1, 2, 3)))

    def penalty(images: Tensor) -> Tensor:
        return squared_slopes(images.tanh().flatten(1).prod(1), images)

    assert torch.autograd.gradcheck(penalty, (images,))
