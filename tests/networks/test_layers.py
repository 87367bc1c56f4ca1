"""Layers that several spaces share."""

import pytest
import torch
from torch.nn import functional as F

from gan_nas.networks.layers import bilinear_by_matrices
from gan_nas.streams import stream


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("sides", [(1, 1), (4, 4), (5, 3)])
def test_bilinear_by_matrices_is_interpolation(
    factor: int, layout: torch.memory_format, sides: tuple[int, int]
) -> None:
    x = torch.randn(2, 3, *sides, generator=stream(0, "x"), device="cpu", dtype=torch.float64)
    first, second = (x.to(memory_format=layout).requires_grad_() for _ in range(2))
    ours = bilinear_by_matrices(first, factor)
    theirs = F.interpolate(second, scale_factor=factor, mode="bilinear", align_corners=False)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn(ours.shape, generator=stream(0, "w"), device="cpu", dtype=torch.float64)
    # Its gradient's gradient is taken where a penalty goes through it.
    slopes, curvatures = [], []
    for y, given in ((ours, first), (theirs, second)):
        slopes += torch.autograd.grad((y**2 * weights).sum(), given, create_graph=True)
        curvatures += torch.autograd.grad(slopes[-1].pow(2).sum(), given)
    torch.testing.assert_close(*slopes)
    torch.testing.assert_close(*curvatures)


def test_bilinear_by_matrices_keeps_channels_last() -> None:
    x = torch.zeros(2, 3, 4, 4, device="cpu").to(memory_format=torch.channels_last)
    assert bilinear_by_matrices(x, 2).is_contiguous(memory_format=torch.channels_last)
