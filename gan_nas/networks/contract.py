"""The contract of a space's networks.

A space's file here, of the name that it has in `gan_nas/spaces/`, holds NETWORKS: how its
generators compute and, where they are of this name too, its discriminators. Other distributions
name theirs by an entry point of the group `gan_nas.networks`. Each network is written once, with
slots (slots.py): filled with a genome's own operations it is what is trained, filled with all
candidates it is the supernet of all genomes of the same sizes.

A generator has `latent_dim`, maps latents (N, latent_dim) to images (N, image channels, S, S) in
[-1, 1], and ends in a ToRGB (layers.py). A discriminator maps images to scores (N, 1).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from torch import nn

from gan_nas.networks.slots import Choice, Choices, Fill
from gan_nas.spaces.schema import DiscriminatorGenome, GeneratorGenome

N = TypeVar("N", bound=GeneratorGenome | DiscriminatorGenome)


class SpaceNetwork(ABC, Generic[N]):
    """How the generators, or the discriminators, of a space compute."""

    Network: type[nn.Module]

    @abstractmethod
    def choices(self, genome: N) -> Sequence[Choices]:
        """Return the candidate that the genome has in each slot, part by part."""

    @abstractmethod
    def build(
        self, genome: N, fills: Sequence[Fill], resolution: int, image_channels: int
    ) -> nn.Module:
        """Return the Network of a genome's sizes; a fill decides the slots of a part.

        Raises InvalidInput for a resolution that it cannot have.
        """

    @property
    def supernet_fill(self) -> Fill:
        """Return what holds all candidates of a slot: they share weights, one is active."""
        return Choice

    def build_supernet(self, genome: N, resolution: int, image_channels: int) -> nn.Module:
        """Return the Network of all genomes of these sizes, set to none of them."""
        fills = [self.supernet_fill] * len(self.choices(genome))
        return self.build(genome, fills, resolution, image_channels)

    def parts(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the parts, such as cells, in which a token names one choice: here, the whole."""
        return [network]

    def left_out(self, network: nn.Module, genome: N) -> dict[str, str]:
        """Return the candidates of a genome, by token, for which a supernet has no slot."""
        missing: dict[str, str] = {}
        for part, chosen in zip(self.parts(network), self.choices(genome), strict=True):
            slots = {slot.token for slot in part.modules() if isinstance(slot, Choice)}
            missing |= {t: name for t, name in chosen.items() if name and t not in slots}
        return missing


class Networks(NamedTuple):
    """What there is under a name."""

    generator: SpaceNetwork[Any] | None = None
    discriminator: SpaceNetwork[Any] | None = None
