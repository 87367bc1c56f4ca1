"""Every fast path that equals a paper's form up to rounding, and the one place that chooses.

The networks' files compute in the papers' order. What is merged here is equal up to rounding, with
the same gradients, the same keys and the same weights; only the order of operations differs. A
module changes its form by changing its class for a subclass of the same state.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from torch import nn

from gan_nas.networks.adversarialnas import (
    AdversarialNASDownCell,
    AdversarialNASUpCell,
    DownCellNetwork,
)
from gan_nas.networks.autogan import UpConv
from gan_nas.networks.blocks import ResidualBlock
from gan_nas.networks.degas import NormUp, Stage, StageNetwork
from gan_nas.networks.layers import Projection
from gan_nas.networks.merged.edges import MergedDownCell, MergedDownCellNetwork, MergedUpCell
from gan_nas.networks.merged.resampling import (
    MergedNormUp,
    MergedProjection,
    MergedResidualBlock,
    MergedUpConv,
)
from gan_nas.networks.merged.stages import MergedStage, MergedStageNetwork

MERGED: Mapping[type[nn.Module], type[nn.Module]] = {
    Projection: MergedProjection,
    UpConv: MergedUpConv,
    NormUp: MergedNormUp,
    ResidualBlock: MergedResidualBlock,
    AdversarialNASUpCell: MergedUpCell,
    AdversarialNASDownCell: MergedDownCell,
    DownCellNetwork: MergedDownCellNetwork,
    Stage: MergedStage,
    StageNetwork: MergedStageNetwork,
}
UNMERGED = {merged: module for module, merged in MERGED.items()}

Network = TypeVar("Network", bound=nn.Module)


def merge(network: Network) -> Network:
    """Let a network compute by the fast paths from now on; returns it."""
    for module in network.modules():
        module.__class__ = MERGED.get(type(module), type(module))
    return network


@contextmanager
def published_order(network: nn.Module) -> Iterator[None]:
    """Compute everything in the papers' order for a while, to count or to compare."""
    changed = [module for module in network.modules() if type(module) in UNMERGED]
    for module in changed:
        module.__class__ = UNMERGED[type(module)]
    try:
        yield
    finally:
        for module in changed:
            module.__class__ = MERGED[type(module)]
