"""What each framework minimises, and that it can be minimised for every genome."""

from collections.abc import Callable

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
from gan_nas.training.losses import (
    consistency_term,
    gradient_penalty,
    relativistic_average_hinge_loss,
    relativistic_pairing_loss,
    wasserstein_critic_loss,
)
from gan_nas.training.mmd import repulsive_discriminator_loss, repulsive_generator_loss
from gan_nas.training.objectives import CTGAN, R3GAN
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
        losses = gan.discriminator_step(real, z, random), gan.generator_step(z, random, real)
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
    assert (steps(0) == steps(1)) == (framework not in ("wgan-gp", "ctgan"))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_augmented_steps_are_those_of_their_streams(framework: Framework) -> None:
    def steps(seed: int, augment: str) -> list[float]:
        gan = make(framework, augment=augment)
        real, z = noise()
        random = stream(seed, "noise")
        losses = [gan.discriminator_step(real, z, random), gan.generator_step(z, random, real)]
        return [float(loss) for loss in losses]

    assert steps(0, "diffaugment") == steps(0, "diffaugment")
    for other in (steps(1, "diffaugment"), steps(0, "none")):
        assert all(a != b for a, b in zip(steps(0, "diffaugment"), other, strict=True))


@pytest.mark.parametrize("framework", ["wgan-gp", "ctgan", "r3gan"])
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


def scores_of(gan: GAN, real: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a GAN made anew gives real images and fakes, in one pass."""
    with torch.no_grad():
        fake = gan.generator(z)
    of_real, of_fake = gan.discriminator(torch.cat([real, fake])).chunk(2)
    return of_real, of_fake


@pytest.mark.parametrize(
    ("framework", "loss"),
    [
        ("rahinge", relativistic_average_hinge_loss),
        ("wasserstein", wasserstein_critic_loss),
        ("mmd", repulsive_discriminator_loss),
        ("r3gan", relativistic_pairing_loss),
    ],
)
def test_the_discriminators_loss_is_that_of_the_framework(
    framework: Framework, loss: Callable[[Tensor, Tensor], Tensor]
) -> None:
    real, z = noise()
    expected = loss(*scores_of(make(framework), real, z))
    found = make(framework, gamma=0.0).discriminator_loss(real, z)
    torch.testing.assert_close(found, expected)
    assert len(expected.shape) == 0


@pytest.mark.parametrize(
    ("framework", "loss"),
    [
        ("rahinge", lambda real, fake: relativistic_average_hinge_loss(fake, real)),
        ("mmd", repulsive_generator_loss),
        ("r3gan", lambda real, fake: relativistic_pairing_loss(fake, real)),
    ],
)
def test_the_generators_loss_sets_fakes_beside_real_images(
    framework: Framework, loss: Callable[[Tensor, Tensor], Tensor]
) -> None:
    real, z = noise()
    gan = make(framework)
    expected = loss(gan.discriminator(real), gan.discriminator(gan.generator(z)))
    gan = make(framework)
    found = gan.generator_loss(z, None, real)
    torch.testing.assert_close(found, expected)
    with pytest.raises(AssertionError, match="beside"):
        gan.generator_loss(z)


def test_r3gan_holds_its_critic_flat_at_reals_and_fakes() -> None:
    real, z = noise()
    gan = make("r3gan")
    critic = gan.discriminator
    with torch.no_grad():
        fake = gan.generator(z)
    slopes = []
    for images in (real, fake):
        images.requires_grad_()
        (slope,) = torch.autograd.grad(critic(images).sum(), images)
        slopes.append(slope.flatten(1).norm(dim=1).square().mean())
    flat = make("r3gan", gamma=0.0).discriminator_loss(real, z)
    found = make("r3gan", gamma=6.0).discriminator_loss(real, z)
    torch.testing.assert_close(found, flat + 3 * (slopes[0] + slopes[1]))


def test_r3gans_critic_steps_in_float32_under_bf16() -> None:
    """What is rounded are the fakes alone, as the generator makes them."""
    real, z = noise()
    gan = make("r3gan", precision="bf16")
    found = gan.discriminator_loss(real, z)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        fake = gan.generator(z).float()
    assert torch.equal(found, R3GAN(0.05).discriminator_loss(gan.discriminator, real, fake, None))


def test_pairs_of_less_than_two_images_are_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="pairs of images, so batch_size and"):
        TrainingConfig(framework="mmd", batch_size=1)


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
