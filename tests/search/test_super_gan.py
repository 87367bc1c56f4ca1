"""The four steps of AdversarialNAS' search against the published implementation's own numbers."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from golden_adversarialnas import (
    GOLDEN,
    KEYS,
    LATENT_DIM,
    fill_network,
    golden_images,
    hash_fill,
)
from torch import Tensor

from gan_nas.search.adversarialnas_config import Config
from gan_nas.search.relaxation import Logits, noisy_weights, tau_at
from gan_nas.search.super_gan import SuperGAN

CPU = torch.device("cpu")
PUBLISHED = {  # what the published search does, and the golden trajectory's sizes
    "width": 8,
    "discriminator_width": 8,
    "batch_size": 8,
    "generator_batch_size": 6,
    "mixture": "softmax",
    "passes": "apart",
    "first_cell_logits": 7,
}


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rows(logits: Logits, normal: Tensor, others: Tensor) -> dict[str, Tensor]:
    """Lay out published tensors (cells, 5, 7) and (cells, 2, n) as the parameters of logits."""
    found = {}
    for name, edges in logits.edges.items():
        source, first = (others, 0) if name in ("up", "down") else (normal, 0)
        picked = []
        for index, edge in edges:
            column = list(logits.cells[index].model_fields)
            place = column.index(f"edge_{edge.replace('-', '_')}")
            if len(normal) == 3:  # up-sampling edges come first
                place -= 2 if source is normal else 0
            else:  # down-sampling edges come last
                place -= 5 if source is others else 0
            picked.append(source[index, first + place])
        found[name] = torch.stack(picked)
    return found


def published(gan: SuperGAN) -> None:
    """Give both supernets and their logits the golden values."""
    for network, logits, part in (
        (gan.generator.network, gan.alpha, "G"),
        (gan.discriminator.network, gan.beta, "D"),
    ):
        case = KEYS["cases"]["super_softmax"][part]
        params = [
            (name, [8 if n == 16 and part == "G" else n for n in shape])
            for name, shape in case["params"]
        ]
        # The file lists the shapes of width 16; the linear stems and biases scale alike.
        params = [(name, _narrow(name, shape, part)) for name, shape in params]
        fill_network(network, {"k0": case["k0"], "params": params}, supernet=True)
        filled = [
            1e-3 * hash_fill(case["k0"] + k, name, shape)
            for k, (name, shape) in enumerate(params)
            if "alphas" in name
        ]
        for name, tensor in rows(logits, *filled).items():
            logits.get_parameter(name).data.copy_(tensor)


def _narrow(name: str, shape: list[int], part: str) -> list[int]:
    if part == "G" and name.startswith("l") and name[1].isdigit():
        return [shape[0] // 2, *shape[1:]]
    return shape


@pytest.mark.usefixtures("float64")
def test_ten_iterations_equal_the_published_search() -> None:
    gan = SuperGAN(Config.model_validate(PUBLISHED), 32, 3, CPU)
    published(gan)
    gan.gan._averages = [p.detach().clone() for p in gan.generator.parameters()]
    noise = np.random.RandomState(0)

    def latents(num: int) -> Tensor:
        return torch.from_numpy(noise.normal(0, 1, (num, LATENT_DIM)))

    d_losses, g_losses = [], []
    for i in range(10):
        gan.start(i)
        real = golden_images(8, k=2000 + i)
        z_weights, z_beta = latents(4), latents(4)
        gan.beta_step(real[4:], z_beta)
        d_losses.append(float(gan.discriminator_step(real[:4], z_weights)))
        z = latents(6)
        if i % 5 == 0:
            gan.alpha_step(latents(6))
            g_losses.append(float(gan.generator_step(z)))

    def golden(name: str) -> Tensor:
        return torch.from_numpy(GOLDEN[f"search_traj_softmax/{name}"])

    close = {"rtol": 1e-6, "atol": 1e-12}
    torch.testing.assert_close(torch.tensor(d_losses), golden("d_loss"), **close)
    torch.testing.assert_close(torch.tensor(g_losses), golden("g_loss"), **close)
    alphas = rows(gan.alpha, golden("alphas_normal"), golden("alphas_up"))
    betas = rows(gan.beta, golden("betas_normal"), golden("betas_down"))
    for logits, expected in ((gan.alpha, alphas), (gan.beta, betas)):
        for name, tensor in expected.items():
            torch.testing.assert_close(logits.get_parameter(name).data, tensor, **close)
    names = [name for name, _ in gan.generator.named_parameters()]
    average = gan.gan._averages[names.index("logits.normal")]
    expected = rows(gan.alpha, golden("ema_alphas_normal"), golden("alphas_up"))["normal"]
    torch.testing.assert_close(average, expected, **close)
    for parameter, name in (
        (gan.generator.network.to_rgb.conv.weight, "G_to_rgb_conv_weight"),
        (gan.discriminator.network.head.weight, "D_l5_weight_orig"),
    ):
        torch.testing.assert_close(parameter.data, golden(name), **close)


@pytest.mark.parametrize("tau", [5.0, 1.0, 0.1])
def test_noisy_weights_equal_the_published_ones(tau: float) -> None:
    case = f"gumbel_tau{tau}"
    alphas, noise, weights = (
        torch.from_numpy(GOLDEN[f"{case}/{name}"])
        for name in ("alphas_normal", "gumbel", "weights")
    )
    torch.testing.assert_close(
        noisy_weights(alphas, noise, tau, "prob"), weights, rtol=1e-9, atol=0
    )


def test_temperatures_equal_the_published_schedule() -> None:
    levels = [tau_at(level, 25, 5.0, 0.1) for level in range(25)]
    np.testing.assert_allclose(levels, GOLDEN["tau_schedule/tau"], rtol=1e-9)
