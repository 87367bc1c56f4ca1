"""Training frameworks: how generator and discriminator compete, and which discriminator that needs.

Against a spectrally normalised discriminator with one output: `hinge-sn` is SN-GAN's, AutoGAN's and
AdversarialNAS' hinge loss, `rahinge` its relativistic average form (Jolicoeur-Martineau 2019),
`wasserstein` the plain loss of a critic (Arjovsky et al. 2017). With 16 outputs: `mmd`, the
repulsive loss of MMD-GAN (Wang et al. 2019), MMD-AdversarialNAS' choice. Against a critic without
normalisation: `wgan-gp` (Gulrajani et al. 2017), `r3gan` (Huang et al. 2024) and, with dropout,
`ctgan` (Wei et al. 2018), DEGAS' choice. No torch.
"""

from typing import Literal, get_args

from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.genome import Genome, Source
from gan_nas.spaces.schema import DiscriminatorGenome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

Framework = Literal["hinge-sn", "rahinge", "wasserstein", "mmd", "wgan-gp", "ctgan", "r3gan"]
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)

NUM_MMD_OUTPUTS = 16  # of the discriminator in MMD-AdversarialNAS and in Wang et al. 2019
# Frameworks that train the discriminators which were made for another one.
_SHARING: dict[Framework, Framework] = {
    "rahinge": "hinge-sn",
    "wasserstein": "hinge-sn",
    "r3gan": "wgan-gp",
}


def framework_of(discriminator: DiscriminatorGenome) -> Framework:
    """Return the framework that a discriminator was made for."""
    return discriminator.framework


def trains_those_of(framework: Framework) -> Framework:
    """Return the framework whose discriminators this one trains: itself, or the one it shares."""
    return _SHARING.get(framework, framework)


def discriminator_of(framework: Framework, width: int) -> DiscriminatorGenome:
    """Return a framework's own discriminator."""
    match framework:
        case "hinge-sn" | "rahinge" | "wasserstein":
            return SNResNetDiscriminator(space="sn_resnet", width=width)
        case "mmd":
            return SNResNetDiscriminator(space="sn_resnet", width=width, outputs=NUM_MMD_OUTPUTS)
        case "wgan-gp" | "r3gan":
            return CTGANCritic(space="ctgan", width=width, dropout=(0.0, 0.0, 0.0))
        case "ctgan":
            return CTGANCritic(space="ctgan", width=width)


def suited(genome: Genome, framework: Framework) -> Genome:
    """Return the genome that a framework trains.

    A discriminator that it cannot train gives way to this one's own of the same width; the
    genome has no name then: its scores were of another GAN.
    """
    if framework_of(genome.discriminator) == trains_those_of(framework):
        return genome
    own = discriminator_of(framework, genome.discriminator.width)
    known = genome.name or (genome.source and genome.source.where) or genome.genome_id
    source = Source(where=f"{known}, with the discriminator of {framework}"[-300:])
    return Genome(generator=genome.generator, discriminator=own, source=source)
