"""AutoGAN's operations and every cell of its space: shapes and gradients."""

from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.autogan import AutoGANUpCell, autogan_choices, ups
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.slots import fixed
from gan_nas.spaces.autogan import (
    NUM_CELLS,
    AutoGANCell,
    decode_cell,
    encode_cell,
    enumerate_cells,
)
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


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("name", ["bilinear", "nearest"])
def test_interpolation_is_one_call_to_the_target_size(name: str, factor: int) -> None:
    x = noise(2, CHANNELS, SIDE, SIDE)
    size = (factor * SIDE, factor * SIDE)
    aligned = None if name == "nearest" else False
    expected = F.interpolate(x, size, mode=name, align_corners=aligned)
    assert torch.equal(ups(CHANNELS, factor)[name]()(x), expected)


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
