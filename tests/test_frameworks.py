"""Which discriminator a framework trains."""

import pytest

from gan_nas.frameworks import FRAMEWORKS, Framework, framework_of, suited
from gan_nas.genome import Genome
from gan_nas.published import published_genome, published_names
from gan_nas.sampling import SPACES, sample_genomes
from gan_nas.spaces.ctgan import CTGANCritic

GENOMES = [published_genome(name) for name in published_names()]
GENOMES += [genome for space in SPACES for genome in sample_genomes(space, 2, seed=0)]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("genome", GENOMES, ids=lambda genome: genome.title)
def test_every_genome_suits_every_framework(genome: Genome, framework: Framework) -> None:
    trained = suited(genome, framework)
    assert framework_of(trained.discriminator) == framework
    assert trained.generator == genome.generator
    assert trained.discriminator.width == genome.discriminator.width
    assert suited(trained, framework) is trained
    if framework_of(genome.discriminator) == framework:
        assert trained is genome
    else:
        assert trained.name is None
        assert trained.source is not None
        assert str(trained.source.where).endswith(f", with the discriminator of {framework}")


def test_a_new_discriminator_says_whose_it_is() -> None:
    small = published_genome("autogan-cifar10-top1").resized(8, 4)
    trained = suited(small, "ctgan")
    assert trained.discriminator == CTGANCritic(space="ctgan", width=4)
    assert trained.source is not None
    where = "autogan-cifar10-top1 at other widths, with the discriminator of ctgan"
    assert trained.source.where == where
    assert trained.genome_id != small.genome_id
    assert trained.generator_id == small.generator_id


def test_a_critic_without_dropout_is_wgan_gps() -> None:
    still = CTGANCritic(space="ctgan", width=4, dropout=(0.0, 0.0, 0.0))
    assert framework_of(still) == "wgan-gp"
    assert framework_of(CTGANCritic(space="ctgan", width=4)) == "ctgan"
