"""Every operation and every cell: shapes, gradients, and the cheaper orders of computing them."""

from collections.abc import Iterator
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from gan_nas.networks.autogan import AutoGANUpCell, autogan_choices, norms, ups
from gan_nas.networks.builder import build_discriminator, build_generator
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.ops import Projection, UpConv, published_order
from gan_nas.networks.slots import Choice, choose, fixed, selected
from gan_nas.spaces.autogan import (
    NORMS,
    NUM_CELLS,
    UPS,
    AutoGANCell,
    decode_cell,
    encode_cell,
    enumerate_cells,
)
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.streams import stream

Module = TypeVar("Module", bound=nn.Module)
CHANNELS = 3
SIDE = 4
CELLS = [
    pytest.param(index, decode_cell(index, tokens), id=f"{index}-{''.join(map(str, tokens))}")
    for index in range(NUM_CELLS)
    for tokens in enumerate_cells(index)
]
EVERY_CELL = pytest.mark.parametrize(("index", "cell"), CELLS)


def noise(*shape: int, purpose: str = "x") -> Tensor:
    return torch.randn(shape, generator=stream(0, purpose), device="cpu", dtype=torch.float64)


def exact(module: Module) -> Module:
    """Initialise a module, in float64."""
    initialise(module, stream(0, "weights"))
    return module.double()


def build_cell(index: int, cell: AutoGANCell, skip_tap: str = "post") -> AutoGANUpCell:
    return exact(AutoGANUpCell(index, CHANNELS, fixed(autogan_choices(cell, index)), skip_tap))


def cell_inputs(index: int, side: int = SIDE) -> tuple[Tensor, list[Tensor]]:
    """Return an input of cell `index` and the skip features of the cells before it."""
    sides = [side >> (index - 1 - j) for j in range(index)]
    skips = [noise(2, CHANNELS, s, s, purpose=f"skip {j}") for j, s in enumerate(sides)]
    return noise(2, CHANNELS, side, side), skips


def gradients(module: nn.Module, outputs: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield each parameter's gradient of a weighted sum of the outputs."""
    names, parameters = zip(*module.named_parameters(), strict=True)
    weights = noise(*outputs.shape, purpose="weights of outputs")
    yield from zip(names, torch.autograd.grad((outputs * weights).sum(), parameters), strict=True)


def assert_equal_orders(module: nn.Module, *inputs: object) -> None:
    """Check outputs and gradients in both orders of computing to 1e-12, relative to the largest."""

    def run() -> Tensor:
        result = module(*inputs)
        return torch.cat([t.flatten() for t in result]) if isinstance(result, tuple) else result

    fast = run()
    fast_gradients = list(gradients(module, fast))
    with published_order(module):
        slow = run()
        slow_gradients = list(gradients(module, slow))
    pairs = [("output", fast.detach(), slow.detach())]
    pairs += [(n, a, b) for (n, a), (_, b) in zip(fast_gradients, slow_gradients, strict=True)]
    # A convolution's bias before a norm has a true gradient of zero: rounding alone is left.
    largest = max(float(gradient.abs().max()) for _, gradient in slow_gradients)
    for name, a, b in pairs:
        scale = float(b.abs().max()) if name == "output" else largest
        assert float((a - b).abs().max()) <= 1e-12 * max(scale, 1.0), name


def macs(module: nn.Module, *inputs: object) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", NORMS)
def test_every_norm_keeps_the_shape_and_lets_the_gradient_through(name: str) -> None:
    norm = exact(norms(CHANNELS)[name]())
    x = noise(2, CHANNELS, SIDE, SIDE).requires_grad_()
    y = norm(x)
    assert y.shape == x.shape
    (y * noise(*y.shape, purpose="weights")).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().min() > 0
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in norm.parameters())
    assert sum(p.numel() for p in norm.parameters()) == (2 * CHANNELS if name == "batch" else 0)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("name", UPS)
def test_every_up_sampling_multiplies_the_sides(name: str, factor: int) -> None:
    up = exact(ups(CHANNELS, factor)[name]())
    x = noise(2, CHANNELS, SIDE, SIDE + 1).requires_grad_()
    y = up(x)
    assert y.shape == (2, CHANNELS, factor * SIDE, factor * (SIDE + 1))
    (y * noise(*y.shape, purpose="weights")).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().min() > 0
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in up.parameters())
    num_weights = CHANNELS * CHANNELS * 4 + CHANNELS  # of a 2x2 deconvolution, each doubling
    assert sum(p.numel() for p in up.parameters()) == num_weights * (
        factor // 2 if name == "deconv" else 0
    )


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("name", ["bilinear", "nearest"])
def test_interpolation_is_one_call_to_the_target_size(name: str, factor: int) -> None:
    x = noise(2, CHANNELS, SIDE, SIDE)
    size = (factor * SIDE, factor * SIDE)
    aligned = None if name == "nearest" else False
    expected = F.interpolate(x, size, mode=name, align_corners=aligned)
    assert torch.equal(ups(CHANNELS, factor)[name]()(x), expected)


def test_names_of_the_space_are_the_candidates_in_its_order() -> None:
    assert tuple(norms(CHANNELS)) == NORMS
    assert set(ups(CHANNELS)) == set(UPS)


def test_slots_of_a_cell_name_every_candidate() -> None:
    cell = AutoGANUpCell(2, CHANNELS, Choice, "post")
    slots: dict[str, set[str]] = {}
    for module in cell.modules():
        if isinstance(module, Choice):
            slots.setdefault(module.token, set()).update(n for n, _ in module.named_children())
    optional = {"absent", "present"}
    assert slots == {
        "conv": {"post", "pre"},
        "norm": set(NORMS),
        "up": set(UPS),
        "shortcut": optional,
        "skip 0": optional,
        "skip 1": optional,
    }


