"""One state, two steps: what a step may change, and that it goes on where it stopped."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_nas.networks.builder import build_discriminator, build_generator
from gan_nas.networks.states import load_groups, read_groups
from gan_nas.spaces.published import published_genome
from gan_nas.streams import stream
from gan_nas.training.gan import GAN, fresh, reestimated_norms
from gan_nas.training.losses import generator_loss, hinge_discriminator_loss

CPU = torch.device("cpu")
GENOME = published_genome("autogan-cifar10-top3").resized(8, 8)


def make(device: torch.device = CPU, **changes: Any) -> GAN:
    with torch.device("meta"):
        generator = build_generator(GENOME.generator, 16)
        discriminator = build_discriminator(GENOME.discriminator, 16)
    settings: dict[str, Any] = {
        "generator_lr": 1e-3,
        "discriminator_lr": 1e-3,
        "betas": (0.0, 0.9),
        "ema_decay": 0.9,
        "ema_warm_start": False,
        "precision": "float32",
    }
    return GAN(
        fresh(generator, 0, "g", device),
        fresh(discriminator, 0, "d", device),
        **(settings | changes),
    )


def noise(step: int, num: int = 8) -> tuple[Tensor, Tensor]:
    random = stream(0, "test", step)
    real = torch.rand(num, 3, 16, 16, generator=random, device=CPU) * 2 - 1
    return real, torch.randn(num, 128, generator=random, device=CPU)


def train(gan: GAN, steps: range) -> None:
    for step in steps:
        real, z = noise(step)
        gan.discriminator_step(real, z)
        gan.generator_step(z)


def parameters(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_discriminator_step_leaves_the_generators_weights_alone() -> None:
    gan = make()
    before = parameters(gan.generator), parameters(gan.discriminator)
    gan.discriminator_step(*noise(0))
    assert_equal(before[0], parameters(gan.generator))
    after = parameters(gan.discriminator)
    assert all(not torch.equal(before[1][name], after[name]) for name in after)
    assert all(p.grad is None for p in gan.generator.parameters())


def test_a_generator_step_leaves_the_discriminators_weights_alone() -> None:
    gan = make()
    before = parameters(gan.discriminator)
    u = gan.discriminator.get_buffer("block1.conv1.weight_u").clone()
    gan.generator_step(noise(0)[1])
    assert_equal(before, parameters(gan.discriminator))
    assert all(p.grad is None and p.requires_grad for p in gan.discriminator.parameters())
    assert not torch.equal(u, gan.discriminator.get_buffer("block1.conv1.weight_u"))


def test_the_steps_are_those_of_the_hinge_loss() -> None:
    gan, plain = make(), make()
    real, z = noise(0)
    with torch.no_grad():
        fake = plain.generator(z)
    scores = plain.discriminator(torch.cat([real, fake]))
    loss = hinge_discriminator_loss(scores[:8], scores[8:])
    assert torch.allclose(gan.discriminator_step(real, z), loss)
    loss.backward()
    for (name, a), b in zip(
        gan.discriminator.named_parameters(), plain.discriminator.parameters(), strict=True
    ):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.allclose(a.grad, b.grad, atol=1e-6), name

    gan, plain = make(), make()
    loss = generator_loss(plain.discriminator(plain.generator(z)))
    assert torch.allclose(gan.generator_step(z), loss)


@pytest.mark.parametrize(("warm_start", "share"), [(False, 0.9), (True, 0.1)])
def test_the_average_follows_the_weights_and_at_first_closer_with_a_warm_start(
    warm_start: bool, share: float
) -> None:
    gan = make(ema_decay=0.9, ema_warm_start=warm_start)
    start = parameters(gan.generator)
    gan.generator_step(noise(0)[1])
    live = parameters(gan.generator)
    with gan.averaged() as network:
        assert not network.training
        for name, average in parameters(gan.generator).items():
            expected = share * start[name] + (1 - share) * live[name]
            assert torch.allclose(average, expected, atol=1e-6)
    assert_equal(live, parameters(gan.generator))
    assert gan.generator.training


def test_without_decay_the_live_weights_are_scored() -> None:
    gan = make(ema_decay=0.0)
    train(gan, range(2))
    live = parameters(gan.generator)
    with gan.averaged():
        assert_equal(live, parameters(gan.generator))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_saved_and_loaded_goes_on_bit_for_bit(precision: str) -> None:
    whole = make(precision=precision)
    train(whole, range(4))
    first = make(precision=precision)
    train(first, range(2))
    saved = {
        # In alphabetical order, as files have them.
        group: {name: tensors[name].clone().contiguous() for name in sorted(tensors)}
        for group, tensors in read_groups(first.saved()).items()
    }
    second = make(precision=precision)
    load_groups(second.saved(), saved)
    second.generator_steps = first.generator_steps
    train(second, range(2, 4))
    expected, found = read_groups(whole.saved()), read_groups(second.saved())
    assert expected.keys() == found.keys()
    for group in expected:
        assert_equal(expected[group], found[group])


def test_bf16_keeps_weights_losses_and_statistics_in_float32() -> None:
    gan = make(precision="bf16")
    loss = gan.discriminator_step(*noise(0))
    assert loss.dtype == torch.float32
    assert abs(float(loss) - float(make().discriminator_step(*noise(0)))) < 0.2
    for tensors in read_groups(gan.saved()).values():
        assert all(t.dtype in (torch.float32, torch.int64) for t in tensors.values())


def test_no_tensor_is_made_on_the_default_device() -> None:
    """With the default device on meta, a tensor made without its device breaks on a CPU."""
    with torch.device("meta"):
        gan = make()
        train(gan, range(2))
        with gan.averaged() as network, reestimated_norms(network, noise(0)[1]):
            assert network(noise(0)[1]).device == CPU


def test_reestimated_norms_are_the_batch_statistics_and_leave_no_trace() -> None:
    gan = make()
    train(gan, range(2))
    before = copy.deepcopy(dict(gan.generator.named_buffers()))
    z = noise(9, 64)[1]
    with gan.averaged() as network:
        with reestimated_norms(network, z):
            own = network(z)
        with torch.no_grad():
            gan.generator.train()
            batch = gan.generator(z)
            gan.generator.eval()
    # The unbiased variance of 64 x 16 x 16 values against the biased one of the forward pass.
    assert torch.allclose(own, batch, atol=2e-2)
    names = [name for name in before if "num_batches" not in name]
    assert names
    gan = make()
    train(gan, range(2))
    with gan.averaged() as network, reestimated_norms(network, z):
        pass
    assert_equal(before, dict(gan.generator.named_buffers()))


class Raising(nn.Module):
    """Fails behind its first norm, as when memory runs out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.BatchNorm2d(2, device="cpu") for _ in range(2))
        self.second.momentum = None
        self.fails = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        if self.fails:
            raise RuntimeError("out of memory")
        return self.second(x)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", ["in the pass", "while lent"])
def test_norms_are_as_they_were_after_an_error(training: bool, fails: str) -> None:
    network = Raising().train(training)
    network.second.train(not training)  # each norm has a mode of its own
    network.fails = fails == "in the pass"
    before = copy.deepcopy(network.state_dict())
    x = 5 + torch.randn(4, 2, 3, 3, generator=stream(0, "x"), device="cpu")
    with pytest.raises(RuntimeError, match="out of memory"), reestimated_norms(network, x):
        raise RuntimeError("out of memory")
    assert_equal(before, network.state_dict())
    assert (network.first.momentum, network.second.momentum) == (0.1, None)
    assert (network.first.training, network.second.training) == (training, not training)


@pytest.mark.cuda
def test_the_same_steps_on_a_gpu_and_a_cpu() -> None:
    cuda = torch.device("cuda")
    cpu, gpu = make(), make(cuda)
    real, z = noise(0)
    a, b = cpu.discriminator_step(real, z), gpu.discriminator_step(real.to(cuda), z.to(cuda))
    assert float(a) == pytest.approx(float(b), abs=1e-3)
    assert float(cpu.generator_step(z)) == pytest.approx(
        float(gpu.generator_step(z.to(cuda))), abs=1e-2
    )
