"""Which discriminator a framework trains."""

from pathlib import Path

import pytest
import tiny

from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.frameworks import (
    FRAMEWORKS,
    Framework,
    framework_of,
    suited,
    trains_those_of,
)
from gan_nas.spaces.genome import Genome, read_genome
from gan_nas.spaces.published import published_genome, published_names
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.registry import BUILT_IN, load_space
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

GENOMES = [published_genome(name) for name in published_names()]
GENOMES += [genome for space in BUILT_IN for genome in sample_genomes(space, 2, seed=0)]
FEWER_STEPS: dict[str, dict[str, int]] = {
    "autogan": {"discriminator_steps": 2, "controller_steps": 1, "num_candidates": 2},
    "adversarialnas": {"iterations": 2},
    "degas": {"iterations": 2},
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("genome", GENOMES, ids=lambda genome: genome.title)
def test_every_genome_suits_every_framework(genome: Genome, framework: Framework) -> None:
    trained = suited(genome, framework)
    assert framework_of(trained.discriminator) == trains_those_of(framework)
    assert trained.generator == genome.generator
    assert trained.discriminator.width == genome.discriminator.width
    assert suited(trained, framework) is trained
    if framework_of(genome.discriminator) == trains_those_of(framework):
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


def test_a_discriminator_of_several_outputs_is_mmds() -> None:
    one = SNResNetDiscriminator(space="sn_resnet", width=4)
    several = SNResNetDiscriminator(space="sn_resnet", width=4, outputs=2)
    assert (framework_of(one), framework_of(several)) == ("hinge-sn", "mmd")
    assert (one.words, several.words) == ("sn_resnet, width 4", "sn_resnet, width 4, 2 outputs")


def test_one_output_is_not_written_and_so_ids_outlive_the_field() -> None:
    genome = published_genome("autogan-cifar10-top1")
    written = genome.model_copy(
        update={"discriminator": SNResNetDiscriminator(space="sn_resnet", width=128, outputs=1)}
    )
    assert written.genome_id == genome.genome_id
    assert "outputs" not in written.to_json()


@pytest.mark.parametrize("space", BUILT_IN)
def test_drawn_and_found_genomes_of_a_space_are_trained_alike(space: str, tmp_path: Path) -> None:
    """Else a baseline of random genomes would differ from the search's by more than its choice."""
    tiny.RUNS[space](tmp_path / "run", seed=3, num_scored=20, **FEWER_STEPS[space])
    files = [path for folder in ("genomes", "history") for path in tmp_path.glob(f"run/{folder}/*")]
    found = [read_genome(path) for path in files]
    drawn = sample_genomes(space, 3, seed=0, width=4, discriminator_width=4)
    assert found
    for genome in (*found, *drawn):
        assert genome.discriminator == load_space(space).discriminator(4)
        assert framework_of(genome.discriminator) == load_space(space).framework


def test_published_genomes_are_trained_as_their_spaces_search_was() -> None:
    for genome in GENOMES:
        controls = ("sngan-cifar10", "ctgan-cifar10")
        if genome.name not in controls and framework_of(genome.discriminator) != "mmd":
            space = load_space(genome.generator.space)
            assert framework_of(genome.discriminator) == space.framework
