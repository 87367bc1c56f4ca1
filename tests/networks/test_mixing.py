"""Weighted sums of operations, and what merged kernels save."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from gan_nas.networks.adversarialnas import edge_ops
from gan_nas.networks.layers import MakeConv, plain_conv
from gan_nas.networks.merged.edges import fan_out
from gan_nas.networks.merged.kernels import plan_kernels
from gan_nas.networks.mixing import add, weighted_sum
from gan_nas.networks.slots import MixedOp
from gan_nas.networks.spectral import SpectralConv2d
from gan_nas.spaces.adversarialnas import DownCell, FirstDownCell, UpCell, candidates
from gan_nas.streams import stream

CHANNELS = 3
SETS = {  # of candidates, with the stride of their edges
    "normal": (candidates(UpCell)["1-3"], 1),
    "entry": (candidates(FirstDownCell)["0-1"], 1),
    "down": (candidates(DownCell)["2-4"], 2),
}
every_set = pytest.mark.parametrize("kind", SETS)
every_conv = pytest.mark.parametrize("conv", [plain_conv, SpectralConv2d])


def normal(purpose: str, *shape: int) -> Tensor:
    return torch.randn(shape, generator=stream(0, purpose), device="cpu")


def new_edge(kind: str, conv: MakeConv = plain_conv, name: str = "edge") -> Any:
    names, stride = SETS[kind]
    with torch.device("cpu"):
        return MixedOp(name, edge_ops(names, conv, CHANNELS, CHANNELS, stride))


@every_set
@every_conv
def test_a_scalar_scales_the_active_operation(kind: str, conv: MakeConv) -> None:
    edge, x = new_edge(kind, conv).eval(), normal("x", 2, CHANNELS, 4, 4)
    one = torch.ones((), device="cpu", requires_grad=True)
    for name in SETS[kind][0]:
        edge.active = name
        alone = weighted_sum(edge, x, {}, rectify=True)
        by_one = weighted_sum(edge, x, {"edge": one}, rectify=True)
        by_half = weighted_sum(edge, x, {"edge": one / 2}, rectify=True)
        if name == "none":
            assert alone is by_one is by_half is None
            continue
        assert torch.equal(by_one, alone)
        assert torch.equal(by_half, alone / 2)
        (gradient,) = torch.autograd.grad(by_one.sum(), one)
        torch.testing.assert_close(gradient, alone.detach().sum(), rtol=1e-4, atol=1e-4)


@every_set
@pytest.mark.parametrize("rectify", [True, False])
def test_weights_add_up_what_the_operations_put_out(kind: str, rectify: bool) -> None:
    edge, x = new_edge(kind), normal("x", 2, CHANNELS, 4, 4)
    weights = normal("weights", len(SETS[kind][0]))
    expected = torch.zeros((), device="cpu")
    for weight, (name, op) in zip(weights, edge.named_children(), strict=True):
        if name != "none":
            expected = expected + weight * op(x.relu() if rectify and "conv" in name else x)
    total = weighted_sum(edge, x, {"edge": weights}, rectify=rectify)
    torch.testing.assert_close(total, expected)


def test_a_node_without_value_puts_out_nothing() -> None:
    edge, x = new_edge("normal"), normal("x", 1, CHANNELS, 2, 2)
    assert weighted_sum(edge, None, {}) is None
    assert fan_out(None, [edge, edge], {}) == [None, None]
    edge.active = None
    assert weighted_sum(edge, x, {}) is None
    assert fan_out(x, [edge, edge], {}) == [None, None]
    assert add(None, None) is None


class Calls(TorchDispatchMode):
    """Lists what runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@every_set
@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize(("side", "num_convolutions"), [(8, 3), (4, 1)])
def test_edges_that_leave_a_node_share_their_convolutions(
    kind: str, rectify: bool, side: int, num_convolutions: int
) -> None:
    """At 4 px the outer taps of the dilated 5x5 all fall beside the image, and are left out."""
    edges: list[nn.Module] = [new_edge(kind, name=str(i)) for i in range(3)]
    weights = {str(i): normal(str(i), len(SETS[kind][0])) for i in range(3)}
    with torch.no_grad(), Calls() as calls:
        fan_out(normal("x", 1, CHANNELS, side, side), edges, weights, rectify=rectify)
    assert calls.names.count("convolution") == num_convolutions
    assert calls.names.count("relu") == rectify


@pytest.mark.parametrize(("split", "num_taps"), [(True, 41), (False, 50)])
def test_a_split_plan_computes_no_tap_twice(split: bool, num_taps: int) -> None:
    shapes = ((1, 1), (3, 1), (5, 1), (3, 2), (5, 2))
    taps = [height * width for (height, width), *_ in plan_kernels(shapes, split=split)]
    assert sum(taps) == num_taps
