"""Training frameworks: how generator and discriminator compete, and which discriminator that needs.

`hinge-sn` is SN-GAN's, AutoGAN's and AdversarialNAS': hinge loss, a spectrally normalised
discriminator. `wgan-gp` (Gulrajani et al. 2017) and `ctgan` (Wei et al. 2018), DEGAS' choice,
need a critic without normalisation, the latter one with dropout. No torch.
"""

from typing import Literal, get_args

from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.genome import Genome, Source
from gan_nas.spaces.schema import DiscriminatorGenome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

Framework = Literal["hinge-sn", "wgan-gp", "ctgan"]
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)


def framework_of(discriminator: DiscriminatorGenome) -> Framework:
    """Return the framework that a discriminator was made for."""
    return discriminator.framework


def discriminator_of(framework: Framework, width: int) -> DiscriminatorGenome:
    """Return a framework's own discriminator."""
    match framework:
        case "hinge-sn":
            return SNResNetDiscriminator(space="sn_resnet", width=width)
        case "wgan-gp":
            return CTGANCritic(space="ctgan", width=width, dropout=(0.0, 0.0, 0.0))
        case "ctgan":
            return CTGANCritic(space="ctgan", width=width)


def suited(genome: Genome, framework: Framework) -> Genome:
    """Return the genome that a framework trains.

    A discriminator made for another framework gives way to this one's own of the same width; the
    genome has no name then: its scores were of another GAN.
    """
    if framework_of(genome.discriminator) == framework:
        return genome
    own = discriminator_of(framework, genome.discriminator.width)
    known = genome.name or (genome.source and genome.source.where) or genome.genome_id
    source = Source(where=f"{known}, with the discriminator of {framework}"[-300:])
    return Genome(generator=genome.generator, discriminator=own, source=source)
