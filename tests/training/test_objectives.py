"""What each framework minimises, and that it can be minimised for every genome."""

import pytest
import torch
from torch import Tensor

from gan_nas.spaces.frameworks import FRAMEWORKS, Framework
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import published_genome, published_names
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.registry import BUILT_IN
from gan_nas.streams import stream
from gan_nas.training.config import TrainingConfig
from gan_nas.training.gan import GAN
from gan_nas.training.losses import consistency_term, gradient_penalty
from gan_nas.training.objectives import CTGAN
from gan_nas.training.plan import new_gan

CPU = torch.device("cpu")
GENOME = published_genome("ctgan-cifar10").resized(8, 8)
GENOMES = [published_genome(name) for name in published_names()]
GENOMES += [genome for space in BUILT_IN for genome in sample_genomes(space, 1, seed=0)]


def make(framework: Framework, genome: Genome = GENOME, **changes: object) -> GAN:
    config = TrainingConfig.model_validate({"framework": framework, **changes})
    with torch.device("meta"):  # a tensor made without its device breaks
        return new_gan(genome, config, 16, 3, CPU)


def noise(genome: Genome = GENOME, num: int = 4) -> tuple[Tensor, Tensor]:
    random = stream(0, "test")
    real = torch.rand(num, 3, 16, 16, generator=random, device=CPU) * 2 - 1
    return real, torch.randn(num, genome.generator.latent_dim, generator=random, device=CPU)


def values(gan: GAN) -> dict[str, Tensor]:
    return {
        f"{group}.{name}": tensor.clone()
        for group in ("generator", "discriminator")
        for name, tensor in gan.saved()[group].read().items()
    }


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("genome", GENOMES, ids=lambda genome: genome.title)
def test_one_step_of_every_genome_in_every_framework(genome: Genome, framework: Framework) -> None:
    tiny = genome.resized(4, 4)
    gan = make(framework, tiny)
    before = values(gan)
    real, z = noise(tiny)
    random = stream(0, "noise")
    with torch.device("meta"):
        losses = gan.discriminator_step(real, z, random), gan.generator_step(z, random)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses)
    after = values(gan)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert any(name.startswith("generator.") for name in moved)
    assert any(name.startswith("discriminator.") for name in moved)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_steps_are_those_of_their_streams(framework: Framework, precision: str) -> None:
    def steps(seed: int) -> list[float]:
        gan = make(framework, precision=precision)
        real, z = noise()
        random = stream(seed, "noise")
        return [float(gan.discriminator_step(real, z, random)) for _ in range(2)]

    assert steps(0) == steps(0)
    assert (steps(0) == steps(1)) == (framework == "hinge-sn")


@pytest.mark.parametrize("framework", ["wgan-gp", "ctgan"])
def test_bf16_is_near_float32(framework: Framework) -> None:
    """The penalty's second derivative too: its forward pass is rounded, its slopes are not."""
    found = []
    for precision in ("float32", "bf16"):
        gan = make(framework, GENOME.resized(8, 32), precision=precision, discriminator_init="he")
        real, z = noise(num=8)
        loss = gan.discriminator_step(real, z, stream(0, "noise"))
        slopes = [p.grad.flatten() for p in gan.discriminator_weights if p.grad is not None]
        found.append((float(loss), torch.cat(slopes)))
    (exact, a), (rough, b) = found
    assert rough == pytest.approx(exact, abs=0.05 + 0.02 * abs(exact))
    assert torch.cosine_similarity(a, b, dim=0) > 0.99


def test_wgan_gp_is_the_sum_of_its_terms() -> None:
    gan = make("wgan-gp", gradient_penalty=3.0)
    critic, (real, z) = gan.discriminator, noise()
    with torch.no_grad():
        fake = gan.generator(z)
    epsilon = torch.rand(4, 1, 1, 1, generator=stream(0, "noise"), device=CPU)
    expected = (
        critic(fake).mean()
        - critic(real).mean()
        + 3 * gradient_penalty(critic, real, fake, epsilon)
    )
    gan = make("wgan-gp", gradient_penalty=3.0)
    torch.testing.assert_close(gan.discriminator_loss(real, z, stream(0, "noise")), expected)


def test_ctgan_is_the_sum_of_its_terms() -> None:
    """With dropout of rate 0 but for the last, passes drawn apart drop what joined ones do."""
    gan = make("ctgan")
    gan.discriminator.dropout = (0.0, 0.0, 0.5)
    critic, (real, z) = gan.discriminator, noise()
    with torch.no_grad():
        fake = gan.generator(z)
    random = stream(0, "noise")
    a, b, of_fake = (critic.verdict(critic.look(x), random) for x in (real, real, fake))
    epsilon = torch.rand(4, 1, 1, 1, generator=random, device=CPU)
    steep = gradient_penalty(lambda x: critic(x, random), real, fake, epsilon)
    apart = consistency_term(a.scores, b.scores, a.features, b.features, 0.0)
    expected = of_fake.scores.mean() - a.scores.mean() + 10 * steep + 2 * apart
    loss = CTGAN(10.0, 2.0, 0.0).discriminator_loss(critic, real, fake, stream(0, "noise"))
    torch.testing.assert_close(loss, expected)
    assert float(apart.detach()) > 0


def test_dropout_is_on_in_the_generators_step() -> None:
    gan = make("ctgan")
    z = noise()[1]
    losses = {float(gan.generator_loss(z, stream(seed, "noise")).detach()) for seed in range(3)}
    assert len(losses) == 3


def test_a_penalty_leaves_no_gradient_behind() -> None:
    """Neither in the generator nor, after the generator's step, in the critic."""
    gan = make("ctgan")
    real, z = noise()
    gan.discriminator_step(real, z, stream(0, "noise"))
    assert all(p.grad is None for p in gan.generator.parameters())
    kept = [p.grad.clone() for p in gan.discriminator_weights if p.grad is not None]
    assert kept
    gan.generator_step(z, stream(0, "noise"))
    again = [p.grad for p in gan.discriminator_weights if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))