@EVERY_CELL
def test_every_cell_doubles_the_side_and_the_gradient_reaches_everything(
    index: int, cell: AutoGANCell
) -> None:
    assert decode_cell(index, encode_cell(index, cell)) == cell
    network = build_cell(index, cell)
    x, skips = cell_inputs(index)
    inputs = [tensor.requires_grad_() for tensor in (x, *skips)]
    out, tap = network(x, skips)
    assert out.shape == tap.shape == (2, CHANNELS, 2 * SIDE, 2 * SIDE)
    (out * noise(*out.shape, purpose="weights")).sum().backward()
    used = [True, *(j in cell.skips for j in range(index))]
    for tensor, expected in zip(inputs, used, strict=True):
        assert (tensor.grad is not None and bool(tensor.grad.abs().max() > 0)) == expected
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith("bias"):  # a norm cancels the bias before it
            assert parameter.grad.abs().max() > 0, name


@EVERY_CELL
def test_no_cell_modifies_what_it_was_given(index: int, cell: AutoGANCell) -> None:
    network = build_cell(index, cell)
    x, skips = cell_inputs(index)
    given = [x, *skips]
    before = [tensor.clone() for tensor in given]
    versions = [tensor._version for tensor in given]
    out, tap = network(x, skips)
    kept = tap.clone()
    network(out, cell_inputs(index, 2 * SIDE)[1])
    assert torch.equal(tap, kept)
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
    assert [tensor._version for tensor in given] == versions


@EVERY_CELL
def test_every_cell_is_the_same_in_the_published_order(index: int, cell: AutoGANCell) -> None:
    network = build_cell(index, cell)
    assert_equal_orders(network, *cell_inputs(index))


@pytest.mark.parametrize("name", UPS)
def test_up_sampling_and_convolution_are_the_same_in_the_published_order(name: str) -> None:
    module = exact(UpConv(CHANNELS, ups(CHANNELS)[name]()))
    assert_equal_orders(module, noise(2, CHANNELS, SIDE, SIDE + 1))


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("name", UPS)
def test_projections_are_the_same_in_the_published_order(name: str, factor: int) -> None:
    module = exact(Projection(CHANNELS, ups(CHANNELS, factor)[name]()))
    assert_equal_orders(module, noise(2, CHANNELS, SIDE, SIDE + 1))


@pytest.mark.parametrize("name", UPS)
@pytest.mark.parametrize("op", [UpConv, Projection])
def test_an_up_sampling_in_a_slot_is_the_one_without(op: type[nn.Module], name: str) -> None:
    slotted = exact(op(CHANNELS, Choice("up", ups(CHANNELS))))
    choose(slotted, {"up": name})
    plain = op(CHANNELS, selected(slotted.get_submodule("up"))).double()
    plain.get_submodule("conv").load_state_dict(slotted.get_submodule("conv").state_dict())
    x = noise(2, CHANNELS, SIDE, SIDE)
    assert torch.equal(slotted(x), plain(x))


@pytest.mark.parametrize("num_active_cells", [1, 2, 3])
@pytest.mark.parametrize("training", [True, False])
def test_the_discriminator_is_the_same_in_the_published_order(
    num_active_cells: int, training: bool
) -> None:
    genome = SNResNetDiscriminator(space="sn_resnet", width=CHANNELS)
    side = 4 << num_active_cells
    images = noise(2, 3, side, side)

    def once() -> nn.Module:
        network = exact(build_discriminator(genome, 32))
        network.num_active_cells = num_active_cells
        network(images)
        return network.train(training)

    fast, slow = once(), once()  # two, since each forward pass of train mode moves u and v
    with published_order(slow):
        expected = slow(images)
    torch.testing.assert_close(fast(images), expected, rtol=1e-12, atol=1e-12)
    if not training:
        return
    fast(images).sum().backward()
    with published_order(slow):
        slow(images).sum().backward()
    for (name, a), b in zip(fast.named_parameters(), slow.parameters(), strict=True):
        if b.grad is None:
            assert a.grad is None, name
        else:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-11, atol=1e-11)
    for a, b in zip(fast.buffers(), slow.buffers(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("seed", range(3))
def test_generators_are_the_same_in_the_published_order(seed: int) -> None:
    genome = sample_genomes("autogan", 1, seed=seed, width=CHANNELS)[0].generator
    network = exact(build_generator(genome, 16))
    assert_equal_orders(network, noise(2, 128))


def test_the_published_order_lasts_only_for_its_block() -> None:
    module = UpConv(CHANNELS, ups(CHANNELS)["nearest"]())
    x = noise(1, CHANNELS, SIDE, SIDE).float()
    cheap = macs(module, x)
    with published_order(module):
        assert macs(module, x) == CHANNELS * CHANNELS * 9 * 4 * SIDE**2
        assert macs(module, x) > cheap
    assert macs(module, x) == cheap


def test_the_published_order_ends_with_an_error() -> None:
    module = UpConv(CHANNELS, ups(CHANNELS)["nearest"]())
    x = noise(1, CHANNELS, SIDE, SIDE).float()
    cheap = macs(module, x)
    with pytest.raises(RuntimeError, match="channels"), published_order(module):
        module(x[:, :1])
    assert macs(module, x) == cheap


def test_the_published_order_is_of_one_network_alone() -> None:
    first, second = (Projection(CHANNELS, ups(CHANNELS)["nearest"]()) for _ in range(2))
    x = noise(1, CHANNELS, SIDE, SIDE).float()
    with published_order(first):
        assert macs(first, x) == 4 * macs(second, x)
