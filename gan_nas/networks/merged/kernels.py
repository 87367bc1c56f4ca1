"""Merged kernels: one convolution in place of a weighted sum of convolutions."""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

DENSE = 5  # side of the merged kernel


class _Piece(NamedTuple):
    """Where a part of an operation's weight lies in a merged kernel."""

    op: int
    source: tuple[slice, slice]
    place: tuple[slice, slice]


class KernelPlan(NamedTuple):
    """A merged convolution: its geometry, and the weights that go into it."""

    size: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    pieces: list[_Piece]


@cache
def plan_kernels(shapes: tuple[tuple[int, int], ...], *, split: bool) -> list[KernelPlan]:
    """Lay out convolutions of (kernel size, dilation) in as few taps as pays.

    All but the dilated 5x5 lie in a dense 5x5. Where `split`, so do the inner 3x3 taps of the
    dilated 5x5; its top and bottom rows are a 2x5, its outer columns a 3x2 convolution.
    """
    dense = KernelPlan((DENSE, DENSE), (DENSE // 2,) * 2, (1, 1), [])
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
            plans.append(KernelPlan((2, 5), (4, 4), (8, 2), [rows]))
            plans.append(KernelPlan((3, 2), (2, 4), (2, 8), [columns]))
        else:
            whole = _Piece(op, (every, every), (every, every))
            plans.append(KernelPlan((size, size), (4, 4), (dilation, dilation), [whole]))
    return plans


class MergedKernels(torch.autograd.Function):
    """sum_i scale_i weight_i, laid out by plans; edges are stacked along the output channels.

    One node of the graph in place of a slice, a product and a sum for every operation.
    """

    @staticmethod
    def forward(
        ctx: Any, plans: list[KernelPlan], num_edges: int, scales: Tensor, *weights: Tensor
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
    plan: KernelPlan, num_edges: int, num_weights: int
) -> Iterator[tuple[int, _Piece, int]]:
    """Yield each edge, piece, and number of the weight it is a piece of."""
    num_ops = num_weights // num_edges
    for edge in range(num_edges):
        for piece in plan.pieces:
            yield edge, piece, edge * num_ops + piece.op


def _window(kernel: Tensor, edge: int, out_channels: int, piece: _Piece) -> Tensor:
    """Return a piece's places in the rows of its edge, as a view."""
    return kernel.narrow(0, edge * out_channels, out_channels)[:, :, *piece.place]


def reaches(plan: KernelPlan, h: Tensor) -> bool:
    """Tell whether any tap of a kernel meets images so small: outer ones may all fall beside them.

    What they would add is 0; and oneDNN's bf16 convolutions for AMX, as of torch 2.14, crash there.
    """
    taps = zip(plan.size, plan.padding, plan.dilation, h.shape[-2:], strict=True)
    return all(
        any(abs(tap * dilation - padding) < side for tap in range(size))
        for size, padding, dilation, side in taps
    )
