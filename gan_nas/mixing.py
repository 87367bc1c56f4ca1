"""Sums over the edges that leave a node: of one operation each, or of all, weighted.

In a differentiable search (DARTS; AdversarialNAS, eq. 1) an edge computes sum_i w_i op_i(x). All
its convolutions see the same rectified x, so their weighted sum is one convolution with a merged
kernel: 1x1, 3x3, 5x5 and dilated 3x3 lie in one dense 5x5, the dilated 5x5 stays beside it. The
edges that leave one node are stacked into the same convolution. 1x1 convolutions move below the
nearest-neighbour up-sampling, `none` is left out. All of it is equal up to rounding, with the same
gradients to weights and operations, and keeps less for the backward pass.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.ops import SeparableDeconvolution, UpSamplingConv
from gan_nas.slots import Absent, MixedOp, selected
from gan_nas.spectral import SpectralConv2d

# Edge -> its weights: a vector over its candidates; or a scalar that scales the active one, which
# then alone is computed. An edge without weights is its active candidate.
Weights = Mapping[str, Tensor]
UNWEIGHTED: Weights = {}
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
    rectify: bool = True,
    merge: bool = True,
) -> list[Tensor | None]:
    """Return what each edge that leaves node x (N, C, H, W) puts out, None for nothing.

    Convolutions see relu(x) where `rectify`, all else sees x. `merge` False computes operation by
    operation, as the papers write it.
    """
    if x is None:
        return [None] * len(edges)
    sums = [terms_of(edge, weights) for edge in edges]
    has_convs = any(isinstance(op, nn.Conv2d) for terms in sums for _, op in terms)
    h = F.relu(x) if rectify and has_convs else x
    if merge and len(sums[0]) > 1:
        return _merged(x, h, sums)
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
                parts[i].append(F.conv2d(op.depthwise(h), _times(s, op.pointwise.weight)))
    return [add(*part) for part in parts]


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


def _merged(x: Tensor, h: Tensor, sums: Sequence[Sequence[Term]]) -> list[Tensor | None]:
    """Sum mixed edges, all of the same candidates: two convolutions, and what is none."""
    convs = [[t for t in terms if isinstance(t.op, nn.Conv2d)] for terms in sums]
    first = [op for _, op in convs[0] if isinstance(op, nn.Conv2d)]
    stride = first[0].stride
    near = [i for i, op in enumerate(first) if _reach(op) <= DENSE]
    far = [i for i, op in enumerate(first) if _reach(op) > DENSE]
    bias = torch.cat([_mixed_bias(terms) for terms in convs])
    y = F.conv2d(h, _kernel(convs, near), bias, stride, padding=DENSE // 2)
    for i in far:
        op = first[i]
        y = y + F.conv2d(h, _kernel(convs, [i]), None, stride, op.padding, op.dilation)
    outputs: list[Tensor | None] = []
    for part, terms in zip(y.chunk(len(sums), 1), sums, strict=True):
        others = [scaled(s, op(x)) for s, op in terms if not isinstance(op, nn.Conv2d)]
        outputs.append(add(part, *others))
    return outputs


def _kernel(convs: Sequence[Sequence[Term]], chosen: Sequence[int]) -> Tensor:
    """Merge the chosen convolutions of each edge; edges are stacked along the output channels."""
    terms = [edge[i] for edge in convs for i in chosen]
    scales, weights, steps = [], [], []
    for scale, op in terms:
        assert isinstance(op, nn.Conv2d)
        assert scale is not None
        # The norm joins the scale: weight / sigma is never stored.
        scales.append(scale / op.singular_value() if isinstance(op, SpectralConv2d) else scale)
        weights.append(op.weight)
        steps.append(op.dilation[0])
    if len(chosen) == 1:
        steps = [1] * len(terms)  # alone in its kernel, which is dilated as a whole
    kernel: Tensor = _MergedKernel.apply(tuple(steps), len(convs), torch.stack(scales), *weights)
    return kernel


class _MergedKernel(torch.autograd.Function):
    """sum_i scale_i weight_i with smaller kernels centred in the largest, edges stacked.

    One node of the graph in place of a slice, a product and a sum for every operation.
    """

    @staticmethod
    def forward(
        ctx: Any, steps: tuple[int, ...], num_edges: int, scales: Tensor, *weights: Tensor
    ) -> Tensor:
        """Return the kernel (num_edges * O, I, side, side); `steps` are dilations within it."""
        ctx.save_for_backward(scales, *weights)
        num = len(weights) // num_edges
        sides = [_side(w, step) for w, step in zip(weights, steps, strict=True)]
        ctx.side, ctx.steps = max(sides), steps
        out_channels, in_channels = weights[0].shape[:2]
        cl = weights[-1].is_contiguous(memory_format=torch.channels_last)
        kernel = torch.zeros(
            (num_edges * out_channels, in_channels, ctx.side, ctx.side),
            dtype=weights[0].dtype,
            device=weights[0].device,
        ).contiguous(memory_format=torch.channels_last if cl else torch.contiguous_format)
        for i, (weight, step) in enumerate(zip(weights, steps, strict=True)):
            edge = kernel.narrow(0, i // num * out_channels, out_channels)
            _window(edge, weight, step).add_(weight * scales[i])
        return kernel

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Return the gradients of scales and weights."""
        scales, *weights = ctx.saved_tensors
        num_edges = grad.shape[0] // weights[0].shape[0]
        num = len(weights) // num_edges
        scale_grads: list[Tensor] = []
        weight_grads: list[Tensor | None] = []
        for i, (weight, step) in enumerate(zip(weights, ctx.steps, strict=True)):
            edge = grad.narrow(0, i // num * weight.shape[0], weight.shape[0])
            window = _window(edge, weight, step)
            if ctx.needs_input_grad[2]:
                scale_grads.append((window * weight).sum())
            weight_grads.append(window * scales[i] if ctx.needs_input_grad[3 + i] else None)
        return None, None, torch.stack(scale_grads) if scale_grads else None, *weight_grads


def _window(kernel: Tensor, weight: Tensor, step: int) -> Tensor:
    """Return the places of a centred smaller kernel, `step` apart, as a view."""
    reach = _side(weight, step)
    start = (kernel.shape[-1] - reach) // 2
    places = slice(start, start + reach, step)
    return kernel[..., places, places]


def _side(weight: Tensor, step: int) -> int:
    return step * (weight.shape[-1] - 1) + 1


def _reach(conv: nn.Conv2d) -> int:
    return _side(conv.weight, conv.dilation[0])


def _mixed_bias(terms: Sequence[Term]) -> Tensor:
    return torch.stack([_times(s, _bias(op)) for s, op in terms]).sum(0)


def _bias(conv: nn.Module) -> Tensor:
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    return conv.bias


def _times(scale: Tensor | None, x: Tensor) -> Tensor:
    return x if scale is None else x * scale
