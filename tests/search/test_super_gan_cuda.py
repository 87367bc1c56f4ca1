"""The differentiable search on a GPU: the same steps as on a CPU, and mixed precision."""

from math import isfinite

import pytest
import torch

from gan_nas.machine.repeatable import fix_workspaces, repeatable
from gan_nas.networks.states import load_groups, read_groups
from gan_nas.search.adversarialnas.config import Config
from gan_nas.search.adversarialnas.super_gan import SuperGAN
from gan_nas.streams import stream

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


def searched(
    changes: dict[str, object], num: int = 8, begun: SuperGAN | None = None
) -> tuple[SuperGAN, list[float]]:
    """Return supernets after some iterations on a GPU, and their losses; they go on from others."""
    fix_workspaces()
    device = torch.device("cuda")
    settings = SMALL | {"num_critic": 1, "architecture_start": 0.0, "iterations": 20} | changes
    gan = SuperGAN(Config.model_validate(settings), 16, 3, device)
    first = 0
    if begun is not None:
        load_groups(gan.saved(), read_groups(begun.saved()))
        first = gan.gan.generator_steps = begun.gan.generator_steps
    random = torch.Generator(device="cpu").manual_seed(0)
    real = torch.rand(8, 3, 16, 16, generator=random, device="cpu").to(device) * 2 - 1
    found = []
    with repeatable(device):
        for step in range(first, num):

            def latents(purpose: str, num: int, step: int = step) -> torch.Tensor:
                random = stream(0, purpose, step, device=device)
                return torch.randn(num, 120, generator=random, device=device)

            found += [float(loss) for loss in gan.iteration(step, real, latents).values()]
    return gan, found


CHANGES: dict[str, dict[str, object]] = {
    "gumbel": {},
    "softmax": {"mixture": "softmax"},
    "log-probabilities": {"noise_on": "logprob"},
    "apart": {"passes": "apart"},
    "against all": {"discriminator": "super"},
    "bf16": {"precision": "bf16"},
    "alpha begins later": {"architecture_start": 0.2},
}


@pytest.mark.cuda
@pytest.mark.parametrize("changes", CHANGES.values(), ids=list(CHANGES))
def test_recorded_iterations_are_the_usual_ones_and_go_on_recorded(
    changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, losses = searched(changes)
    begun, first = searched(changes, 5)
    resumed, rest = searched(changes, 8, begun)
    assert losses == first + rest
    states = [read_groups(gan.saved()) for gan in (resumed, whole)]
    torch.testing.assert_close(*states, rtol=0, atol=0)
    where = "gan_nas.search.adversarialnas.super_gan.records"
    monkeypatch.setattr(where, lambda config, device: False)
    usual, usual_losses = searched(changes)
    assert whole.gan.warm_up > usual.gan.warm_up
    assert losses == pytest.approx(usual_losses, rel=0.02, abs=0.02)
    for logits, same in zip(whole.alpha.parameters(), usual.alpha.parameters(), strict=True):
        torch.testing.assert_close(logits, same, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("hard", [False, True])
def test_bf16_is_near_float32(hard: bool) -> None:
    cpu = torch.device("cpu")
    exact, rounded = (losses(cpu, precision=p, hard=hard) for p in ("float32", "bf16"))
    assert rounded == pytest.approx(exact, abs=0.05)
    assert rounded != exact
