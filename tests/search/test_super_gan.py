"""The four steps of AdversarialNAS' search: the published numbers, and what each step touches."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from golden_adversarialnas import (
    GOLDEN,
    KEYS,
    LATENT_DIM,
    as_parameters,
    fill_network,
    golden_images,
    our_key,
)
from golden_adversarialnas import logits as published_logits
from torch import Tensor, nn

from gan_nas.networks.sn_resnet import SNResNet
from gan_nas.search import load_method
from gan_nas.search.adversarialnas.config import PRESETS, Config
from gan_nas.search.adversarialnas.relaxation import Relaxed, noisy_weights, tau_at
from gan_nas.search.adversarialnas.super_gan import SuperGAN, records
from gan_nas.spaces.adversarialnas import candidates
from gan_nas.streams import stream
from gan_nas.training.gan import GAN

CPU = torch.device("cpu")
PUBLISHED = PRESETS["published"] | {  # the golden trajectory's sizes; it has no noise
    "width": 8,
    "discriminator_width": 8,
    "batch_size": 8,
    "generator_batch_size": 6,
    "mixture": "softmax",
}
SMALL = {
    "width": 4,
    "discriminator_width": 4,
    "iterations": 9,
    "tau_levels": 3,
    "ema_decay": 0.9,
    "architecture_lr": 0.1,
}
FIXED = ["super", "sn_resnet", "autogan_grown"]


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def fill_with_golden_values(gan: SuperGAN) -> None:
    """Give both supernets their weights, and their logits a thousandth of the published cases'."""
    for network, own_logits, part in (
        (gan.generator.network, gan.alpha, "G"),
        (gan.discriminator.network, gan.beta, "D"),
    ):
        case = dict(KEYS["cases"]["super_softmax"][part])
        weights = dict(network.named_parameters())
        case["params"] = [  # listed at another width
            (name, shape)
            if "alphas" in name
            else (name, list(weights[our_key(name, supernet=True)].shape))
            for name, shape in case["params"]
        ]
        fill_network(network, case, supernet=True)
        small = [1e-3 * tensor for tensor in published_logits(case)]
        for name, tensor in as_parameters(own_logits, *small).items():
            parameter = own_logits.get_parameter(name)
            parameter.data.copy_(tensor[:, : parameter.shape[1]])


def golden(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[f"search_traj_softmax/{name}"])


