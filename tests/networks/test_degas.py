"""DEGAS' networks: specified sizes, one-hot equal to derived."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_nas.networks.builder import build_supernet, choose_cells
from gan_nas.networks.cost import generator_cost, num_parameters
from gan_nas.networks.degas import StageNetwork, normal_ops, up_ops
from gan_nas.spaces.degas import (
    NORMAL_OPS,
    UP_OPS,
    DEGASGenerator,
    DEGASSpace,
    candidates,
    from_operations,
    operations,
)

VARIANTS = [(False, False), (True, False), (False, True), (True, True)]
# Weights of each operation at 128 channels, without biases and norms.
SIZES = {
    "conv_1x1": 16_384,
    "conv_3x3": 147_456,
    "max_pool_3x3": 0,
    "avg_pool_3x3": 0,
    "skip_connect": 0,
    "sep_conv_3x3": 35_072,
    "sep_conv_5x5": 39_168,
    "dil_conv_3x3": 17_536,
    "dil_conv_5x5": 19_584,
    "deconv_4x4": 262_144,
    "deconv_6x6": 589_824,
    "nearest_conv_1x1": 16_384,
    "nearest_conv_3x3": 147_456,
}


@pytest.mark.parametrize("op", ["max_pool_3x3", "avg_pool_3x3"])
@pytest.mark.parametrize("searching", [False, True], ids=["derived", "searching"])
def test_a_pooling_is_followed_by_a_norm_without_weights(op: str, searching: bool) -> None:
    """In derived networks too, where DARTS' are bare: a choice, since DEGAS' paper is silent."""
    pool = normal_ops(3, searching)[op]().double()
    assert not list(pool.parameters())
    x = 5 + normals(0, 16, 3, 8, 8)
    y = pool(x)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(
        y.var((0, 2, 3), correction=0), torch.ones(3).double(), rtol=1e-3, atol=0
    )
    if not searching:
        assert not torch.equal(pool.eval()(x), y)  # which has statistics of its own


def normals(seed: int, *size: int) -> Tensor:
    generator = torch.Generator(device="cpu").manual_seed(seed)
    return torch.randn(size, generator=generator, device="cpu", dtype=torch.float64)


def drawn(seed: int, width: int = 6, **variant: bool) -> DEGASGenerator:
    return DEGASSpace(**variant).sample(random.Random(seed), width)


def redraw(network: nn.Module, seed: int = 0) -> None:
    """Give every weight another value, those that start at zero or one too."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.3, generator=generator)


def supernet(genome: DEGASGenerator, stem_residual: bool, final_normal: bool) -> StageNetwork:
    with torch.device("cpu"):
        example = DEGASSpace(stem_residual, final_normal).example(genome.width)
        network = build_supernet(example, 16, 2)
    choose_cells(network, genome)
    redraw(network)
    return network.double()


def mixtures(stem_residual: bool, final_normal: bool) -> dict[str, Tensor]:
    places = candidates(stem_residual, final_normal)
    return {
        place: normals(i, len(ops)).softmax(0).requires_grad_()
        for i, (place, ops) in enumerate(places.items())
    }


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [({}, 6_172_547), ({"stem_residual": True}, 7_188_355)],
)
def test_the_supernet_has_the_specified_size(changes: Any, parameters: int) -> None:
    with torch.device("meta"):
        network = build_supernet(DEGASSpace(**changes).example(128), 32)
    assert num_parameters(network) == parameters
    assert sum(p.numel() for p in network.stem.parameters()) == 264_192
    assert sum(p.numel() for p in network.to_rgb.parameters()) == 3_715


def test_every_operation_has_the_specified_weights() -> None:
    with torch.device("meta"):
        made = normal_ops(128, searching=True) | up_ops(128, searching=True)
        assert {name: num_parameters(make()) for name, make in made.items()} == SIZES


def test_derived_networks_span_the_specified_range() -> None:
    largest = {p: "deconv_6x6" if ops == UP_OPS else "conv_3x3" for p, ops in candidates().items()}
    smallest = {
        p: "nearest_conv_1x1" if ops == UP_OPS else "skip_connect"
        for p, ops in candidates().items()
        if not p.endswith("residual")
    }
    sizes = [
        generator_cost(from_operations(dict(ops), 128), 32).parameters
        for ops in (smallest, largest)
    ]
    assert sizes == pytest.approx([0.32e6, 3.66e6], rel=0.01)


@pytest.mark.parametrize("searching", [False, True])
@pytest.mark.parametrize("name", [*NORMAL_OPS, *UP_OPS])
def test_operations_keep_or_double_the_size(name: str, searching: bool) -> None:
    with torch.device("cpu"):
        ops = {**normal_ops(4, searching), **up_ops(4, searching)}
        op = ops[name]().double()
    redraw(op)
    x = normals(0, 3, 4, 6, 6)
    factor = 2 if name in UP_OPS else 1
    y = op(x)
    assert y.shape == (3, 4, 6 * factor, 6 * factor)


def test_pools_normalise_without_weights_and_average_what_is_there() -> None:
    with torch.device("cpu"):
        ops = normal_ops(4)
        pools = [ops[name]().double() for name in ("max_pool_3x3", "avg_pool_3x3")]
    assert not any(list(pool.parameters()) for pool in pools)
    ones = torch.ones(1, 4, 5, 5, device="cpu", dtype=torch.float64)
    torch.testing.assert_close(pools[1].get_submodule("pool")(ones), ones)


def test_a_gradient_reaches_every_alpha() -> None:
    network, weights = supernet(drawn(0), True, True), mixtures(True, True)
    loss = (network(normals(1, 4, 128), weights) * normals(2, 4, 2, 16, 16)).sum()
    for gradient in torch.autograd.grad(loss, list(weights.values())):
        assert (gradient != 0).all()


def test_one_hot_weights_choose_the_operation() -> None:
    ops = {place: random.Random(5).choice(names) for place, names in candidates(True, True).items()}
    genome = from_operations(dict(ops), 6)
    network = supernet(genome, True, True)
    z = normals(4, 4, 128)
    torch.testing.assert_close(network(z, one_hot(genome)), network(z), rtol=0, atol=1e-12)


def one_hot(genome: DEGASGenerator) -> Mapping[str, Tensor]:
    places, chosen = candidates(True, True), operations(genome)
    return {
        place: torch.tensor(
            [float(op == chosen[place]) for op in ops], dtype=torch.float64, device="cpu"
        )
        for place, ops in places.items()
    }
