"""Sums over the edges that leave a node: of one operation each, or of all, weighted.

In a differentiable search (DARTS; AdversarialNAS, eq. 1) an edge computes sum_i w_i op_i(x). All
its convolutions see the same rectified x, so their weighted sum is one convolution with a merged
kernel: 1x1, 3x3, 5x5 and dilated 3x3 lie in one dense 5x5, the dilated 5x5 stays beside it. The
edges that leave one node are stacked into the same convolution. 1x1 convolutions move below the
nearest-neighbour up-sampling, `none` is left out. All of it is equal up to rounding, with the same
gradients to weights and operations, and keeps less for the backward pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.separable import SeparableDeconvolution, UpSamplingConv
from gan_nas.networks.slots import Absent, Choice, MixedOp, selected
from gan_nas.networks.spectral import SpectralConv2d

# Edge -> its weights: a vector over its candidates; or a scalar that scales the active one, which
# then alone is computed. An edge without weights is its active candidate.
Weights = Mapping[str, Tensor]
UNWEIGHTED: Weights = {}
Norms = Mapping[nn.Module, Tensor]  # convolution -> largest singular value of its weight
UNKNOWN: Norms = {}
DENSE = 5  # side of the merged kernel


class Term(NamedTuple):
    """One operation of a sum; scale None stands for 1."""

    scale: Tensor | None
    op: nn.Module


def fan_out(
    x: Tensor | None,
    edges: Sequence[nn.Module],
    weights: Weights,
    *,
    norms: Norms = UNKNOWN,
    rectify: bool = True,
    merge: bool = True,
) -> list[Tensor | None]:
    """Return what each edge that leaves node x (N, C, H, W) puts out, None for nothing.

    Convolutions see relu(x) where `rectify`, all else sees x. `merge` False computes operation by
    operation, as the papers write it. `norms` are known spectral norms of convolutions.
    """
    if x is None:
        return [None] * len(edges)
    sums = [terms_of(edge, weights) for edge in edges]
    has_convs = any(isinstance(op, nn.Conv2d) for terms in sums for _, op in terms)
    h = F.relu(x) if rectify and has_convs else x
    if merge and all(len(terms) > 1 for terms in sums):
        return _merged(x, h, sums, norms)
    return [
        add(*(scaled(s, op(h if isinstance(op, nn.Conv2d) else x)) for s, op in terms))
        for terms in sums
    ]


def up_fan_out(
    x: Tensor, edges: Sequence[nn.Module], weights: Weights, *, merge: bool = True
) -> list[Tensor | None]:
    """Return what each up-sampling edge that leaves node x (N, C, H, W) puts out, at 2H, 2W."""
    sums = [terms_of(edge, weights) for edge in edges]
    if not merge:
        return [add(*(scaled(s, op(x)) for s, op in terms)) for terms in sums]
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
        kernel = torch.cat([_times(s, op.conv.weight) for _, s, op in found])
        bias = torch.cat([_times(s, _bias(op.conv)) for _, s, op in found])
        if mode == "nearest":  # commutes with ReLU and convolution
            y = up(F.conv2d(h, kernel, bias))  # (N, edges * C, 2H, 2W)
        else:
            y = F.conv2d(F.relu(up(x)), kernel, bias)
        for (i, _, _), part in zip(found, y.chunk(len(found), 1), strict=True):
            parts[i].append(part)
    for i, terms in enumerate(sums):
        for s, op in terms:
            if isinstance(op, SeparableDeconvolution):
                parts[i].append(F.conv2d(op.spread(h), _times(s, op.pointwise.weight)))
    return [add(*part) for part in parts]


def mandatory(slot: nn.Module, weights: Weights) -> nn.Module:
    """Return what stands in a slot without alternatives; while edges are mixed, it does stand."""
    return next(slot.children()) if weights and isinstance(slot, Choice) else slot


def add(*parts: Tensor | None) -> Tensor | None:
    """Add what is there, out of place; None when nothing is."""
    total: Tensor | None = None
    for part in parts:
        if part is not None:
            total = part if total is None else total + part
    return total


def scaled(scale: Tensor | None, x: Tensor | None) -> Tensor | None:
    """Multiply by a scale; None stands for 1 and for nothing."""
    return None if x is None else _times(scale, x)


def terms_of(edge: nn.Module, weights: Weights) -> list[Term]:
    """Return the operations that an edge sums up, `none` aside."""
    if not isinstance(edge, MixedOp) or edge.token not in weights:
        terms = [Term(None, selected(edge))]
    elif weights[edge.token].dim() == 0:
        terms = [Term(weights[edge.token], selected(edge))]
    else:
        scales = weights[edge.token].unbind()
        terms = [Term(s, op) for s, op in zip(scales, edge.children(), strict=True)]
    return [term for term in terms if not isinstance(term.op, Absent)]


def _merged(
    x: Tensor, h: Tensor, sums: Sequence[Sequence[Term]], norms: Norms
) -> list[Tensor | None]:
    """Sum mixed edges, all of the same candidates: a few convolutions, and what is none."""
    convs = [[(s, op) for s, op in terms if isinstance(op, nn.Conv2d)] for terms in sums]
    shapes = tuple((op.kernel_size[0], op.dilation[0]) for _, op in convs[0])
    # A CPU computes the outer taps of the dilated 5x5 as two small convolutions, since the inner
    # ones have a place in the dense kernel; a GPU has no fast algorithm for such dilations. What is
    # simulated stands for a CPU.
    plans = _plan(shapes, split=h.device.type in ("cpu", "meta"))
    scales, weights, biases = [], [], []
    for pairs in convs:
        for scale, op in pairs:
            assert scale is not None
            # The norm joins the scale: weight / sigma is never stored.
            if isinstance(op, SpectralConv2d):
                scale = scale / (norms[op] if op in norms else op.singular_value())
            scales.append(scale)
            weights.append(op.weight)
        biases.append(torch.stack([_times(s, _bias(op)) for s, op in pairs]).sum(0))
    kernels = _MergedKernels.apply(plans, len(convs), torch.stack(scales), *weights)
    bias: Tensor | None = torch.cat(biases)
    parts = []
    for plan, kernel in zip(plans, kernels, strict=True):
        if not _reaches(plan, h):
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


def _reaches(plan: "_KernelPlan", h: Tensor) -> bool:
    """Tell whether any tap of a kernel meets images so small: outer ones may all fall beside them.

    What they would add is 0; and oneDNN's bf16 convolutions for AMX, as of torch 2.14, crash there.
    """
    taps = zip(plan.size, plan.padding, plan.dilation, h.shape[-2:], strict=True)
    return all(
        any(abs(tap * dilation - padding) < side for tap in range(size))
        for size, padding, dilation, side in taps
    )


class _Piece(NamedTuple):
    """Where a part of an operation's weight lies in a merged kernel."""

    op: int
    source: tuple[slice, slice]
    place: tuple[slice, slice]


