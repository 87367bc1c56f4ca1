"""The only compiler: genome -> generator and discriminator.

Networks are made on the caller's default device and dtype (`with torch.device("cuda"): ...`).
"""

from importlib import import_module
from typing import Any

from torch import nn

from gan_nas.errors import Incompatible
from gan_nas.networks.contract import Networks, SpaceNetwork
from gan_nas.networks.merged import merge
from gan_nas.networks.slots import choose, fixed
from gan_nas.plugins import load_plugin, plugin_names
from gan_nas.spaces import registry
from gan_nas.spaces.schema import DiscriminatorGenome, GeneratorGenome

GROUP = "gan_nas.networks"


def build_generator(genome: GeneratorGenome, resolution: int, image_channels: int = 3) -> nn.Module:
    """Compile a generator for square images of side `resolution`.

    Raises InvalidInput when the cells cannot double some bottom width up to the resolution.
    """
    return _build(genome, resolution, image_channels)


def build_discriminator(
    genome: DiscriminatorGenome, resolution: int, image_channels: int = 3
) -> nn.Module:
    """Compile a discriminator for square images of side `resolution`.

    Raises InvalidInput when its cells cannot halve the resolution.
    """
    return _build(genome, resolution, image_channels)


def build_supernet(
    genome: GeneratorGenome | DiscriminatorGenome, resolution: int, image_channels: int = 3
) -> nn.Module:
    """Build the network of all of a genome's space, with the genome's sizes.

    `choose_cells` sets its slots; the given genome is set first.
    """
    network = network_of(genome).build_supernet(genome, resolution, image_channels)
    choose_cells(network, genome)
    return merge(network)


def choose_cells(supernet: nn.Module, genome: GeneratorGenome | DiscriminatorGenome) -> None:
    """Set every choice of the supernet to the genome."""
    of_space = network_of(genome)
    for part, chosen in zip(of_space.parts(supernet), of_space.choices(genome), strict=True):
        choose(part, chosen)


def network_of(genome: GeneratorGenome | DiscriminatorGenome) -> SpaceNetwork[Any]:
    """Return how networks of a genome's kind are built.

    Raises Incompatible where the distribution of a space brings none, or is broken.
    """
    networks = _load(genome.space)
    kind = "generator" if isinstance(genome, GeneratorGenome) else "discriminator"
    found: SpaceNetwork[Any] | None = getattr(networks, kind)
    if found is None:
        raise Incompatible(f"the networks of the space {genome.space} have no {kind}")
    return found


def _build(
    genome: GeneratorGenome | DiscriminatorGenome, resolution: int, image_channels: int
) -> nn.Module:
    of_space = network_of(genome)
    fills = [fixed(chosen) for chosen in of_space.choices(genome)]
    return merge(of_space.build(genome, fills, resolution, image_channels))


def _load(space: str) -> Networks:
    if space in registry.BUILT_IN or space in registry.DISCRIMINATORS:
        built_in: Networks = import_module(f"gan_nas.networks.{space}").NETWORKS
        return built_in
    if space not in plugin_names(GROUP):
        raise Incompatible(
            f"the space {space} has no networks: its distribution must name them under "
            f"{space} in the entry points {GROUP}"
        )
    found: Networks = load_plugin(GROUP, space, Networks, "the networks")
    return found
