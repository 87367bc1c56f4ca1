"""Merged kernels equal the plain sum of operations: values and all gradients, in float64."""

import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from gan_nas.networks import mixing
from gan_nas.networks.adversarialnas import (
    AdversarialNASDownCell,
    AdversarialNASUpCell,
    DownCellNetwork,
    UpCellNetwork,
    edge_ops,
)
from gan_nas.networks.builder import (
    build_discriminator,
    build_generator,
    build_supernet,
    choose_cells,
)
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.layers import MakeConv, plain_conv
from gan_nas.networks.mixing import add, fan_out, scaled, up_fan_out
from gan_nas.networks.ops import published_order
from gan_nas.networks.slots import Choice, MixedOp, choose, inherited_state, mixed
from gan_nas.networks.spectral import SpectralConv2d
from gan_nas.spaces.adversarialnas import (
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    DownCell,
    FirstDownCell,
    UpCell,
    candidates,
    decode_generator,
    sample_discriminator,
)
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.streams import stream

CHANNELS, BATCH = 3, 2
ODD_SIZES = [(1, 1), (2, 2), (3, 3), (7, 5)]
EVEN_SIZES = [(2, 2), (2, 6), (4, 4), (8, 6)]


class Kind(NamedTuple):
    """A set of candidates that edges have."""

    names: tuple[str, ...]
    in_channels: int
    stride: int
    rectify: bool
    sizes: list[tuple[int, int]]


KINDS = {
    "normal": Kind(candidates(UpCell)["1-3"], CHANNELS, 1, True, ODD_SIZES),
    "entry": Kind(candidates(FirstDownCell)["0-1"], 2, 1, False, ODD_SIZES),
    "down": Kind(candidates(DownCell)["2-4"], CHANNELS, 2, True, EVEN_SIZES),
}
CONVS: dict[str, MakeConv] = {"ordinary": plain_conv, "spectral": SpectralConv2d}
UPS = candidates(UpCell)["0-1"]
kinds = pytest.mark.parametrize("kind", KINDS)
convs = pytest.mark.parametrize("conv", CONVS)


