"""The plain side of the benchmark computes what the published implementation computed."""

import numpy as np
import pytest
import torch
from golden_adversarialnas import (
    GOLDEN,
    KEYS,
    golden_images,
    golden_latents,
    hash_fill,
    spectral_vector,
)
from plain_adversarialnas import PlainSearch, PlainSuperD, PlainSuperG, noisy_weights
from torch import Tensor, nn
from torch.nn import functional as F

NETWORKS = KEYS["cases"]["super_softmax"]


def test_the_plain_networks_have_the_published_sizes() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in PlainSuperG(160).parameters()) == 29_265_566
        assert sum(p.numel() for p in PlainSuperD(80).parameters()) == 11_049_308


def test_the_plain_supernets_equal_the_published_ones() -> None:
    """Outputs, losses and the gradients of all logits."""
    case = "super_softmax/"
    generator, discriminator = PlainSuperG(16), PlainSuperD(8)
    fill(generator, "G")
    fill(discriminator, "D")
    for ours, stored in (("alphas_normal", "betas_normal"), ("alphas_down", "betas_down")):
        assert_golden(getattr(discriminator, ours), case + stored)
    fake = generator(golden_latents(4), None)
    assert_golden(fake, case + "G_out")

    real_scores = discriminator(golden_images(4), None)
    fake_scores = discriminator(fake.detach(), None)
    d_loss = F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()
    assert_golden(real_scores, case + "D_real")
    assert_golden(fake_scores, case + "D_fake")
    assert_golden(d_loss, case + "d_loss")
    d_loss.backward()
    assert_golden(discriminator.alphas_normal.grad, case + "grad_betas_normal")
    assert_golden(discriminator.alphas_down.grad, case + "grad_betas_down")

    g_loss = -discriminator(fake, None).mean()
    assert_golden(g_loss, case + "g_loss")
    g_loss.backward()
    assert_golden(generator.alphas_normal.grad, case + "grad_alphas_normal")
    assert_golden(generator.alphas_up.grad, case + "grad_alphas_up")


@pytest.mark.parametrize("tau", [5.0, 1.0, 0.1])
def test_the_plain_noisy_weights_equal_the_published_ones(tau: float) -> None:
    case = f"gumbel_tau{tau}/"
    logits, gumbel = (torch.from_numpy(GOLDEN[case + key]) for key in ("alphas_normal", "gumbel"))
    assert_golden(noisy_weights(logits, gumbel, tau), case + "weights")


@pytest.mark.parametrize("num_iterations", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_the_plain_search_follows_the_published_one(num_iterations: int) -> None:
    """Two of ten iterations also train the generator, the first of them at once."""
    case = "search_traj_softmax/"
    search = PlainSearch(8, 8, num_critic=5, seed=0)
    fill(search.generator, "G", logit_scale=1e-3)
    fill(search.discriminator, "D", logit_scale=1e-3)
    search.average = [p.detach().clone() for p in search.generator.parameters()]
    losses = [search.iteration(golden_images(8, k=2000 + i), 6) for i in range(num_iterations)]

    def assert_close(value: Tensor | list[float], key: str) -> None:
        assert_golden(value, case + key, tolerance=1e-6)

    g_losses = [loss.generator for loss in losses if loss.generator is not None]
    assert_close([loss.discriminator for loss in losses], "d_loss")
    assert_close(g_losses, "g_loss")
    assert len(g_losses) == max(1, num_iterations // 5)
    if num_iterations < 10:
        return
    assert_close(search.generator.alphas_normal, "alphas_normal")
    assert_close(search.generator.alphas_up, "alphas_up")
    assert_close(search.discriminator.alphas_normal, "betas_normal")
    assert_close(search.discriminator.alphas_down, "betas_down")
    assert_close(search.average[0], "ema_alphas_normal")
    assert_close(search.generator.to_rgb[2].weight, "G_to_rgb_conv_weight")
    assert_close(search.discriminator.head.weight_orig, "D_l5_weight_orig")


def test_the_plain_search_draws_fresh_noise_for_every_pass() -> None:
    generator = PlainSuperG(4)
    z = torch.zeros(2, 120, device="cpu")
    assert torch.equal(generator(z, None), generator(z, None))
    assert not torch.equal(generator(z, 1.0), generator(z, 1.0))
    losses = PlainSearch(4, 4).iteration(torch.zeros(4, 3, 32, 32, device="cpu"), 2, tau=5.0)
    assert np.isfinite(losses).all()


@torch.no_grad()
def fill(network: nn.Module, role: str, logit_scale: float = 1) -> None:
    """Give a supernet the golden weights, in float64: parameters in the published order."""
    published = NETWORKS[role]
    for i, (p, (name, _)) in enumerate(
        zip(network.double().parameters(), published["params"], strict=True)
    ):
        p.copy_(hash_fill(published["k0"] + i, name, p.shape))
        if "alphas" in name:
            p.mul_(logit_scale)
    for name, buffer in network.named_buffers():
        if name.endswith(("weight_u", "weight_v")):
            buffer.copy_(spectral_vector(len(buffer)))


def assert_golden(value: Tensor | list[float], key: str, tolerance: float = 1e-9) -> None:
    expected = torch.from_numpy(GOLDEN[key])
    if isinstance(value, list):  # of the first iterations
        expected = expected[: len(value)]
    value = torch.as_tensor(value).detach().double()
    torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance * 1e-3)
