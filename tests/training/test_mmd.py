"""The repulsive loss: values of the published code, gradients, bounds, and when they widen."""

from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_nas.streams import stream
from gan_nas.training.mmd import (
    repulsive_discriminator_loss,
    repulsive_generator_loss,
    widened,
)

# MMD-AdversarialNAS' own loss, and Wang et al.'s (rep, rmb), in float64.
GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "losses_golden.npz", allow_pickle=False)
CASES = sorted({name.split("_")[0] for name in GOLDEN.files if name.startswith("mmd")})


def golden(name: str) -> Tensor:
    return torch.tensor(GOLDEN[name], device="cpu")


def scores(case: str) -> tuple[Tensor, Tensor]:
    return golden(f"{case}_real").requires_grad_(), golden(f"{case}_fake").requires_grad_()


def close(found: Tensor, name: str) -> None:
    torch.testing.assert_close(found.detach(), golden(name), rtol=1e-9, atol=1e-12)


def close_slopes(loss: Tensor, real: Tensor, fake: Tensor, name: str) -> None:
    of_real, of_fake = torch.autograd.grad(loss, (real, fake))
    close(of_real, f"{name}_grad_real")
    close(of_fake, f"{name}_grad_fake")


def test_there_are_golden_cases() -> None:
    assert len(CASES) == 4


@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_the_published_codes(case: str) -> None:
    real, fake = scores(case)
    if f"{case}_d_loss" in GOLDEN.files:
        bounds = float(GOLDEN[f"{case}_bu"]), float(GOLDEN[f"{case}_bl"])
        loss = repulsive_discriminator_loss(real, fake, *bounds)
        close(loss, f"{case}_d_loss")
        close_slopes(loss, real, fake, f"{case}_d")
    loss = repulsive_generator_loss(real, fake)
    close(loss, f"{case}_g_loss")
    close_slopes(loss, real, fake, f"{case}_g")


@pytest.mark.parametrize("case", [case for case in CASES if f"{case}_rep_d_loss" in GOLDEN.files])
@pytest.mark.parametrize(("kind", "bounds"), [("rep", (None, 0.0)), ("rmb", (4.0, 0.25))])
def test_other_options_are_wangs(case: str, kind: str, bounds: tuple[Any, float]) -> None:
    real, fake = scores(case)
    loss = repulsive_discriminator_loss(real, fake, *bounds)
    close(loss, f"{case}_{kind}_d_loss")
    close_slopes(loss, real, fake, f"{case}_{kind}_d")
    loss = repulsive_generator_loss(real, fake, cross_diagonal=False)
    close(loss, f"{case}_{kind}_g_loss")
    close(torch.autograd.grad(loss, fake)[0], f"{case}_{kind}_g_grad_fake")


def test_the_losses_of_two_pairs_by_hand() -> None:
    real = torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.float64, device="cpu")
    fake = torch.tensor([[0.0, 0.0], [0.0, 3.0]], dtype=torch.float64, device="cpu")
    unbounded = repulsive_discriminator_loss(real, fake, None, 0.0)
    assert float(unbounded) == pytest.approx(exp(-5 / 2) - exp(-9 / 2))
    assert float(repulsive_discriminator_loss(real, fake)) == pytest.approx(exp(-2) - exp(-9 / 2))
    near = repulsive_discriminator_loss(real, fake / 30, None)
    assert float(near) == pytest.approx(exp(-5 / 2) - exp(-0.25 / 2))
    cross = (1 + exp(-9 / 2) + exp(-5 / 2) + exp(-2 / 2)) / 4
    expected = exp(-5 / 2) + exp(-9 / 2) - 2 * cross
    assert float(repulsive_generator_loss(real, fake)) == pytest.approx(expected)


def test_pairs_beyond_the_bounds_have_no_gradient() -> None:
    real = torch.tensor([[0.0], [2.1], [-2.1]], device="cpu").requires_grad_()
    fake = torch.tensor([[0.0], [0.1], [0.2]], device="cpu").requires_grad_()
    slopes = torch.autograd.grad(repulsive_discriminator_loss(real, fake), (real, fake))
    assert not any(map(torch.any, slopes))
    slopes = torch.autograd.grad(repulsive_discriminator_loss(real, fake, None, 0.0), (real, fake))
    assert all(map(torch.any, slopes))


@pytest.mark.parametrize("num_real", [3, 5])
def test_gradients(num_real: int) -> None:
    random = stream(0, "scores")
    real, fake = (
        torch.randn(num, 4, generator=random, device="cpu", dtype=torch.float64).requires_grad_()
        for num in (num_real, 5)
    )
    assert torch.autograd.gradcheck(repulsive_generator_loss, (real, fake))
    assert torch.autograd.gradcheck(repulsive_discriminator_loss, (real, fake))


@pytest.mark.parametrize("order", [[3, 0, 2, 1]])
def test_losses_are_float32_scalars_that_ignore_the_order(order: list[int]) -> None:
    real, fake = torch.randn(2, 4, 16, generator=stream(0, "scores"), device="cpu")
    for loss in (repulsive_discriminator_loss, repulsive_generator_loss):
        value = loss(real, fake)
        assert (value.shape, value.dtype) == ((), torch.float32)
        torch.testing.assert_close(loss(real[order], fake.flip(0)), value)


def test_equal_sets_apart_from_their_order_are_nearest() -> None:
    real = torch.randn(6, 16, generator=stream(0, "scores"), device="cpu", dtype=torch.float64)
    here = repulsive_generator_loss(real, real.flip(0))
    for distance in (0.1, 1.0, 3.0):
        assert repulsive_generator_loss(real, real + distance) > here


@pytest.mark.parametrize(
    ("distances", "bound"),
    [
        ([], 4.0),
        ([9, 8, 7, 6, 5], 4.0),
        ([5, 5], 4.0),  # no lower than before, once
        ([5, 6, 7], 8.0),
        ([5, 6, 4, 5, 3], 4.0),  # never twice in a row
        ([5, 6, 7, 6], 8.0),  # it counts anew
        ([5, 6, 7, 6, 6], 16.0),
        ([1] * 7, 32.0),
        ([1] * 99, 32.0),
    ],
)
def test_the_upper_bound_doubles_after_scores_without_gain(
    distances: list[float], bound: float
) -> None:
    assert widened(4.0, distances, patience=2) == bound


def test_a_bound_beyond_the_widest_stays() -> None:
    assert widened(50.0, [1] * 9, patience=2) == 50.0
