"""Edges that leave a node of AdversarialNAS' cells, computed together.

All convolutions of an edge see the same rectified x, so their weighted sum is one convolution with
a merged kernel: 1x1, 3x3, 5x5 and dilated 3x3 lie in one dense 5x5, the dilated 5x5 stays beside
it. The edges that leave one node are stacked into the same convolution. 1x1 convolutions move below
the nearest-neighbour up-sampling, `none` is left out. It keeps less for the backward pass, too.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.adversarialnas import (
    AdversarialNASDownCell,
    AdversarialNASUpCell,
    DownCellNetwork,
    SeparableDeconvolution,
    UpSamplingConv,
)
from gan_nas.networks.merged.kernels import MergedKernels, plan_kernels, reaches
from gan_nas.networks.merged.norms import largest_singular_values
from gan_nas.networks.mixing import Term, Weights, add, scaled, terms_of
from gan_nas.networks.spectral import SpectralConv2d

Norms = Mapping[nn.Module, Tensor]  # convolution -> largest singular value of its weight
UNKNOWN: Norms = {}


class MergedUpCell(AdversarialNASUpCell):
    """An Up-Cell whose edges are computed together."""

    def up_sampled(self, x: Tensor, weights: Weights, *names: str) -> list[Tensor | None]:
        """Return what the up-sampling edges put out."""
        return up_fan_out(x, [self.edges[name] for name in names], weights)

    def leaving(self, x: Tensor | None, weights: Weights, *names: str) -> list[Tensor | None]:
        """Return what edges that leave one node put out."""
        return fan_out(x, [self.edges[name] for name in names], weights)


class MergedDownCell(AdversarialNASDownCell):
    """A Down-Cell whose edges are computed together."""

    norms: Norms = UNKNOWN

    def leaving(
        self, x: Tensor | None, weights: Weights, *names: str, rectify: bool = True
    ) -> list[Tensor | None]:
        """Return what edges that leave one node put out."""
        edges = [self.edges[name] for name in names]
        return fan_out(x, edges, weights, norms=self.norms, rectify=rectify)


class MergedDownCellNetwork(DownCellNetwork):
    """Down-Cells that know the spectral norms of a mixture beforehand, computed together."""

    def forward(self, images: Tensor, weights: Sequence[Weights] | None = None) -> Tensor:
        """Map images (N, image channels, S, S) in [-1, 1] to scores (N, 1), unbounded."""
        if weights is None or not any(w.dim() for w in weights[0].values()):
            return super().forward(images, weights)
        convs = [module for module in self.modules() if isinstance(module, SpectralConv2d)]
        norms: Norms = dict(zip(convs, largest_singular_values(convs), strict=True))
        cells = [cell for cell in self.cells if isinstance(cell, MergedDownCell)]
        try:
            for cell in cells:
                cell.norms = norms
            return super().forward(images, weights)
        finally:
            for cell in cells:
                cell.norms = UNKNOWN


def fan_out(
    x: Tensor | None,
    edges: Sequence[nn.Module],
    weights: Weights,
    *,
    norms: Norms = UNKNOWN,
    rectify: bool = True,
) -> list[Tensor | None]:
    """Return what each edge that leaves node x (N, C, H, W) puts out, None for nothing.

    Convolutions see relu(x) where `rectify`, computed once; all else sees x. `norms` are known
    spectral norms of convolutions.
    """
    if x is None:
        return [None] * len(edges)
    sums = [terms_of(edge, weights) for edge in edges]
    has_convs = any(isinstance(op, nn.Conv2d) for terms in sums for _, op in terms)
    h = F.relu(x) if rectify and has_convs else x
    if all(len(terms) > 1 for terms in sums):
        return _merged(x, h, sums, norms)
    return [
        add(*(scaled(s, op(h if isinstance(op, nn.Conv2d) else x)) for s, op in terms))
        for terms in sums
    ]


def up_fan_out(x: Tensor, edges: Sequence[nn.Module], weights: Weights) -> list[Tensor | None]:
    """Return what each up-sampling edge that leaves node x (N, C, H, W) puts out, at 2H, 2W."""
    sums = [terms_of(edge, weights) for edge in edges]
    h = F.relu(x)
    parts: list[list[Tensor | None]] = [[] for _ in edges]
    for mode in ("nearest", "bilinear"):
        found = [
            (i, s, op)
            for i, terms in enumerate(sums)
            for s, op in terms
            if isinstance(op, UpSamplingConv) and op.up.mode == mode
        ]
        if not found:
            continue
        up = found[0][2].up
        kernel = torch.cat([scaled(s, op.conv.weight) for _, s, op in found])
        bias = torch.cat([scaled(s, _bias(op.conv)) for _, s, op in found])
        if mode == "nearest":  # commutes with ReLU and convolution
            y = up(F.conv2d(h, kernel, bias))  # (N, edges * C, 2H, 2W)
        else:
            y = F.conv2d(F.relu(up(x)), kernel, bias)
        for (i, _, _), part in zip(found, y.chunk(len(found), 1), strict=True):
            parts[i].append(part)
    for i, terms in enumerate(sums):
        for s, op in terms:
            if isinstance(op, SeparableDeconvolution):
                parts[i].append(F.conv2d(op.spread(h), scaled(s, op.pointwise.weight)))
    return [add(*part) for part in parts]


def _merged(
    x: Tensor, h: Tensor, sums: Sequence[Sequence[Term]], norms: Norms
) -> list[Tensor | None]:
    """Sum mixed edges, all of the same candidates: a few convolutions, and what is none."""
    convs = [[(s, op) for s, op in terms if isinstance(op, nn.Conv2d)] for terms in sums]
    shapes = tuple((op.kernel_size[0], op.dilation[0]) for _, op in convs[0])
    # A CPU computes the outer taps of the dilated 5x5 as two small convolutions, since the inner
    # ones have a place in the dense kernel; a GPU has no fast algorithm for such dilations. What is
    # simulated stands for a CPU.
    plans = plan_kernels(shapes, split=h.device.type in ("cpu", "meta"))
    scales, weights, biases = [], [], []
    for pairs in convs:
        for scale, op in pairs:
            assert scale is not None
            # The norm joins the scale: weight / sigma is never stored.
            if isinstance(op, SpectralConv2d):
                scale = scale / (norms[op] if op in norms else op.singular_value())
            scales.append(scale)
            weights.append(op.weight)
        biases.append(torch.stack([scaled(s, _bias(op)) for s, op in pairs]).sum(0))
    kernels = MergedKernels.apply(plans, len(convs), torch.stack(scales), *weights)
    bias: Tensor | None = torch.cat(biases)
    parts = []
    for plan, kernel in zip(plans, kernels, strict=True):
        if not reaches(plan, h):
            continue
        stride = convs[0][0][1].stride
        parts.append(F.conv2d(h, kernel, bias, stride, plan.padding, plan.dilation))
        bias = None  # is in the first
    y = add(*parts)
    assert y is not None
    outputs: list[Tensor | None] = []
    for part, terms in zip(y.chunk(len(sums), 1), sums, strict=True):
        others = [scaled(s, op(x)) for s, op in terms if not isinstance(op, nn.Conv2d)]
        outputs.append(add(part, *others))
    return outputs


def _bias(conv: nn.Module) -> Tensor:
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    return conv.bias
