"""What each framework minimises: the losses of a discriminator's step and of a generator's.

A small frozen class a framework; they get their random numbers (where to take gradients, what to
drop out) from the caller and leave descending to him.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from gan_nas.networks.ctgan import Critic
from gan_nas.training.losses import (
    consistency_term,
    full,
    generator_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    wasserstein_critic_loss,
)
from gan_nas.training.merged import both_scores, three_verdicts

Passes = Literal["together", "apart"]
Random = torch.Generator | None


class Objective(Protocol):
    """The two losses of a framework, as float32 scalars.

    `real` and `fake` are as many images (N, C, S, S) in float32, `random` is the step's stream on
    their device, which only the hinge loss can do without.
    """

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return what the discriminator minimises; the fakes have no graph."""
        ...

    def generator_loss(self, discriminator: nn.Module, fake: Tensor, random: Random) -> Tensor:
        """Return what the generator minimises; the gradient flows through the fakes."""
        ...


@dataclass(frozen=True)
class Hinge:
    """The hinge loss, for a discriminator that is spectrally normalised.

    `passes` says whether real and fake images go through the discriminator together, with one
    power iteration, or apart, with two, as the published code does.
    """

    passes: Passes = "together"

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]."""
        del random
        if self.passes == "together":
            scores = full(discriminator(torch.cat([real, fake])))
            of_real, of_fake = scores[: len(real)], scores[len(real) :]
        else:
            of_real, of_fake = full(discriminator(real)), full(discriminator(fake))
        return hinge_discriminator_loss(of_real, of_fake)

    def generator_loss(self, discriminator: nn.Module, fake: Tensor, random: Random) -> Tensor:
        """Return -E[D(G(z))]."""
        del random
        return generator_loss(full(discriminator(fake)))


@dataclass(frozen=True)
class WGANGP:
    """Wasserstein's distance, its critic held to slopes of 1 by a penalty.

    WGAN-GP (Gulrajani et al. 2017), eq. 3. Dropout, if the critic has any, is left out.
    """

    penalty: float

    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: Random
    ) -> Tensor:
        """Return E[D(G(z))] - E[D(x)] + penalty E[(||grad D(x^)|| - 1)^2]."""
        of_real, of_fake = both_scores(discriminator, real, fake)
        steep = gradient_penalty(discriminator, real, fake, _shares(real, random))
        return wasserstein_critic_loss(of_real, of_fake) + self.penalty * steep

    def generator_loss(self, discriminator: nn.Module, fake: Tensor, random: Random) -> Tensor:
        """Return -E[D(G(z))]."""
        del random
        return generator_loss(full(discriminator(fake)))


@dataclass(frozen=True)
class CTGAN:
    """WGAN-GP with a critic that drops out, and must judge real images alike when it does.

    CT-GAN (Wei et al. 2018), eq. 6; dropout is on in every pass of the critic, the authors' code.
    """

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

    def generator_loss(self, discriminator: nn.Module, fake: Tensor, random: Random) -> Tensor:
        """Return -E[D(G(z))]."""
        return generator_loss(full(discriminator(fake, random)))


def _shares(real: Tensor, random: Random) -> Tensor:
    """Draw the share (N, 1, 1, 1) that each real image has of the one where a slope is taken."""
    assert random is not None, "this framework needs a stream of random numbers"
    size = (len(real), 1, 1, 1)
    return torch.rand(size, generator=random, device=real.device, dtype=real.dtype)
