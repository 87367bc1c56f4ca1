"""What each framework minimises: the losses of a discriminator's step and of a generator's.

A small frozen class a framework; they get their random numbers (where to take gradients, what to
drop out) from the caller and leave descending to him.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from gan_nas.networks.ctgan import Critic
from gan_nas.training.losses import (
    consistency_term,
    full,
    generator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    relativistic_average_hinge_loss,
    relativistic_pairing_loss,
    squared_slopes,
    wasserstein_critic_loss,
)
from gan_nas.training.merged import both_scores, three_verdicts
from gan_nas.training.mmd import repulsive_discriminator_loss, repulsive_generator_loss

Passes = Literal["together", "apart"]
Reals = Literal["none", "same", "own"]
Random = torch.Generator | None


class Objective(Protocol):
    """The two losses of a framework, as float32 scalars.

    `real` and `fake` are as many images (N, C, S, S) in float32, `random` is the step's stream on
    their device, which only those with a penalty between images or dropout need.
    """

    reals: ClassVar[Reals]
    """Real images of the generator's step: none, those of the discriminator's step before it, or a
    batch of its own with as many as there are fakes."""
    half_precision: ClassVar[bool]
    """Whether autocast may round what the discriminator minimises."""

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return what the discriminator minimises; the fakes have no graph."""
        ...

    def generator_loss(
        self, discriminator: nn.Module, real: Tensor | None, fake: Tensor, random: Random
    ) -> Tensor:
        """Return what the generator minimises; the gradient flows through the fakes."""
        ...


@dataclass(frozen=True)
class Hinge:
    """The hinge loss, for a discriminator that is spectrally normalised.

    `passes` says whether real and fake images go through the discriminator together, with one
    power iteration, or apart, with two, as the published code does.
    """

    reals: ClassVar[Reals] = "none"
    half_precision: ClassVar[bool] = True
    passes: Passes = "together"

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]."""
        del random
        return hinge_discriminator_loss(*_scores(discriminator, real, fake, self.passes))

    def generator_loss(
        self, discriminator: nn.Module, real: Tensor | None, fake: Tensor, random: Random
    ) -> Tensor:
        """Return -E[D(G(z))]."""
        del real, random
        return generator_loss(full(discriminator(fake)))


@dataclass(frozen=True)
class RelativisticAverageHinge:
    """RaHingeGAN's loss, for the discriminators of the hinge loss; `passes` as there."""

    reals: ClassVar[Reals] = "own"
    half_precision: ClassVar[bool] = True
    passes: Passes = "together"

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return the loss of real images ahead of the average fake, and fakes behind."""
        del random
        of_real, of_fake = _scores(discriminator, real, fake, self.passes)
        return relativistic_average_hinge_loss(of_real, of_fake)

    def generator_loss(
        self, discriminator: nn.Module, real: Tensor | None, fake: Tensor, random: Random
    ) -> Tensor:
        """Return the loss of fakes ahead of the average real image, and reals behind."""
        del random
        of_real, of_fake = _judged(discriminator, real), full(discriminator(fake))
        return relativistic_average_hinge_loss(of_fake, of_real)


@dataclass(frozen=True)
class Wasserstein:
    """A critic's plain loss; spectral normalisation alone bounds its slopes; `passes` as above."""

    reals: ClassVar[Reals] = "none"
    half_precision: ClassVar[bool] = True
    passes: Passes = "together"

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return E[D(G(z))] - E[D(x)]."""
        del random
        return wasserstein_critic_loss(*_scores(discriminator, real, fake, self.passes))

    def generator_loss(
        self, discriminator: nn.Module, real: Tensor | None, fake: Tensor, random: Random
    ) -> Tensor:
        """Return -E[D(G(z))]."""
        del real, random
        return generator_loss(full(discriminator(fake)))


@dataclass(frozen=True)
class MMD:
    """MMD-GAN's repulsive loss with bounds, as MMD-AdversarialNAS trains; `passes` as above.

    The discriminator gives several scores an image. The generator's real images are those of the
    discriminator's step, judged anew.
    """

    reals: ClassVar[Reals] = "same"
    half_precision: ClassVar[bool] = True
    upper_bound: float | None
    lower_bound: float
    passes: Passes = "together"

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return how alike real images are to each other, less how alike fakes are."""
        del random
        scores = _scores(discriminator, real, fake, self.passes)
        return repulsive_discriminator_loss(*scores, self.upper_bound, self.lower_bound)

    def generator_loss(
        self, discriminator: nn.Module, real: Tensor | None, fake: Tensor, random: Random
    ) -> Tensor:
        """Return the discrepancy between the scores of real images and of fakes."""
        del random
        of_real, of_fake = _judged(discriminator, real), full(discriminator(fake))
        return repulsive_generator_loss(of_real, of_fake)