class _KernelPlan(NamedTuple):
    """A merged convolution: its geometry, and the weights that go into it."""

    size: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    pieces: list[_Piece]


@cache
def _plan(shapes: tuple[tuple[int, int], ...], *, split: bool) -> list[_KernelPlan]:
    """Lay out convolutions of (kernel size, dilation) in as few taps as pays.

    All but the dilated 5x5 lie in a dense 5x5. Where `split`, so do the inner 3x3 taps of the
    dilated 5x5; its top and bottom rows are a 2x5, its outer columns a 3x2 convolution.
    """
    dense = _KernelPlan((DENSE, DENSE), (DENSE // 2,) * 2, (1, 1), [])
    plans = [dense]
    every, inner, outer = slice(None), slice(1, 4), slice(0, 5, 4)
    for op, (size, dilation) in enumerate(shapes):
        reach = dilation * (size - 1) + 1
        if reach <= DENSE:
            start = (DENSE - reach) // 2
            places = slice(start, start + reach, dilation)
            dense.pieces.append(_Piece(op, (every, every), (places, places)))
        elif split:
            steps = slice(0, DENSE, dilation)
            dense.pieces.append(_Piece(op, (inner, inner), (steps, steps)))
            rows = _Piece(op, (outer, every), (every, every))
            columns = _Piece(op, (inner, outer), (every, every))
            plans.append(_KernelPlan((2, 5), (4, 4), (8, 2), [rows]))
            plans.append(_KernelPlan((3, 2), (2, 4), (2, 8), [columns]))
        else:
            whole = _Piece(op, (every, every), (every, every))
            plans.append(_KernelPlan((size, size), (4, 4), (dilation, dilation), [whole]))
    return plans


class _MergedKernels(torch.autograd.Function):
    """sum_i scale_i weight_i, laid out by plans; edges are stacked along the output channels.

    One node of the graph in place of a slice, a product and a sum for every operation.
    """

    @staticmethod
    def forward(
        ctx: Any, plans: list[_KernelPlan], num_edges: int, scales: Tensor, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the kernels, each (num_edges * O, I, height, width).

        scales: (num_edges * num_ops,); weights: as many of (O, I, size, size), edge by edge.
        """
        ctx.save_for_backward(scales, *weights)
        ctx.plans, ctx.num_edges = plans, num_edges
        channels_last = weights[-1].is_contiguous(memory_format=torch.channels_last)
        out_channels, in_channels = weights[0].shape[:2]
        kernels = []
        for plan in plans:
            kernel = torch.zeros(
                (num_edges * out_channels, *plan.size, in_channels),
                dtype=weights[0].dtype,
                device=weights[0].device,
            ).permute(0, 3, 1, 2)
            for edge, piece, i in _places(plan, num_edges, len(weights)):
                window = _window(kernel, edge, out_channels, piece)
                window.add_(weights[i][:, :, *piece.source] * scales[i])
            kernels.append(kernel if channels_last else kernel.contiguous())
        return tuple(kernels)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of scales and weights, those that are asked for."""
        scales, *weights = ctx.saved_tensors
        out_channels = weights[0].shape[0]
        scale_grads: list[Tensor | float] = [0.0] * len(weights)
        weight_grads = [
            torch.empty_like(weight) if needed else None
            for weight, needed in zip(weights, ctx.needs_input_grad[3:], strict=True)
        ]
        for plan, grad in zip(ctx.plans, grads, strict=True):
            for edge, piece, i in _places(plan, ctx.num_edges, len(weights)):
                window = _window(grad, edge, out_channels, piece)
                weight, weight_grad = weights[i][:, :, *piece.source], weight_grads[i]
                if ctx.needs_input_grad[2]:
                    scale_grads[i] = scale_grads[i] + (window * weight).sum()
                if weight_grad is not None:
                    weight_grad[:, :, *piece.source].copy_(window * scales[i])
        stacked = torch.stack(scale_grads) if ctx.needs_input_grad[2] else None  # type: ignore[arg-type]
        return None, None, stacked, *weight_grads


def _places(
    plan: _KernelPlan, num_edges: int, num_weights: int
) -> Iterator[tuple[int, _Piece, int]]:
    """Yield each edge, piece, and number of the weight it is a piece of."""
    num_ops = num_weights // num_edges
    for edge in range(num_edges):
        for piece in plan.pieces:
            yield edge, piece, edge * num_ops + piece.op


def _window(kernel: Tensor, edge: int, out_channels: int, piece: _Piece) -> Tensor:
    """Return a piece's places in the rows of its edge, as a view."""
    return kernel.narrow(0, edge * out_channels, out_channels)[:, :, *piece.place]


def _bias(conv: nn.Module) -> Tensor:
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    return conv.bias


def _times(scale: Tensor | None, x: Tensor) -> Tensor:
    return x if scale is None else x * scale
