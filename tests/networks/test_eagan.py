"""EAGAN's discriminators as networks: what was published, sizes, and the supernet."""

import re
from random import Random

import pytest
import torch
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.networks.builder import build_discriminator, build_supernet, choose_cells
from gan_nas.networks.cost import discriminator_cost
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.slots import inherited_state
from gan_nas.networks.spectral import SpectralConv2d, SpectralLinear
from gan_nas.spaces.eagan import SPACE, decode
from gan_nas.spaces.sn_resnet import SecondOp, SNResNetDiscriminator
from gan_nas.streams import stream

HALVING, LAST = (3, 0, 3, 0, 2, 0, 0), (3, 0, 3, 0, 1, -1, -1)
PUBLISHED = {  # the second cell is a block of two convolutions, the first an identity or not
    "cifar10": ((1, 0, 3, 0, 1, -1, -1), ("identity", "conv_3x3"), 906_240),
    "stl10": ((4, 0, 4, 0, 1, -1, -1), ("conv_5x5", "conv_5x5"), 1_578_112),
}
# Where a weight of SN-GAN's blocks lies in EAGAN's cells.
EDGES = {"conv1": "0-1", "conv2": "1-2", "shortcut": "0-3"}


def images(number: int = 2, side: int = 16) -> Tensor:
    random = stream(0, "images")
    return torch.rand(number, 3, side, side, generator=random, device="cpu") * 2 - 1


def in_cells(name: str) -> str:
    """Return the name in EAGAN's cells of a weight of SN-GAN's blocks 2, 3 and 4."""
    found = re.match(r"block([234])\.(\w+)\.(\w+)", name)
    return f"cells.{int(found[1]) - 2}.edges.{EDGES[found[2]]}.{found[3]}" if found else name


@pytest.mark.parametrize("data", PUBLISHED)
def test_what_was_found_has_the_published_size(data: str) -> None:
    row, _, parameters = PUBLISHED[data]
    assert discriminator_cost(decode((HALVING, row, LAST), 128), 32).parameters == parameters


@pytest.mark.parametrize("data", PUBLISHED)
def test_what_was_found_is_sn_gans_with_another_third_block(data: str) -> None:
    """As packaged genomes say it: the same scores from the same weights."""
    row, block, _ = PUBLISHED[data]
    second: SecondOp = "conv_5x5" if data == "stl10" else "conv_3x3"
    critic = SNResNetDiscriminator(space="sn_resnet", width=4, third_block=(block[0], second))  # type: ignore[arg-type]
    known = build_discriminator(critic, 16)
    initialise(known, stream(0, "weights"))
    network = build_discriminator(decode((HALVING, row, LAST), 4), 16)
    network.load_state_dict({in_cells(name): t for name, t in known.state_dict().items()})
    torch.testing.assert_close(network.eval()(images()), known.eval()(images()))


def test_a_supernet_set_to_a_discriminator_is_its_own_network() -> None:
    supernet = build_supernet(SPACE.example(4), 16)
    initialise(supernet, stream(0, "weights"))
    random, kept = Random(0), set()
    for _ in range(12):
        genome = SPACE.sample(random, 4)
        kept |= {cell.halves for cell in genome.cells}
        choose_cells(supernet, genome)
        derived = build_discriminator(genome, 16)
        derived.load_state_dict(inherited_state(supernet), strict=True)
        supernet.zero_grad()
        scores = derived(images()), supernet(images())
        assert scores[0].shape == (2, 1)
        assert torch.equal(*scores)
        for one in scores:
            one.sum().backward()
        used = inherited_state(supernet)
        for name, parameter in derived.named_parameters():
            assert parameter.grad is not None, name
            assert torch.equal(parameter.grad, used[name].grad), name  # type: ignore[arg-type]
    assert kept == {True, False}


def test_all_weights_are_spectrally_normalised_and_a_shortcut_sees_no_relu() -> None:
    network = build_discriminator(SPACE.example(4), 16)
    layers = [m for m in network.modules() if next(m.parameters(recurse=False), None) is not None]
    assert all(isinstance(layer, SpectralConv2d | SpectralLinear) for layer in layers)
    cell = network.get_submodule("cells.0")
    seen: dict[str, bool] = {}
    for edge in ("0-1", "0-3"):
        conv = cell.get_submodule(f"edges.{edge}")
        conv.register_forward_hook(
            lambda _, x, y, edge=edge: seen.update({edge: bool((x[0] < 0).any())})
        )
    network(images())
    assert seen == {"0-1": False, "0-3": True}


@pytest.mark.parametrize(("row", "divisor"), [(HALVING, 16), (LAST, 8)])
def test_a_side_that_cells_cannot_halve_is_refused(row: tuple[int, ...], divisor: int) -> None:
    genome = decode((HALVING, HALVING, row), 4)
    assert build_discriminator(genome, divisor)(images(side=divisor)).shape == (2, 1)
    for side in (0, divisor // 2, divisor + 4, 1024):
        with pytest.raises(InvalidInput, match=f"must be a multiple of {divisor}"):
            build_discriminator(genome, side)
    with pytest.raises(InvalidInput, match=r"resolution 24 .* multiple of 16"):
        build_supernet(genome, 24)
