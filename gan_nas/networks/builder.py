"""The only compiler: genome -> generator and discriminator.

Networks are made on the caller's default device and dtype (`with torch.device("cuda"): ...`).
"""

from collections.abc import Sequence
from typing import Any, overload

from torch import nn

from gan_nas.errors import InvalidInput
from gan_nas.networks.adversarialnas import DownCellNetwork, UpCellNetwork, adversarialnas_choices
from gan_nas.networks.autogan import AutoGANNetwork, autogan_choices
from gan_nas.networks.ctgan import Critic
from gan_nas.networks.degas import StageNetwork
from gan_nas.networks.slots import Choice, Choices, Fill, choose, fixed, mixed
from gan_nas.networks.sn_resnet import SNResNet
from gan_nas.spaces.adversarialnas import AdversarialNASDiscriminator, AdversarialNASGenerator
from gan_nas.spaces.autogan import AutoGANGenerator
from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.degas import DEGASGenerator, operations
from gan_nas.spaces.genome import DiscriminatorGenome, GeneratorGenome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

MAX_RESOLUTION = 512

GeneratorNetwork = AutoGANNetwork | UpCellNetwork | StageNetwork


def build_generator(
    genome: GeneratorGenome, resolution: int, image_channels: int = 3
) -> GeneratorNetwork:
    """Compile a generator for square images of side `resolution`.

    Raises InvalidInput when the cells cannot double some bottom width up to the resolution.
    """
    match genome:
        case AutoGANGenerator():
            fills = [fixed(autogan_choices(cell, i)) for i, cell in enumerate(genome.cells)]
            return _autogan_network(genome, fills, resolution, image_channels)
        case AdversarialNASGenerator():
            fills = [fixed(choices) for choices in adversarialnas_choices(genome.cells)]
            return _up_cell_network(genome, fills, resolution, image_channels)
        case DEGASGenerator():
            chosen = operations(genome)
            return _stage_network(
                genome,
                fixed(chosen),
                resolution,
                image_channels,
                residuals=[stage.residual is not None for stage in genome.stages],
                has_final_normal=genome.final_normal is not None,
            )


@overload
def build_supernet(
    genome: AutoGANGenerator, resolution: int, image_channels: int = 3
) -> AutoGANNetwork: ...


@overload
def build_supernet(
    genome: AdversarialNASGenerator, resolution: int, image_channels: int = 3
) -> UpCellNetwork: ...


def build_supernet(
    genome: AutoGANGenerator | AdversarialNASGenerator, resolution: int, image_channels: int = 3
) -> AutoGANNetwork | UpCellNetwork:
    """Build the network of all of a genome's space, with the genome's sizes.

    AutoGAN's slots are Choices that share weights, AdversarialNAS' are MixedOps. `choose_cells`
    sets them; the given genome is set first.
    """
    network: AutoGANNetwork | UpCellNetwork
    match genome:
        case AutoGANGenerator():
            choices = [Choice] * len(genome.cells)
            network = _autogan_network(genome, choices, resolution, image_channels)
        case AdversarialNASGenerator():
            mixtures = [mixed] * len(genome.cells)
            network = _up_cell_network(genome, mixtures, resolution, image_channels)
    choose_cells(network, genome)
    return network


def build_stage_supernet(
    genome: DEGASGenerator,
    resolution: int,
    image_channels: int = 3,
    *,
    stem_residual: bool = False,
    final_normal: bool = False,
) -> StageNetwork:
    """Build the network of all of DEGAS' space, with the genome's sizes; the genome is set first.

    The two variants are places that a genome may leave empty.
    """
    network = _stage_network(
        genome,
        mixed,
        resolution,
        image_channels,
        residuals=[bool(index) or stem_residual for index in range(len(genome.stages))],
        has_final_normal=final_normal,
        searching=True,
    )
    choose_cells(network, genome)
    return network


def build_super_discriminator(
    genome: AdversarialNASDiscriminator, resolution: int, image_channels: int = 3
) -> DownCellNetwork:
    """Build the network of all discriminators, with the genome's width; the genome is set first."""
    fills = [mixed] * len(genome.cells)
    network = _down_cell_network(genome, fills, resolution, image_channels)
    choose_cells(network, genome)
    return network


def choose_cells(
    supernet: nn.Module,
    genome: GeneratorGenome | AdversarialNASDiscriminator,
) -> None:
    """Set every choice of the supernet to the genome."""
    choices: Sequence[Choices]
    match genome:
        case DEGASGenerator():
            choose(supernet, operations(genome))
            return
        case AutoGANGenerator():
            choices = [autogan_choices(cell, index) for index, cell in enumerate(genome.cells)]
        case _:
            choices = adversarialnas_choices(genome.cells)
    cells = supernet.get_submodule("cells").children()
    for cell, chosen in zip(cells, choices, strict=True):
        choose(cell, chosen)


def build_discriminator(
    genome: DiscriminatorGenome, resolution: int, image_channels: int = 3
) -> SNResNet | DownCellNetwork | Critic:
    """Compile a discriminator for square images of side `resolution`.

    Raises InvalidInput when its cells cannot halve the resolution.
    """
    match genome:
        case SNResNetDiscriminator():
            if not 4 <= resolution <= MAX_RESOLUTION:
                raise InvalidInput(f"resolution {resolution}: allowed is 4 to {MAX_RESOLUTION}")
            return SNResNet(genome.width, image_channels)
        case CTGANCritic():
            bottom_width(resolution, 2)  # refuses what cannot be halved twice
            return Critic(genome.width, image_channels, genome.dropout)
        case AdversarialNASDiscriminator():
            fills = [fixed(choices) for choices in adversarialnas_choices(genome.cells)]
            return _down_cell_network(genome, fills, resolution, image_channels)


def _autogan_network(
    genome: AutoGANGenerator, fills: Sequence[Fill], resolution: int, image_channels: int
) -> AutoGANNetwork:
    return AutoGANNetwork(
        fills,
        genome.width,
        genome.latent_dim,
        bottom_width(resolution, len(fills)),
        image_channels,
        genome.skip_tap,
    )


def _up_cell_network(
    genome: AdversarialNASGenerator, fills: Sequence[Fill], resolution: int, image_channels: int
) -> UpCellNetwork:
    return UpCellNetwork(
        fills,
        genome.width,
        genome.latent_dim,
        genome.num_latent_parts,
        bottom_width(resolution, len(fills)),
        image_channels,
    )


def _stage_network(
    genome: DEGASGenerator, fill: Fill, resolution: int, image_channels: int, **variant: Any
) -> StageNetwork:
    side = bottom_width(resolution, len(genome.stages))
    return StageNetwork(fill, genome.width, genome.latent_dim, side, image_channels, **variant)


def _down_cell_network(
    genome: AdversarialNASDiscriminator, fills: Sequence[Fill], resolution: int, image_channels: int
) -> DownCellNetwork:
    bottom_width(resolution, len(fills))  # refuses what cannot be halved as often
    return DownCellNetwork(fills, genome.width, image_channels)


def bottom_width(resolution: int, num_cells: int) -> int:
    """Return the side of the stem's output; raises InvalidInput when it is not whole."""
    if not 0 < resolution <= MAX_RESOLUTION or resolution % 2**num_cells:
        raise InvalidInput(
            f"resolution {resolution} does not suit {num_cells} cells: it must be a multiple of "
            f"{2**num_cells}, at most {MAX_RESOLUTION}"
        )
    return resolution >> num_cells
