"""CT-GAN's critic: its size, its dropout, and what may be computed together."""

import pytest
import torch
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.networks.builder import build_discriminator
from gan_nas.networks.cost import discriminator_cost, num_parameters
from gan_nas.networks.ctgan import Critic
from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.streams import stream
from gan_nas.training.gan import fresh

CPU = torch.device("cpu")


def critic(
    width: int = 8, dropout: tuple[float, float, float] = (0.2, 0.5, 0.5), channels: int = 3
) -> Critic:
    genome = CTGANCritic(space="ctgan", width=width, dropout=dropout)
    with torch.device("meta"):
        network = build_discriminator(genome, 16, channels)
    network = fresh(network, 0, "critic", CPU, "he")
    assert isinstance(network, Critic)
    return network


def images(num: int, name: str = "images", dtype: torch.dtype = torch.float32) -> Tensor:
    random = stream(0, name)
    return torch.rand(num, 3, 16, 16, generator=random, device=CPU).to(dtype) * 2 - 1


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator(device=CPU).manual_seed(seed)


def test_it_has_the_published_number_of_parameters() -> None:
    assert discriminator_cost(CTGANCritic(space="ctgan", width=128), 32, 3).parameters == 1_053_825


@pytest.mark.parametrize("side", [4, 8, 16, 32, 48])
def test_any_size_that_can_be_halved_twice(side: int) -> None:
    with torch.device("meta"):
        network = build_discriminator(CTGANCritic(space="ctgan", width=4), side, 1)
        assert network(torch.empty(5, 1, side, side)).shape == (5, 1)


@pytest.mark.parametrize("side", [0, 6, 15, 516])
def test_other_sizes_are_refused(side: int) -> None:
    with pytest.raises(InvalidInput, match="must be a multiple of 4"):
        build_discriminator(CTGANCritic(space="ctgan", width=4), side, 1)


def test_it_computes_what_the_authors_wrote() -> None:
    """The blocks once more, from the published code's description, as one straight function."""
    network, x = critic().double(), images(3, dtype=torch.float64)
    w = dict(network.named_parameters())

    def conv(name: str, h: Tensor) -> Tensor:
        weight = w[f"{name}.weight"]
        side = weight.shape[-1]
        return torch.nn.functional.conv2d(h, weight, w[f"{name}.bias"], padding=side // 2)

    pool, relu = torch.nn.AvgPool2d(2), torch.relu
    h = pool(conv("block1.conv2", relu(conv("block1.conv1", x)))) + conv("block1.shortcut", pool(x))
    h = pool(conv("block2.conv2", relu(conv("block2.conv1", relu(h))))) + pool(
        conv("block2.shortcut", h)
    )
    for name in ("block3", "block4"):
        h = h + conv(f"{name}.conv2", relu(conv(f"{name}.conv1", relu(h))))
    features = relu(h).mean((2, 3))
    expected = features @ w["head.weight"].t() + w["head.bias"]
    torch.testing.assert_close(network(x), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(network.verdict(network.look(x)).features, features)
    assert num_parameters(network) == sum(p.numel() for p in w.values())


def test_dropout_is_on_exactly_when_a_stream_is_given() -> None:
    network, x = critic(), images(4)
    for mode in (network.train(), network.eval()):
        assert torch.equal(mode(x), mode(x))
        assert not torch.equal(mode(x), mode(x, seeded()))
        assert torch.equal(mode(x, seeded()), mode(x, seeded()))
        assert not torch.equal(mode(x, seeded()), mode(x, seeded(1)))
    still = critic(dropout=(0.0, 0.0, 0.0))
    assert torch.equal(still(x), still(x, seeded()))


def test_dropout_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    critic()(images(2), seeded())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_a_rate_is_the_share_that_is_dropped_and_the_mean_stays(rate: float) -> None:
    """With weights that only pass the input on, the features are the masks' means."""
    network = critic(64, (0.0, 0.0, rate))
    for block in (network.block3, network.block4):
        block.conv2.weight.data.zero_()
    h = torch.ones(64, 64, 4, 4, device=CPU)
    with torch.no_grad():
        features = network.verdict(h, seeded()).features
    values = (features * 16 * (1 - rate)).round()  # of 16 positions, how many are left
    torch.testing.assert_close(features, values / 16 / (1 - rate))
    assert float(features.mean()) == pytest.approx(1, abs=0.02)
    assert float(values.mean() / 16) == pytest.approx(1 - rate, abs=0.01)


def test_masks_are_the_same_in_every_precision() -> None:
    network, x = critic(), images(8)
    with torch.no_grad():
        exact = network(x, seeded())
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x, seeded())
    assert float((exact - rough.float()).abs().max()) < 0.1 * float(exact.std())


def test_every_image_is_judged_alone() -> None:
    network, x = critic().double(), images(6, dtype=torch.float64)
    torch.testing.assert_close(network(x)[2:4], network(x[2:4]), rtol=1e-12, atol=1e-12)
