"""Weighted sums of operations, as the papers write them.

In a differentiable search (DARTS; AdversarialNAS, eq. 1; DEGAS, eq. 1) a slot computes
sum_i w_i op_i(x) over its candidates.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.slots import Absent, Choice, MixedOp, selected

# Slot -> its weights: a vector over its candidates; or a scalar that scales the active one, which
# then alone is computed. A slot without weights is its active candidate.
Weights = Mapping[str, Tensor]
UNWEIGHTED: Weights = {}


class Term(NamedTuple):
    """One operation of a sum; scale None stands for 1."""

    scale: Tensor | None
    op: nn.Module


def weighted_sum(
    slot: nn.Module, x: Tensor | None, weights: Weights, *, rectify: bool = False
) -> Tensor | None:
    """Return sum_i w_i op_i(x); None for nothing.

    Where `rectify`, convolutions see relu(x), all else sees x.
    """
    if x is None:
        return None
    parts = []
    for scale, op in terms_of(slot, weights):
        y = op(F.relu(x) if rectify and isinstance(op, nn.Conv2d) else x)
        parts.append(scaled(scale, y))
    return add(*parts)


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


def scaled(scale: Tensor | None, x: Tensor) -> Tensor:
    """Multiply by a scale; None stands for 1."""
    return x if scale is None else x * scale