def ten_iterations(config: Config) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Search from the golden weights, latents and images; return what comes out, and what should.

    Where a setting is not the published one, latents are drawn in another order, or too few.
    """
    gan = SuperGAN(config, 32, 3, CPU)
    fill_with_golden_values(gan)
    gan.gan._averages = [p.detach().clone() for p in gan.generator.parameters()]
    noise = np.random.RandomState(0)

    def draw(*names: str, num: int) -> dict[str, Tensor]:
        draws = {name: noise.normal(0, 1, (num, LATENT_DIM)) for name in names}
        return {f"{name} latents": torch.from_numpy(z) for name, z in draws.items()}

    losses: list[dict[str, Tensor]] = []
    for i in range(10):
        drawn = draw("discriminator", "beta", num=4) | draw("generator", num=6)  # in their order
        drawn |= {"alpha latents": drawn["generator latents"]}
        if i % 5 == 0:
            drawn |= draw("alpha", num=6)
        real = golden_images(8, k=2000 + i)
        losses.append(gan.iteration(i, real, lambda purpose, num, z=drawn: z[purpose][:num]))

    names = [name for name, _ in gan.generator.named_parameters()]
    ours = {
        "d_loss": torch.stack([loss["d_loss"] for loss in losses]),
        "g_loss": torch.stack([loss["g_loss"] for loss in losses if "g_loss" in loss]),
        "average": gan.gan._averages[names.index("logits.normal")],
        "to_rgb": gan.generator.network.to_rgb.conv.weight.detach(),
        "head": gan.discriminator.network.head.weight.detach(),
    }
    averages = as_parameters(gan.alpha, golden("ema_alphas_normal"), golden("alphas_up"))
    theirs = {
        "d_loss": golden("d_loss"),
        "g_loss": golden("g_loss"),
        "average": averages["normal"],
        "to_rgb": golden("G_to_rgb_conv_weight"),
        "head": golden("D_l5_weight_orig"),
    }
    alphas = as_parameters(gan.alpha, golden("alphas_normal"), golden("alphas_up"))
    betas = as_parameters(gan.beta, golden("betas_normal"), golden("betas_down"))
    for which, logits, expected in (("alpha", gan.alpha, alphas), ("beta", gan.beta, betas)):
        for name, tensor in expected.items():
            ours[f"{which} {name}"] = logits.get_parameter(name).data
            theirs[f"{which} {name}"] = tensor
    return ours, theirs


def agree(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return all(
        ours[name].shape == tensor.shape and torch.allclose(ours[name], tensor, 1e-6, 1e-12)
        for name, tensor in theirs.items()
    )


@pytest.mark.usefixtures("float64")
def test_ten_iterations_of_the_published_preset_equal_the_published_search() -> None:
    ours, theirs = ten_iterations(Config.model_validate(PUBLISHED))
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-6, atol=1e-12, msg=name)
    assert agree(ours, theirs)


@pytest.mark.slow  # all together
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "change",
    [
        {"passes": "together"},
        {"generator_turn": "last"},
        {"architecture_beta2": 0.9},
        {"first_cell_logits": 5},
        {"num_critic": 1},
        {"ema_decay": 0.99},
    ],
    ids=str,
)
def test_another_value_of_a_setting_misses_the_published_search(change: dict[str, Any]) -> None:
    assert not agree(*ten_iterations(Config.model_validate(PUBLISHED | change)))


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
    assert [tau_at(level, 25, 5.0, 0.1) for level in (25, 40)] == pytest.approx([0.1] * 2)  # stays


def test_the_published_search_runs_through_its_temperatures_but_the_first() -> None:
    """Its first epoch, at temperature 5, trains nothing; the others have 417 iterations each."""
    gan = SuperGAN(Config.model_validate(PUBLISHED), 32, 3, CPU)
    golden = GOLDEN["tau_schedule/tau"]
    assert gan.config.iterations == 24 * 417
    for step in (0, 416, 417, 5_003, 5_004, 10_007):
        gan.start(step)
        assert gan.tau == pytest.approx(golden[1 + step // 417], rel=1e-9), step


def small(**changes: Any) -> SuperGAN:
    """Make a GAN of 16 pixels at the start of its search."""
    gan = SuperGAN(Config.model_validate(SMALL | changes), 16, 1, CPU)
    gan.start(0)
    return gan


def normal(purpose: str, *size: int) -> Tensor:
    return torch.randn(size, generator=stream(0, purpose), device=CPU)


def steps_of(gan: SuperGAN) -> dict[str, Callable[[], Tensor]]:
    """Name the steps of an iteration, in its order, by what they train."""
    real, z = normal("real", 4, 1, 16, 16).clamp(-1, 1), normal("latents", 4, LATENT_DIM)
    steps: dict[str, Callable[[], Tensor]] = {
        "beta": lambda: gan.beta_step(real, z),
        "discriminator": lambda: gan.discriminator_step(real, z),
        "alpha": lambda: gan.alpha_step(z),
        "generator": lambda: gan.generator_step(z),
    }
    if gan.config.discriminator != "searched":
        del steps["beta"]
    return steps


def parts(gan: SuperGAN) -> dict[str, list[Tensor]]:
    """Return all tensors of a GAN in training, by what they are."""
    generator, discriminator = map(weights_of, (gan.generator, gan.discriminator))
    return {
        "alpha": list(gan.alpha.parameters()),
        "beta": list(gan.beta.parameters()),
        "generator": list(generator.parameters()),
        "discriminator": list(discriminator.parameters()),
        "batch norm": list(generator.buffers()),
        "spectral norm": list(discriminator.buffers()),
        "averages": list(gan.gan._averages),
    }


def weights_of(network: nn.Module) -> nn.Module:
    return network.network if isinstance(network, Relaxed) else network


@pytest.mark.parametrize(
    "changes",
    [{"discriminator": name} for name in ("searched", *FIXED)]
    + [{"hard": True, "noise_on": "logprob"}, {"mixture": "softmax", "passes": "apart"}],
    ids=str,
)
def test_a_step_changes_what_it_trains_and_nothing_else(changes: dict[str, Any]) -> None:
    gan = small(**changes)
    has_graph: list[bool] = []
    gan.generator.register_forward_hook(lambda _, __, out: has_graph.append(out.requires_grad))
    for trained, step in steps_of(gan).items():
        for parameter in (*gan.generator.parameters(), *gan.discriminator.parameters()):
            parameter.grad = None
        before = {
            name: [t.detach().clone() for t in tensors] for name, tensors in parts(gan).items()
        }
        loss = step()
        assert loss.isfinite()
        assert not loss.requires_grad
        assert has_graph.pop() == (trained in ("alpha", "generator"))
        changed = {
            name
            for name, tensors in parts(gan).items()
            if not all(map(torch.equal, tensors, before[name]))
        }
        # Both networks run in train mode at every step, as in the published code.
        along = {"batch norm", "spectral norm"} | (
            {"averages"} if trained == "generator" else set()
        )
        assert changed == {trained} | along
        with_gradients = {
            name for name, tensors in parts(gan).items() if any(t.grad is not None for t in tensors)
        }
        assert with_gradients == {trained}
        trains = {name: {t.requires_grad for t in tensors} for name, tensors in parts(gan).items()}
        assert trains["generator"] == trains["discriminator"] == {True}
        assert trains["alpha"] == trains["beta"] == {False}
        if trained in ("alpha", "beta") and not gan.config.hard:
            assert not any(
                (a == b).any() for a, b in zip(parts(gan)[trained], before[trained], strict=True)
            )


def test_a_fixed_discriminators_beta_is_no_part_of_it() -> None:
    gan = small(discriminator="sn_resnet")
    assert isinstance(gan.discriminator, SNResNet)
    assert not any("logits" in name for name in gan.saved()["discriminator"].read())


def test_the_super_discriminator_weighs_all_operations_alike_at_all_times() -> None:
    gan = small(discriminator="super", hard=True)
    discriminator = gan.discriminator
    assert isinstance(discriminator, Relaxed)
    for step in (0, 4, 8):
        gan.start(step)
        for take in steps_of(gan).values():
            take()
        for cell, weights in zip(gan.beta.cells, discriminator.draw(), strict=True):
            for edge, ops in candidates(cell).items():
                assert weights[edge].tolist() == pytest.approx([1 / len(ops)] * len(ops))
    assert not any(p.any() for p in gan.beta.parameters())
    assert gan.saved()["beta_optimizer"].read() == {}


def test_the_grown_discriminator_grows_at_thirds_of_the_search() -> None:
    gan = small(discriminator="autogan_grown")
    discriminator = gan.discriminator
    assert isinstance(discriminator, SNResNet)
    active = []
    for step in range(9):
        gan.start(step)
        active.append(discriminator.num_active_cells)
    assert active == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    gan.start(3)
    steps_of(gan)["discriminator"]()
    idle = {name.split(".")[0] for name, p in discriminator.named_parameters() if p.grad is None}
    assert idle == {"block3"}


def test_the_same_iteration_draws_the_same_noise_and_another_one_other_noise() -> None:
    gan = small()
    drawn = []
    for step in (3, 4, 3):
        gan.start(step)
        drawn.append(gan.generator.draw()[0]["1-3"].tolist())
    assert drawn[0] == drawn[2] != drawn[1]


def test_the_moving_average_never_touches_alpha() -> None:
    gan = small()
    for step in range(4):
        gan.start(step)
        for take in steps_of(gan).values():
            take()
    raw = [p.detach().clone() for p in gan.alpha.parameters()]
    derived = gan.alpha.log_probabilities()
    with gan.gan.averaged():
        averaged = [p.detach().clone() for p in gan.alpha.parameters()]
    assert not any(map(torch.equal, raw, averaged))
    assert all(map(torch.equal, raw, gan.alpha.parameters()))
    assert gan.alpha.log_probabilities() == derived
    names = [name for name, _ in gan.generator.named_parameters()]
    average = gan.gan._averages[names.index("logits.normal")]
    assert torch.equal(
        average, averaged[[n for n, _ in gan.alpha.named_parameters()].index("normal")]
    )


def test_noise_that_is_drawn_ahead_is_what_passes_draw() -> None:
    gan = SuperGAN(Config.model_validate(SMALL), 16, 3, CPU)
    gan.start(2)
    drawn = [gan.generator.draw() for _ in range(3)]
    gan.generator.keep_in_place()
    gan.start(2)
    gan.generator.prepare(2)
    ahead = [gan.generator.draw() for _ in range(3)]  # the third as before
    for cells, same in zip(drawn, ahead, strict=True):
        for cell, again in zip(cells, same, strict=True):
            torch.testing.assert_close(cell, again)


@pytest.mark.parametrize("discriminator", ["searched", "super", "sn_resnet"])
@pytest.mark.parametrize("passes", ["together", "apart"])
def test_each_step_has_as_much_noise_ready_as_it_draws(
    monkeypatch: pytest.MonkeyPatch, passes: str, discriminator: str
) -> None:
    """Steps as a GPU records them, but that nothing is recorded."""
    config = Config.model_validate(SMALL | {"passes": passes, "discriminator": discriminator})
    real, z = torch.rand(8, 3, 16, 16) * 2 - 1, torch.randn(8, config.latent_dim)

    def steps(gan: SuperGAN) -> list[Tensor]:
        gan.start(1)
        made = [gan.discriminator_step(real, z), gan.alpha_step(z), gan.generator_step(z)]
        return [*made, gan.beta_step(real, z)] if discriminator == "searched" else made

    usual = steps(SuperGAN(config, 16, 3, CPU))
    where = "gan_nas.search.adversarialnas.super_gan"
    monkeypatch.setattr(f"{where}.records", lambda config, device: True)
    monkeypatch.setattr(f"{where}.capturable", lambda optimizer: None)
    monkeypatch.setattr(f"{where}.Recorded", lambda owner, work, _: partial(work, owner))
    monkeypatch.setattr(GAN, "record", lambda gan: None)
    gan = SuperGAN(config, 16, 3, CPU)
    ready = [
        network for network in (gan.generator, gan.discriminator) if isinstance(network, Relaxed)
    ]
    draw = Relaxed.draw

    def drawn(network: Relaxed) -> Any:
        assert network.mixture == "softmax" or network._next.__length_hint__()
        return draw(network)

    monkeypatch.setattr(Relaxed, "draw", drawn)
    torch.testing.assert_close(steps(gan), usual)
    assert not any(network._next.__length_hint__() for network in ready)


@pytest.mark.parametrize(
    ("changes", "recorded"),
    [
        ({}, True),
        ({"mixture": "softmax"}, True),
        ({"hard": True}, False),
        ({"discriminator": "autogan_grown"}, False),
        ({"discriminator": "super"}, True),
    ],
)
def test_a_gpu_records_steps_that_are_always_the_same(
    changes: dict[str, Any], recorded: bool
) -> None:
    config = Config.model_validate(SMALL | changes)
    assert records(config, torch.device("cuda")) == recorded
    assert not records(config, CPU)
    work = load_method("adversarialnas").work(config, 16, 3, torch.device("cuda"))
    assert work.recorded == recorded
