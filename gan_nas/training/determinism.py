"""Which operations of a genome's training sum in an order that a GPU leaves to chance.

A step of each network is made on the meta device, where every operation passes by with its name and
nothing is computed, and looked up among those for which PyTorch has no deterministic kernel.
"""

from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gan_nas.machine.repeatable import repeatable
from gan_nas.networks.simulation import META
from gan_nas.spaces.genome import Genome
from gan_nas.training.config import TrainingConfig
from gan_nas.training.plan import new_gan, training_phase

GPU = torch.device("cuda")
# Of PyTorch 2.14, as `torch.use_deterministic_algorithms` lists them.
NOT_DETERMINISTIC = frozenset(
    {
        *("avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward"),
        *("adaptive_max_pool2d_backward", "fractional_max_pool2d_backward"),
        *("fractional_max_pool3d_backward", "max_unpool2d", "max_unpool3d"),
        *("upsample_linear1d_backward", "upsample_bilinear2d_backward"),
        *("upsample_bicubic2d_backward", "upsample_trilinear3d_backward"),
        *("_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward"),
        *("reflection_pad1d_backward", "reflection_pad2d_backward", "reflection_pad3d_backward"),
        *("nll_loss2d_forward", "_ctc_loss_backward", "put_", "histc", "bincount", "median"),
        *("grid_sampler_2d_backward", "grid_sampler_3d_backward"),
    }
)


class Looked(NamedTuple):
    """What a training consists of, and what of it is left to chance on a GPU."""

    operations: int
    """Different ones that a step of each network calls."""
    by_chance: tuple[str, ...]
    """Names of those that have no deterministic kernel there."""


class _Names(TorchDispatchMode):
    """Notes the names of all operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[str] = set()

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call an operation and note its name."""
        self.seen.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def look_at_operations(
    genome: Genome, config: TrainingConfig, resolution: int, image_channels: int
) -> Looked:
    """Return the operations of a genome's training on a GPU; needs none, and allocates nothing."""
    gan = new_gan(genome, config, resolution, image_channels, META)
    phase = training_phase(gan, genome, config, resolution, image_channels)
    with repeatable(GPU), _Names() as names:  # as it trains there: some layers have another form
        phase.first()
        phase.second()
    return Looked(len(names.seen), tuple(sorted(names.seen & NOT_DETERMINISTIC)))
