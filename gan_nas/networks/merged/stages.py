"""DEGAS' stage with all operations mixed, computed with a few convolutions.

While all operations are mixed, norms have no weights, so everything that starts with a norm of one
map starts from the same rectified map. All up-samplings of a stage then are one transposed 6x6
convolution with merged kernels over both maps, the 1x1 and 3x3 convolutions of a normal place are
one 3x3, and weights of normalised operations scale in the norm.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_nas.networks.degas import (
    NormConv,
    NormPool,
    NormUp,
    SeparableConv,
    Stage,
    StageNetwork,
)
from gan_nas.networks.merged.resampling import transposed_kernel
from gan_nas.networks.mixing import UNWEIGHTED, Weights, add, scaled, terms_of

KERNEL = 6  # side of the merged up-sampling kernel


class MergedStage(Stage):
    """A stage whose operations share what they have in common."""

    def forward(self, x: Tensor, weights: Weights = UNWEIGHTED) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2H, 2W)."""
        feature_map = FeatureMap(x)
        ups = [(FeatureMap(normal_sum(feature_map, self.normal, weights)), self.up)]
        if self.residual is not None:
            ups.append((feature_map, self.residual))
        return up_sum(ups, weights)


class MergedStageNetwork(StageNetwork):
    """Stages, and a normal place after them whose operations share what they have in common."""

    def normal_sum(self, place: nn.Module, x: Tensor, weights: Weights) -> Tensor:
        """Return what a normal place makes of a map (N, C, H, W)."""
        return normal_sum(FeatureMap(x), place, weights)


class FeatureMap:
    """A feature map, with what several operations make of it first."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._rectified: Tensor | None = None
        self._normalised: Tensor | None = None

    @property
    def rectified(self) -> Tensor:
        """Return the map after ReLU."""
        if self._rectified is None:
            self._rectified = F.relu(self.x)
        return self._rectified

    @property
    def normalised(self) -> Tensor:
        """Return the map after a norm without weights, and ReLU."""
        if self._normalised is None:
            self._normalised = F.relu(_norm(self.x))
        return self._normalised


def normal_sum(feature_map: FeatureMap, place: nn.Module, weights: Weights) -> Tensor:
    """Return what a normal place makes of a map (N, C, H, W)."""
    terms = terms_of(place, weights)
    if len(terms) == 1:
        total = add(*(scaled(s, op(feature_map.x)) for s, op in terms))
        assert total is not None
        return total
    parts: list[Tensor] = []
    kernel: Tensor | None = None
    for scale, op in terms:
        assert scale is not None
        match op:
            case NormConv():
                side = op.conv.kernel_size[0]
                own = F.pad(op.conv.weight * scale, [(3 - side) // 2] * 4)
                kernel = own if kernel is None else kernel + own
            case NormPool():
                parts.append(_norm(op.pool(feature_map.x), scale))
            case SeparableConv():
                parts.append(_separable(feature_map.rectified, [op], scale))
            case nn.Sequential():
                parts.append(_separable(feature_map.rectified, list(op), scale))
            case _:
                parts.append(feature_map.x * scale)
    if kernel is not None:
        parts.append(F.conv2d(feature_map.normalised, kernel, padding=1))
    total = add(*parts)
    assert total is not None
    return total


def up_sum(ups: Sequence[tuple[FeatureMap, nn.Module]], weights: Weights) -> Tensor:
    """Return the sum of what up-sampling places make of their maps: (N, C, 2H, 2W)."""
    sums = [(feature_map, terms_of(place, weights)) for feature_map, place in ups]
    if any(len(terms) == 1 for _, terms in sums):
        total = add(
            *(scaled(s, op(feature_map.x)) for feature_map, terms in sums for s, op in terms)
        )
        assert total is not None
        return total
    kernels = []
    for _, terms in sums:
        kernel: Tensor | None = None
        for scale, op in terms:
            assert scale is not None
            assert isinstance(op, NormUp)
            own = transposed_kernel(op) * scale
            own = F.pad(own, [(KERNEL - own.shape[-1]) // 2] * 4)
            kernel = own if kernel is None else kernel + own
        assert kernel is not None
        kernels.append(kernel)
    h = torch.cat([feature_map.normalised for feature_map, _ in sums], 1)
    return F.conv_transpose2d(h, torch.cat(kernels), stride=2, padding=KERNEL // 2 - 1)


def _separable(rectified: Tensor, layers: Sequence[nn.Module], scale: Tensor) -> Tensor:
    """Return separable convolutions of a rectified map, scaled in the last norm."""
    h = rectified
    for layer in layers:
        assert isinstance(layer, SeparableConv)
        if layer is not layers[0]:
            h = F.relu(h)
        h = layer.pointwise(layer.depthwise(h))
        h = _norm(h, scale if layer is layers[-1] else None)
    return h


def _norm(x: Tensor, scale: Tensor | None = None) -> Tensor:
    """Normalise by the batch's statistics, times a scalar."""
    # Not expanded alone: PyTorch 2.15's backward pass on a CPU reads the weights of channels_last
    # maps as if they lay one after the other, whatever their strides.
    weight = None if scale is None else scale.expand(x.shape[1]).contiguous()
    return F.batch_norm(x, None, None, weight, training=True)
