"""The differentiable search on a GPU: the same steps as on a CPU, and mixed precision."""

from math import isfinite

import pytest
import torch

from gan_nas.search.adversarialnas.config import Config
from gan_nas.search.adversarialnas.super_gan import SuperGAN

SMALL = {"width": 8, "discriminator_width": 8, "batch_size": 8, "generator_batch_size": 4}


def losses(device: torch.device, **changes: object) -> list[float]:
    """Make one iteration of all four steps from the same weights, images and latents."""
    gan = SuperGAN(Config.model_validate(SMALL | changes), 16, 3, device)
    random = torch.Generator(device="cpu").manual_seed(0)
    real = torch.rand(4, 3, 16, 16, generator=random, device="cpu").to(device) * 2 - 1
    z = torch.randn(4, 120, generator=random, device="cpu").to(device)
    gan.start(0)
    steps = (
        gan.beta_step(real, z),
        gan.discriminator_step(real, z),
        gan.alpha_step(z),
        gan.generator_step(z),
    )
    return [float(loss) for loss in steps]


@pytest.mark.cuda
def test_an_iteration_is_the_same_on_a_gpu_and_a_cpu() -> None:
    cpu, gpu = (losses(torch.device(name), mixture="softmax") for name in ("cpu", "cuda"))
    assert gpu == pytest.approx(cpu, abs=1e-2)


@pytest.mark.cuda
@pytest.mark.parametrize("hard", [False, True])
def test_noise_and_bf16_run_on_a_gpu(hard: bool) -> None:
    assert all(map(isfinite, losses(torch.device("cuda"), precision="bf16", hard=hard)))


@pytest.mark.parametrize("hard", [False, True])
def test_bf16_is_near_float32(hard: bool) -> None:
    cpu = torch.device("cpu")
    exact, rounded = (losses(cpu, precision=p, hard=hard) for p in ("float32", "bf16"))
    assert rounded == pytest.approx(exact, abs=0.05)
    assert rounded != exact