@pytest.fixture(params=[True, False], ids=["split", "whole"])
def split(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Lay out kernels as for a CPU (split), or as for other devices."""
    forced: bool = request.param
    plan = mixing._plan
    monkeypatch.setattr(mixing, "_plan", lambda shapes, *, split: plan(shapes, split=forced))
    return forced


def normal(purpose: str, *shape: int) -> Tensor:
    random_stream = stream(0, purpose)
    return torch.randn(shape, generator=random_stream, dtype=torch.float64, device="cpu")


def drawn(network: Any) -> Any:
    """Draw a network's weights, the biases and vectors too, in float64."""
    network.double()
    initialise(network, stream(0, "weights"))
    return network


def new_edges(kind: str, num: int, conv: str = "ordinary") -> nn.ModuleList:
    names, in_channels, stride, *_ = KINDS[kind]
    ops = edge_ops(names, CONVS[conv], in_channels, CHANNELS, stride)
    return drawn(nn.ModuleList(MixedOp(f"edge {i}", ops) for i in range(num)))


def new_up_edges(num: int) -> nn.ModuleList:
    ops = edge_ops(UPS, plain_conv, CHANNELS, CHANNELS)
    return drawn(nn.ModuleList(MixedOp(f"edge {i}", ops) for i in range(num)))


def new_input(kind: str, size: tuple[int, int], memory: torch.memory_format) -> Tensor:
    x = normal(f"input {size}", BATCH, KINDS[kind].in_channels, *size)
    return x.contiguous(memory_format=memory)


def new_weights(slots: nn.Module) -> dict[str, Tensor]:
    """Weigh the candidates of each edge; negative weights are no probabilities, but allowed."""
    found = [slot for slot in slots.modules() if isinstance(slot, MixedOp)]
    return {slot.token: normal(slot.token, len(list(slot.children()))) for slot in found}


class Outcome(NamedTuple):
    """All that a computation gives: outputs, gradients by name, and buffers after it."""

    outputs: list[Tensor]
    gradients: dict[str, Tensor | None]
    buffers: dict[str, Tensor]


def outcome(
    module: nn.Module,
    inputs: dict[str, Tensor],
    weights: dict[str, Tensor],
    run: Callable[[nn.Module, dict[str, Tensor], dict[str, Tensor]], Sequence[Tensor | None]],
) -> Outcome:
    """Run a copy of the module, and differentiate with respect to everything."""
    module = deepcopy(module)
    inputs, weights = (
        {name: tensor.clone().requires_grad_() for name, tensor in tensors.items()}
        for tensors in (inputs, weights)
    )
    outputs = [output for output in run(module, inputs, weights) if output is not None]
    loss = torch.stack(
        [(output * normal(f"seen {i}", *output.shape)).sum() for i, output in enumerate(outputs)]
    ).sum()
    trained = inputs | weights | {k: p for k, p in module.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    return Outcome(
        [output.detach() for output in outputs],
        dict(zip(trained, gradients, strict=True)),
        dict(module.named_buffers()),
    )


def assert_same(one: Outcome, other: Outcome, rtol: float = 1e-10, atol: float = 1e-11) -> None:
    assert len(one.outputs) == len(other.outputs)
    for a, b in zip(one.outputs, other.outputs, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol)
    for a, b in ((one.gradients, other.gradients), (one.buffers, other.buffers)):
        assert a.keys() == b.keys()
        for name in a:
            assert (a[name] is None) == (b[name] is None), name
            if a[name] is not None:
                torch.testing.assert_close(
                    a[name], b[name], rtol=rtol, atol=atol, msg=lambda m, name=name: f"{name}: {m}"
                )


def fanned_out(kind: str, merge: bool) -> Callable[..., Sequence[Tensor | None]]:
    rectify = KINDS[kind].rectify
    return lambda edges, inputs, weights: fan_out(
        inputs["x"], list(edges), weights, rectify=rectify, merge=merge
    )


def up_fanned_out(merge: bool) -> Callable[..., Sequence[Tensor | None]]:
    return lambda edges, inputs, weights: up_fan_out(inputs["x"], list(edges), weights, merge=merge)


@kinds
@convs
@pytest.mark.parametrize("num_edges", [1, 2, 3])
def test_merged_equals_the_sum(split: bool, kind: str, conv: str, num_edges: int) -> None:
    edges = new_edges(kind, num_edges, conv)
    weights = new_weights(edges)
    for size in KINDS[kind].sizes:
        x = new_input(kind, size, torch.contiguous_format)
        merged, plain = (
            outcome(edges, {"x": x}, weights, fanned_out(kind, merge)) for merge in (True, False)
        )
        assert len(merged.outputs) == num_edges
        stride = KINDS[kind].stride
        assert merged.outputs[0].shape[2:] == (size[0] // stride, size[1] // stride)
        assert_same(merged, plain)


@kinds
@convs
@pytest.mark.parametrize("kernels", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("images", [torch.contiguous_format, torch.channels_last], ids=str)
def test_in_every_memory_format(
    split: bool, kind: str, conv: str, kernels: torch.memory_format, images: torch.memory_format
) -> None:
    edges = new_edges(kind, 2, conv)
    weights, x = new_weights(edges), new_input(kind, (6, 4), images)
    plain = outcome(edges, {"x": x}, weights, fanned_out(kind, merge=False))
    edges = edges.to(memory_format=kernels)
    merged = outcome(edges, {"x": x}, weights, fanned_out(kind, merge=True))
    assert_same(merged, plain)


@pytest.mark.parametrize("num_edges", [1, 2, 3])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last], ids=str)
def test_merged_up_sampling_equals_the_sum(num_edges: int, memory: torch.memory_format) -> None:
    edges = new_up_edges(num_edges)
    weights = new_weights(edges)
    for size in ODD_SIZES:
        x = normal(f"input {size}", BATCH, CHANNELS, *size).contiguous(memory_format=memory)
        merged, plain = (
            outcome(edges, {"x": x}, weights, up_fanned_out(merge)) for merge in (True, False)
        )
        assert len(merged.outputs) == num_edges
        assert merged.outputs[0].shape == (BATCH, CHANNELS, 2 * size[0], 2 * size[1])
        assert_same(merged, plain)


@pytest.mark.parametrize("ops", [(a, b) for a in UPS for b in UPS], ids="-".join)
def test_up_sampling_edges_of_one_operation_each(ops: tuple[str, str]) -> None:
    """As in derived networks: edges of the same operation share a convolution."""
    edges = new_up_edges(2)
    for edge, name in zip(edges, ops, strict=True):
        edge.active = name
    x = normal("x", BATCH, CHANNELS, 3, 2)
    scales = {"edge 1": normal("scale", 1)[0]}
    for weights in ({}, scales):
        merged, plain = (
            outcome(edges, {"x": x}, weights, up_fanned_out(merge)) for merge in (True, False)
        )
        assert_same(merged, plain)


@pytest.mark.parametrize("index", range(3))
def test_merged_up_cell_equals_the_sum(split: bool, index: int) -> None:
    cell = drawn(AdversarialNASUpCell(index, CHANNELS, mixed))
    inputs = {"x": normal("x", BATCH, CHANNELS, 4, 4)}
    for j in range(index):
        side = 8 >> (index - j)
        inputs[f"skip {j}"] = normal(f"skip {j}", BATCH, CHANNELS, side, side)

    def run(cell: Any, inputs: dict[str, Tensor], weights: dict[str, Tensor]) -> Any:
        x, *skips = inputs.values()
        return cell(x, skips, weights)

    assert_cell_order_is_free(cell, inputs, run)


@convs
@pytest.mark.parametrize("index", [0, 1])
def test_merged_down_cell_equals_the_sum(split: bool, conv: str, index: int) -> None:
    in_channels = 2 if index == 0 else CHANNELS
    cell = drawn(AdversarialNASDownCell(index, in_channels, CHANNELS, mixed))
    cell.train(conv == "spectral")  # in eval mode u and v stay

    def run(cell: Any, inputs: dict[str, Tensor], weights: dict[str, Tensor]) -> Any:
        return [cell(inputs["x"], weights)]

    assert_cell_order_is_free(cell, {"x": normal("x", BATCH, in_channels, 6, 4)}, run)


def assert_cell_order_is_free(cell: nn.Module, inputs: dict[str, Tensor], run: Any) -> None:
    weights = new_weights(cell)
    merged = outcome(cell, inputs, weights, run)
    with published_order(cell):
        plain = outcome(cell, inputs, weights, run)
    assert_same(merged, plain)
    assert all(grad is not None for grad in merged.gradients.values())


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("merge", [True, False])
def test_one_power_iteration_a_forward_pass(training: bool, frozen: bool, merge: bool) -> None:
    edges = new_edges("normal", 2, "spectral").train(training).requires_grad_(not frozen)
    expected = deepcopy(edges)
    for conv in expected.modules():
        if isinstance(conv, SpectralConv2d) and training:
            matrix = conv.weight.detach().flatten(1)
            v = matrix.t() @ conv.weight_u
            u = matrix @ v
            conv.weight_v.copy_(v / v.norm())
            conv.weight_u.copy_(u / u.norm())
    with torch.no_grad() if frozen else torch.enable_grad():
        fan_out(normal("x", 1, CHANNELS, 3, 3), list(edges), new_weights(edges), merge=merge)
    for (name, ours), theirs in zip(edges.named_buffers(), expected.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14, msg=name)


def test_a_later_forward_pass_does_not_disturb_an_earlier_ones_gradients(split: bool) -> None:
    """Power iterations move u and v between the passes over real and fake images."""
    edges = new_edges("normal", 2, "spectral")
    weights = new_weights(edges)

    def run(merge: bool) -> Callable[..., Sequence[Tensor | None]]:
        def twice(edges: Any, inputs: dict[str, Tensor], weights: dict[str, Tensor]) -> Any:
            return [
                output
                for x in inputs.values()
                for output in fan_out(x, list(edges), weights, merge=merge)
            ]

        return twice

    inputs = {name: normal(name, BATCH, CHANNELS, 4, 4) for name in ("real", "fake")}
    assert_same(
        *(outcome(edges, inputs, weights, run(merge)) for merge in (True, False)),
    )


@kinds
@convs
def test_frozen_weights_get_no_gradient_but_mixing_weights_do(
    split: bool, kind: str, conv: str
) -> None:
    edges = new_edges(kind, 2, conv)
    inputs = {"x": new_input(kind, (4, 4), torch.contiguous_format)}
    weights = new_weights(edges)
    full = outcome(edges, inputs, weights, fanned_out(kind, merge=True))
    edges.requires_grad_(False)
    frozen = outcome(edges, inputs, weights, fanned_out(kind, merge=True))
    expected = {name: full.gradients[name] for name in frozen.gradients}
    assert expected.keys() == {"x", *weights}
    assert_same(frozen, full._replace(gradients=expected), 0, 0)


@kinds
@convs
def test_frozen_mixing_weights_leave_the_others_gradients(
    split: bool, kind: str, conv: str
) -> None:
    edges = new_edges(kind, 2, conv)
    inputs = {"x": new_input(kind, (4, 4), torch.contiguous_format)}
    weights = new_weights(edges)
    full = outcome(edges, inputs, weights, fanned_out(kind, merge=True))

    def run(edges: Any, inputs: Any, weights: Any) -> Sequence[Tensor | None]:
        fixed = {edge: weight.detach() for edge, weight in weights.items()}
        return fanned_out(kind, merge=True)(edges, inputs, fixed)

    frozen = outcome(edges, inputs, weights, run)
    assert all(frozen.gradients[edge] is None for edge in weights)
    expected = full.gradients | dict.fromkeys(weights)
    assert_same(frozen, full._replace(gradients=expected), 1e-12, 1e-13)


def test_a_single_frozen_operation(split: bool) -> None:
    edges = new_edges("normal", 2, "spectral")
    inputs, weights = {"x": normal("x", BATCH, CHANNELS, 4, 4)}, new_weights(edges)
    edges[1].dil_conv_5x5.requires_grad_(False)
    assert_same(
        *(outcome(edges, inputs, weights, fanned_out("normal", merge)) for merge in (True, False))
    )


@kinds
@convs
def test_gradient_reaches_every_mixing_weight_but_nones(kind: str, conv: str) -> None:
    edges = new_edges(kind, 3, conv)
    inputs = {"x": new_input(kind, (4, 4), torch.contiguous_format)}
    weights = new_weights(edges)
    gradients = outcome(edges, inputs, weights, fanned_out(kind, merge=True)).gradients
    for edge in weights:
        gradient = gradients[edge]
        assert gradient is not None
        assert dict(zip(KINDS[kind].names, (gradient != 0).tolist(), strict=True)) == {
            name: name != "none" for name in KINDS[kind].names
        }


@convs
def test_gradients_are_those_of_finite_differences(
    split: bool, conv: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "narrow", KINDS["normal"]._replace(in_channels=1))
    monkeypatch.setattr(f"{__name__}.CHANNELS", 1)
    edges = new_edges("narrow", 2, conv).eval()
    weights = {edge: weight.requires_grad_() for edge, weight in new_weights(edges).items()}
    x = normal("x", 1, 1, 3, 3).requires_grad_()
    inputs = (x, *weights.values(), *edges.parameters())

    def run(*_: Tensor) -> tuple[Tensor | None, ...]:  # gradcheck moves the inputs in place
        return tuple(fan_out(x, list(edges), weights))

    assert torch.autograd.gradcheck(run, inputs)


@convs
def test_gradient_penalties_can_be_differentiated(split: bool, conv: str) -> None:
    """The norm of the gradient with respect to images is itself a loss of some critics."""
    edges = new_edges("normal", 2, conv)
    inputs, weights = {"x": normal("x", BATCH, CHANNELS, 4, 4)}, new_weights(edges)

    def run(merge: bool) -> Callable[..., Sequence[Tensor]]:
        def penalty(edges: Any, inputs: dict[str, Tensor], weights: Any) -> list[Tensor]:
            outputs = fan_out(inputs["x"], list(edges), weights, merge=merge)
            total = torch.stack([out.square().sum() for out in outputs if out is not None]).sum()
            return list(torch.autograd.grad(total, inputs["x"], create_graph=True))

        return penalty

    assert_same(*(outcome(edges, inputs, weights, run(merge)) for merge in (True, False)))


@kinds
@convs
def test_in_mixed_precision(split: bool, kind: str, conv: str) -> None:
    """Convolutions run in bfloat16; kernels are merged, and gradients kept, in float32."""
    edges = new_edges(kind, 2, conv).float()
    inputs = {"x": new_input(kind, (4, 4), torch.contiguous_format).float()}
    weights = {edge: weight.float() for edge, weight in new_weights(edges).items()}
    exact = outcome(edges, inputs, weights, fanned_out(kind, merge=True))

    def run(*arguments: Any) -> Sequence[Tensor | None]:
        with torch.autocast("cpu", torch.bfloat16):
            return fanned_out(kind, merge=True)(*arguments)

    rough = outcome(edges, inputs, weights, run)
    assert all(gradient.dtype == torch.float32 for gradient in rough.gradients.values())
    for mine, theirs in zip(rough.outputs, exact.outputs, strict=True):
        torch.testing.assert_close(mine.double(), theirs.double(), rtol=0.03, atol=0.1)
        assert not torch.equal(mine.double(), theirs.double())
    for name, buffer in rough.buffers.items():
        assert torch.equal(buffer, exact.buffers[name])


class Convolutions(TorchDispatchMode):
    """Counts what runs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@kinds
@pytest.mark.parametrize(("side", "num_split"), [(8, 3), (4, 1)])
def test_edges_that_leave_a_node_share_their_convolutions(
    split: bool, kind: str, side: int, num_split: int
) -> None:
    """At 4 px the outer taps of the dilated 5x5 all fall beside the image, and are left out."""
    edges = new_edges(kind, 3)
    x = new_input(kind, (side, side), torch.contiguous_format)
    with torch.no_grad(), Convolutions() as counted:
        fan_out(x, list(edges), new_weights(edges), rectify=KINDS[kind].rectify)
    assert counted.calls.count("convolution") == (num_split if split else 2)
    assert counted.calls.count("relu") == KINDS[kind].rectify


def test_a_split_plan_computes_no_tap_twice(split: bool) -> None:
    shapes = ((1, 1), (3, 1), (5, 1), (3, 2), (5, 2))
    taps = [height * width for (height, width), *_ in mixing._plan(shapes, split=split)]
    assert sum(taps) == (41 if split else 50)


def test_a_node_without_value_puts_out_nothing() -> None:
    edges = list(new_edges("normal", 2))
    assert fan_out(None, edges, {}) == [None, None]
    for edge in edges:
        edge.active = None
    assert fan_out(normal("x", 1, CHANNELS, 2, 2), edges, {}) == [None, None]
    assert add(None, None) is None
    assert scaled(torch.ones((), device="cpu"), None) is None


@kinds
@convs
@pytest.mark.parametrize("merge", [True, False])
def test_a_scalar_scales_the_active_operation(kind: str, conv: str, merge: bool) -> None:
    edges = new_edges(kind, 2, conv)
    x = new_input(kind, (4, 4), torch.contiguous_format)
    one = torch.ones((), dtype=torch.float64, device="cpu", requires_grad=True)
    for name in KINDS[kind].names:
        for edge in edges:
            edge.active = name
        copies = [deepcopy(edges) for _ in range(3)]
        options = {"rectify": KINDS[kind].rectify, "merge": merge}
        alone, by_one, by_half = (
            fan_out(x, list(copy), weights, **options)
            for copy, weights in zip(
                copies, ({}, {"edge 0": one, "edge 1": one}, {"edge 1": one / 2}), strict=True
            )
        )
        if name == "none":
            assert by_one == by_half == alone == [None, None]
            continue
        for ours, theirs in zip(by_one, alone, strict=True):
            assert torch.equal(ours, theirs)
        assert torch.equal(by_half[0], alone[0])
        torch.testing.assert_close(by_half[1], alone[1] / 2, rtol=1e-12, atol=1e-14)
        (gradient,) = torch.autograd.grad(by_one[0].sum() + by_one[1].sum(), one)
        expected = (alone[0].sum() + alone[1].sum()).detach()
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


@convs
def test_edges_that_mix_and_edges_that_do_not_may_leave_one_node(conv: str) -> None:
    edges = new_edges("normal", 2, conv)
    edges[0].active = edges[1].active = "conv_3x3"
    inputs = {"x": normal("x", BATCH, CHANNELS, 4, 4)}
    vectors = new_weights(edges)
    scalar = torch.full((), 0.5, dtype=torch.float64, device="cpu")
    for weights in (
        {"edge 0": vectors["edge 0"]},
        {"edge 1": vectors["edge 1"]},
        {"edge 0": vectors["edge 0"], "edge 1": scalar},
        {"edge 0": scalar, "edge 1": vectors["edge 1"]},
    ):
        assert_same(
            *(
                outcome(edges, inputs, weights, fanned_out("normal", merge))
                for merge in (True, False)
            )
        )


# Whole networks: a supernet with one-hot weights is the network that the genome describes.

GENERATORS = [g.generator for g in sample_genomes("adversarialnas", 50, seed=0, width=4)]
DISCRIMINATORS = [sample_discriminator(random.Random(seed), 4) for seed in range(50)]
LAST_DEAD = [[0, 1, 3, 2, 3, 0, 3], [1, 2, 3, 0, 3, 3, 2], [2, 0, 3, 3, 3, 2, 0]]
ALL_DEAD = [[0, 1, 3, 2, 3, 0, 0], [1, 2, 3, 0, 3, 3, 0], [2, 0, 0, 3, 3, 0, 0]]
MIDDLE_USED = [[0, 1, 3, 2, 3, 0, 0], [1, 2, 3, 0, 3, 3, 1], [2, 0, 3, 3, 0, 4, 0]]
DEAD = [decode_generator(matrix, 4) for matrix in (LAST_DEAD, ALL_DEAD, MIDDLE_USED)]
LIVE = decode_generator([[0, 1, 3, 3, 3, 3, 3]] * 3, 4)
RESOLUTION = 16
Searched = AdversarialNASGenerator | AdversarialNASDiscriminator
SuperNetwork = UpCellNetwork | DownCellNetwork


def name_of(genome: Searched) -> str:
    return " ".join(op[:1] + op[-1:] for cell in genome.cells for op in cell.edges.values())


class Pair(NamedTuple):
    """Two supernets of the same weights: one is set to genomes, the other mixes."""

    chosen: SuperNetwork
    mixing: SuperNetwork
    buffers: list[Tensor]

    def restore(self) -> None:
        """Take back what forward passes moved."""
        for network in (self.chosen, self.mixing):
            for buffer, value in zip(network.buffers(), self.buffers, strict=True):
                buffer.copy_(value)


@pytest.fixture(scope="module")
def pairs() -> dict[type, Pair]:
    return {type(genome): new_pair(genome) for genome in (LIVE, DISCRIMINATORS[0])}


def new_pair(genome: Searched) -> Pair:
    chosen, mixing = new_supernet(genome), new_supernet(genome)
    return Pair(chosen, mixing, [buffer.clone() for buffer in mixing.buffers()])


def new_supernet(genome: Searched) -> SuperNetwork:
    if isinstance(genome, AdversarialNASGenerator):
        return drawn(build_supernet(genome, RESOLUTION))
    return drawn(build_supernet(genome, RESOLUTION))


def derived_network(supernet: SuperNetwork, genome: Searched) -> nn.Module:
    """Build the genome's own network, with the supernet's weights; leaves the supernet chosen."""
    choose_cells(supernet, genome)
    if isinstance(genome, AdversarialNASGenerator):
        network: nn.Module = build_generator(genome, RESOLUTION)
    else:
        network = build_discriminator(genome, RESOLUTION)
    network.double().load_state_dict(inherited_state(supernet), strict=True)
    return network


def network_input(genome: Searched) -> Tensor:
    if isinstance(genome, AdversarialNASGenerator):
        return normal("z", BATCH, 120)
    return normal("images", BATCH, 3, RESOLUTION, RESOLUTION)


def one_hot(genome: Searched) -> list[dict[str, Tensor]]:
    return [
        {
            edge: torch.tensor([float(name == op) for name in names], device="cpu").double()
            for (edge, names), op in zip(
                candidates(type(cell)).items(), cell.edges.values(), strict=True
            )
        }
        for cell in genome.cells
    ]


def run_and_differentiate(
    network: nn.Module, x: Tensor, weights: list[dict[str, Tensor]] | None = None
) -> Tensor:
    network.zero_grad()
    y = network(x, weights)
    (y * normal("seen", *y.shape)).sum().backward()
    return y.detach()  # type: ignore[no-any-return]


@pytest.mark.parametrize("genome", [*GENERATORS, *DEAD, *DISCRIMINATORS], ids=name_of)
def test_a_supernet_set_to_a_genome_is_its_own_network(
    pairs: dict[type, Pair], genome: Searched
) -> None:
    """Chosen, or with one-hot weights operation by operation: bit for bit; merged: 1e-12."""
    pair = pairs[type(genome)]
    pair.restore()
    derived = derived_network(pair.chosen, genome)
    x = network_input(genome)
    expected = run_and_differentiate(derived, x)
    assert torch.equal(run_and_differentiate(pair.chosen, x), expected)
    merged = run_and_differentiate(pair.mixing, x, one_hot(genome))
    torch.testing.assert_close(merged, expected, rtol=1e-12, atol=1e-13)

    own = {id(tensor): key for key, tensor in inherited_state(pair.chosen).items()}
    inherited = dict(derived.named_parameters())
    both = zip(pair.chosen.named_parameters(), pair.mixing.parameters(), strict=True)
    for (name, of_chosen), of_mixing in both:
        if id(of_chosen) in own:
            grad = inherited.pop(own[id(of_chosen)]).grad
            assert grad is not None, f"{name} is built, but changes nothing"
            assert torch.equal(of_chosen.grad, grad), name
            torch.testing.assert_close(of_mixing.grad, grad, rtol=1e-9, atol=1e-11)
        else:
            assert of_chosen.grad is None, name
            assert of_mixing.grad is None or not of_mixing.grad.any(), name
    assert not inherited

    pair.restore()
    derived.load_state_dict(inherited_state(pair.chosen))
    with torch.no_grad(), published_order(derived), published_order(pair.mixing):
        assert torch.equal(pair.mixing(x, one_hot(genome)), derived(x))


@pytest.mark.parametrize("genome", [*GENERATORS[:10], *DEAD, *DISCRIMINATORS[:10]], ids=name_of)
def test_inherited_keys_are_the_derived_networks(genome: Searched) -> None:
    supernet = new_supernet(genome)
    derived = derived_network(supernet, genome)
    assert not any(isinstance(module, Choice) for module in derived.modules())
    names = {id(t): k for k, t in (*supernet.named_parameters(), *supernet.named_buffers())}
    for key, tensor in inherited_state(supernet).items():
        module: nn.Module = supernet
        kept = []
        for part in names[id(tensor)].split("."):
            if not isinstance(module, Choice):
                kept.append(part)
            module = getattr(module, part)
        assert ".".join(kept) == key


@pytest.mark.parametrize(
    ("genome", "absent"),
    [
        (DEAD[0], ["2.edges.1-3", "2.edges.2-3", "2.skips"]),
        (
            DEAD[1],
            [
                *("0.edges.1-3", "0.edges.2-3", "0.edges.0-2", "1.edges.1-3", "1.skips"),
                *("2.edges.2-3", "2.edges.0-2", "2.skips"),
            ],
        ),
        (DEAD[2], ["2.edges.1-3", "2.edges.2-3", "2.edges.0-1", "2.skips"]),
    ],
    ids=["last", "all", "last alone"],
)
def test_dead_parts_are_not_built(genome: AdversarialNASGenerator, absent: list[str]) -> None:
    keys = build_generator(genome, RESOLUTION).state_dict().keys()
    found = {part for part in absent for key in keys if key.startswith(f"cells.{part}")}
    assert not found
    if genome is DEAD[2]:  # the first cell's node 3 goes into the second's, which is used
        assert "cells.0.edges.1-3.weight" in keys
        assert "cells.1.skips.0.conv.weight" in keys


@pytest.mark.parametrize("genome", DEAD, ids=name_of)
def test_mixing_does_not_depend_on_what_was_chosen(genome: AdversarialNASGenerator) -> None:
    """A supernet that was set to a genome with dead skips still mixes with all of them."""
    fresh, used = new_supernet(LIVE), new_supernet(genome)
    used.load_state_dict(fresh.state_dict())
    weights = [new_weights(cell) for cell in fresh.cells]
    z = network_input(genome)
    with torch.no_grad():
        assert torch.equal(fresh(z, weights), used(z, weights))


@pytest.mark.parametrize("genome", [GENERATORS[0], *DEAD, DISCRIMINATORS[1]], ids=name_of)
def test_scalars_of_one_are_the_chosen_genome(genome: Searched) -> None:
    supernet = new_supernet(genome)
    derived = derived_network(supernet, genome)
    built = {
        (int(key.split(".")[1]), key.split(".")[3])
        for key in derived.state_dict()
        if ".edges." in key
    }
    weights = [
        {
            edge: torch.ones((), dtype=torch.float64, device="cpu", requires_grad=True)
            for edge in cell.edges
        }
        for cell in genome.cells
    ]
    x = network_input(genome)
    expected = run_and_differentiate(derived, x)
    assert torch.equal(run_and_differentiate(supernet, x, weights), expected)
    for index, cell in enumerate(weights):
        for edge, weight in cell.items():
            if (index, edge) in built:
                assert weight.grad is not None
                assert float(weight.grad) != 0
    own = {id(tensor) for tensor in inherited_state(supernet).values()}
    idle = [p for p in supernet.parameters() if id(p) not in own]
    assert idle
    assert all(p.grad is None for p in idle)


def test_choosing_sets_every_slot() -> None:
    supernet = new_supernet(GENERATORS[0])
    for cell in supernet.cells:
        choose(cell, dict.fromkeys((*candidates(UpCell), "skip 0", "skip 1")))
    assert all(slot.active is None for slot in supernet.modules() if isinstance(slot, Choice))
    assert list(inherited_state(supernet)) == [
        key for key in inherited_state(build_generator(DEAD[0], RESOLUTION)) if "cells" not in key
    ]


# What is kept, and where it works.


@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_merged_supernets_keep_at_most_half_for_the_backward_pass(role: str) -> None:
    """What a further image in a batch adds: all memory that the graph keeps alive."""
    with torch.device("meta"):
        if role == "generator":
            network: SuperNetwork = build_supernet(LIVE.model_copy(update={"width": 16}), 32)
            batches = [torch.empty(n, 120) for n in (1, 2)]
        else:
            genome = DISCRIMINATORS[0].model_copy(update={"width": 16})
            network = build_supernet(genome, 32)
            batches = [torch.empty(n, 3, 32, 32) for n in (1, 2)]
        weights = [empty_weights(cell) for cell in network.cells]
    network.eval()  # power iterations keep nothing

    def image_bytes() -> int:
        one, two = (bytes_kept(network, batch, weights) for batch in batches)
        return two - one

    merged = image_bytes()
    with published_order(network):
        plain = image_bytes()
    assert 0 < merged <= plain / 2


def bytes_kept(network: nn.Module, x: Tensor, weights: list[dict[str, Tensor]]) -> int:
    """Sum the storages that autograd keeps, weights aside."""
    own = {t.untyped_storage()._cdata for t in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = network(x, weights)  # alive, so that no storage's place is used again
    assert y.requires_grad
    return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in own)


def test_on_the_meta_device() -> None:
    with torch.device("meta"):
        generator = build_supernet(LIVE, 32)
        discriminator = build_supernet(DISCRIMINATORS[0], 32)
        images = generator(torch.empty(2, 120), [empty_weights(cell) for cell in generator.cells])
        scores = discriminator(images, [empty_weights(cell) for cell in discriminator.cells])
    assert images.shape == (2, 3, 32, 32)
    assert scores.shape == (2, 1)
    scores.sum().backward()
    assert all(p.grad is not None for p in (*generator.parameters(), *discriminator.parameters()))


def empty_weights(cell: nn.Module) -> dict[str, Tensor]:
    return {
        slot.token: torch.empty(len(list(slot.children())), requires_grad=True)
        for slot in cell.modules()
        if isinstance(slot, MixedOp)
    }


@kinds
def test_with_another_default_device(kind: str) -> None:
    edges = new_edges(kind, 2, "spectral")
    up_edges = new_up_edges(2)
    inputs = {"x": new_input(kind, (4, 4), torch.contiguous_format)}
    weights, up_weights = new_weights(edges), new_weights(up_edges)
    here = outcome(edges, inputs, weights, fanned_out(kind, merge=True))
    with torch.device("meta"):
        there = outcome(edges, inputs, weights, fanned_out(kind, merge=True))
        x = {"x": normal("x", BATCH, CHANNELS, 2, 2)}
        up = outcome(up_edges, x, up_weights, up_fanned_out(merge=True))
    assert_same(here, there, 0, 0)
    assert all(output.device.type == "cpu" for output in up.outputs)