@dataclass(frozen=True)
class WGANGP:
    """Wasserstein's distance, its critic held to slopes of 1 by a penalty.

    WGAN-GP (Gulrajani et al. 2017), eq. 3. Dropout, if the critic has any, is left out.
    """

    reals: ClassVar[Reals] = "none"
    half_precision: ClassVar[bool] = True
    penalty: float

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return E[D(G(z))] - E[D(x)] + penalty E[(||grad D(x^)|| - 1)^2]."""
        of_real, of_fake = both_scores(discriminator, real, fake)
        steep = gradient_penalty(discriminator, real, fake, _shares(real, random))
        return wasserstein_critic_loss(of_real, of_fake) + self.penalty * steep

    def generator_loss(
        self, discriminator: nn.Module, real: Tensor | None, fake: Tensor, random: Random
    ) -> Tensor:
        """Return -E[D(G(z))]."""
        del real, random
        return generator_loss(full(discriminator(fake)))


@dataclass(frozen=True)
class CTGAN:
    """WGAN-GP with a critic that drops out, and must judge real images alike when it does.

    CT-GAN (Wei et al. 2018), eq. 6; dropout is on in every pass of the critic, the authors' code.
    """

    reals: ClassVar[Reals] = "none"
    half_precision: ClassVar[bool] = True
    penalty: float
    consistency_weight: float
    consistency_margin: float

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return WGAN-GP's loss + weight E[max(0, distance of two draws - margin)].

        The authors' code weighs before it subtracts the margin, which is 0 there: the same.
        """
        assert isinstance(discriminator, Critic)
        first, second, fakes = three_verdicts(discriminator, real, fake, random)
        steep = gradient_penalty(
            lambda between: discriminator(between, random), real, fake, _shares(real, random)
        )
        apart = consistency_term(
            first.scores,
            second.scores,
            first.features,
            second.features,
            self.consistency_margin,
        )
        return (
            wasserstein_critic_loss(first.scores, fakes.scores)
            + self.penalty * steep
            + self.consistency_weight * apart
        )

    def generator_loss(
        self, discriminator: nn.Module, real: Tensor | None, fake: Tensor, random: Random
    ) -> Tensor:
        """Return -E[D(G(z))]."""
        del real
        return generator_loss(full(discriminator(fake, random)))


@dataclass(frozen=True)
class R3GAN:
    """Relativistic pairs, and a critic held flat at real images and at fakes.

    R3GAN (Huang et al. 2024; Trainer.py), whose penalties are in every step and in float32.
    Dropout, if the critic has any, is left out.
    """

    reals: ClassVar[Reals] = "own"
    half_precision: ClassVar[bool] = False
    gamma: float

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return E[softplus(-(D(x_i) - D(G(z_i))))] + gamma / 2 E[R1_i + R2_i]."""
        del random
        images = torch.cat([real, fake]).requires_grad_()
        with torch.enable_grad():
            scores = discriminator(images)
        slopes = squared_slopes(scores, images)
        penalty = self.gamma / 2 * (slopes.sum() / len(real))
        return relativistic_pairing_loss(*scores.chunk(2)) + penalty

    def generator_loss(
        self, discriminator: nn.Module, real: Tensor | None, fake: Tensor, random: Random
    ) -> Tensor:
        """Return E[softplus(D(x_i) - D(G(z_i)))]."""
        del random
        of_real, of_fake = _judged(discriminator, real), full(discriminator(fake))
        return relativistic_pairing_loss(of_fake, of_real)


def _scores(
    discriminator: nn.Module, real: Tensor, fake: Tensor, passes: Passes
) -> tuple[Tensor, Tensor]:
    """Return the scores of real images and of fakes."""
    if passes == "together":
        scores = full(discriminator(torch.cat([real, fake])))
        return scores[: len(real)], scores[len(real) :]
    return full(discriminator(real)), full(discriminator(fake))


@torch.no_grad()
def _judged(discriminator: nn.Module, real: Tensor | None) -> Tensor:
    """Return the scores of real images in the generator's step, which has no part in them."""
    assert real is not None, "this framework sets real images beside the generator's"
    return full(discriminator(real))


def _shares(real: Tensor, random: Random) -> Tensor:
    """Draw the share (N, 1, 1, 1) that each real image has of the one where a slope is taken."""
    assert random is not None, "this framework needs a stream of random numbers"
    size = (len(real), 1, 1, 1)
    return torch.rand(size, generator=random, device=real.device, dtype=real.dtype)
