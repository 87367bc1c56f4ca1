"""Whole networks: how they grow, what each level uses, and where skip features are read."""

import pytest
import torch
from torch import Tensor, nn

from gan_nas.networks.builder import build_discriminator, build_generator, build_supernet
from gan_nas.networks.cost import num_parameters, published_macs
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.sn_resnet import SNResNet
from gan_nas.spaces.autogan import AutoGANGenerator, decode
from gan_nas.spaces.published import published_genome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.streams import stream

TOP1 = published_genome("autogan-cifar10-top1").generator


def latents(num: int = 2) -> Tensor:
    return torch.randn(num, 128, generator=stream(0, "z"), device="cpu")


def generator(genome: AutoGANGenerator, resolution: int = 32) -> nn.Module:
    network = build_generator(genome, resolution)
    initialise(network, stream(0, "weights"))
    return network


def discriminator(width: int, resolution: int = 32) -> SNResNet:
    return build_discriminator(SNResNetDiscriminator(space="sn_resnet", width=width), resolution)


def num_used(network: nn.Module) -> int:
    """Count the weights that a backward pass reached."""
    return sum(p.numel() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("level", range(3))
def test_active_cells_give_the_sides_of_the_levels(level: int) -> None:
    network = generator(TOP1.model_copy(update={"width": 4}))
    network.num_active_cells = level + 1
    images = network(latents())
    side = 4 * 2 ** (level + 1)
    assert images.shape == (2, 3, side, side)
    assert images.abs().max() <= 1
    critic = discriminator(4)
    critic.num_active_cells = level + 1
    assert critic(images).shape == (2, 1)


@pytest.mark.parametrize(("resolution", "bottom"), [(8, 1), (16, 2), (48, 6)])
def test_the_stems_side_follows_the_resolution(resolution: int, bottom: int) -> None:
    network = generator(TOP1.model_copy(update={"width": 3}), resolution)
    assert network.bottom_width == bottom
    assert network(latents()).shape == (2, 3, resolution, resolution)


def test_eagans_third_block_without_its_first_convolution_is_one_that_does_nothing() -> None:
    """A 3x3 convolution of a centred one hands on what it gets; no spectral norm changes that."""
    short = SNResNetDiscriminator(space="sn_resnet", width=4, third_block=("identity", "conv_3x3"))
    network, usual = (
        build_discriminator(g, 16)
        for g in (short, short.model_copy(update={"third_block": ("conv_3x3", "conv_3x3")}))
    )
    initialise(usual, stream(0, "weights"))
    with torch.no_grad():
        usual.block3.conv1.weight.copy_(nn.init.dirac_(torch.empty(4, 4, 3, 3)))
        usual.block3.conv1.bias.zero_()
    state = usual.state_dict()
    dropped = {key for key in state if key.startswith("block3.conv1.")}
    assert state.keys() - network.state_dict().keys() == dropped
    network.load_state_dict({key: tensor for key, tensor in state.items() if key not in dropped})
    images = torch.rand(2, 3, 16, 16, generator=stream(0, "images"), device="cpu") * 2 - 1
    torch.testing.assert_close(network(images), usual(images))


def test_a_third_block_of_5x5_keeps_the_size() -> None:
    wide = SNResNetDiscriminator(space="sn_resnet", width=4, third_block=("conv_5x5", "conv_5x5"))
    network = build_discriminator(wide, 16)
    assert {tuple(conv.kernel_size) for conv in (network.block3.conv1, network.block3.conv2)} == {
        (5, 5)
    }
    assert network(torch.zeros(2, 3, 16, 16, device="cpu")).shape == (2, 1)


@pytest.mark.parametrize(
    ("level", "width", "used", "megamacs"),
    [
        (0, 64, 112_896, 3.65),
        (1, 64, 190_912, 16.05),
        (2, 64, 264_768, 68.9),
        (0, 128, 446_976, None),
        (1, 128, 758_656, None),
        (2, 128, 1_053_824, 272.1),
    ],
)
def test_what_each_level_of_the_discriminator_uses(
    level: int, width: int, used: int, megamacs: float | None
) -> None:
    side = 8 * 2**level
    with torch.device("meta"):
        network = discriminator(width)
        network.num_active_cells = level + 1
        images = torch.empty(1, 3, side, side)
        network(images).sum().backward()
    assert num_used(network) == used
    if megamacs is not None:
        assert published_macs(network, images) / 1e6 == pytest.approx(megamacs, rel=1e-3)


@pytest.mark.parametrize(
    ("level", "used", "gigamacs"),
    [(0, 579_587, 0.0204), (1, 907_779, 0.1050), (2, 1_235_971, 0.4432)],
)
def test_what_each_level_of_a_supernet_set_to_top1_uses(
    level: int, used: int, gigamacs: float
) -> None:
    with torch.device("meta"):
        network = build_supernet(TOP1.model_copy(update={"width": 128}), 32)
        network.num_active_cells = level + 1
        z = torch.empty(2, 128)
        network(z).sum().backward()
    assert num_used(network) == used
    assert published_macs(network, z[:1]) / 1e9 == pytest.approx(gigamacs, abs=5e-5)


@pytest.mark.parametrize(
    ("width", "published", "dead"), [(128, 3_716_995, 722_304), (256, 14_315_267, 2_886_400)]
)
def test_the_supernet_is_the_published_one_without_its_dead_weights(
    width: int, published: int, dead: int
) -> None:
    with torch.device("meta"):
        network = build_supernet(TOP1.model_copy(update={"width": width}), 32)
    assert num_parameters(network) == published - dead


# The skip tokens of cells 2 and 3; the tap of a cell differs when a skip arrives there, and this
# can be seen when the third cell reads the second's: 1 and 3 are the values with that skip.
@pytest.mark.parametrize("second", [0, 1])
@pytest.mark.parametrize("third", [0, 1, 2, 3])
def test_skip_taps_differ_only_through_the_second_cells_skip(second: int, third: int) -> None:
    tokens = (1, 0, 1, 1, 1, 0, 0, 1, second, 1, 0, 1, 0, third)
    post = decode(tokens, width=4)
    pre = post.model_copy(update={"skip_tap": "pre"})
    first, other = generator(post, 16).eval(), generator(pre, 16).eval()
    other.load_state_dict(first.state_dict())
    with torch.no_grad():
        same = torch.equal(first(latents()), other(latents()))
    assert same == (not (second == 1 and third in (1, 3)))


def test_the_skip_tap_is_after_the_skips_by_default() -> None:
    """The published code against the paper's Fig. 2."""
    tokens = (1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 3)
    assert decode(tokens, width=4).skip_tap == "post"
    assert TOP1.skip_tap == "post"
    network = generator(decode(tokens, width=4), 16)
    x = torch.ones(1, 4, 2, 2)
    skip = torch.ones(1, 4, 2, 2)
    cell = network.get_submodule("cells.1")
    _, tap = cell(x, [skip])
    torch.testing.assert_close(tap, cell.block1(x) + cell.skips[0](skip))


def test_the_discriminator_sums_over_the_image() -> None:
    """A comment in the published code says average, the code sums: four times at twice the side."""
    network = discriminator(4).eval()
    initialise(network, stream(0, "weights"))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.fill_(name == "block4.conv2.bias")
        small, large = (network(torch.zeros(1, 3, side, side)) for side in (32, 64))
    assert small.abs() > 0
    torch.testing.assert_close(large, 4 * small)


def test_each_image_depends_on_its_own_latent_alone() -> None:
    network = generator(TOP1.model_copy(update={"width": 4}), 16).eval()
    z = latents(3)
    with torch.no_grad():
        torch.testing.assert_close(network(z)[1:2], network(z[1:2]))
