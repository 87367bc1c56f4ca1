"""Adversarial losses: small pure functions of the discriminator's scores."""

from torch import Tensor
from torch.nn import functional as F


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))].

    AutoGAN (Gong et al. 2019), eq. 1, which prints its negative as a loss to minimise.
    """
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator_loss(fake: Tensor) -> Tensor:
    """Return -E[D(G(z))].

    The authors' code; the paper's eq. 2, E[min(0, D(G(z)))], would have no gradient where the
    discriminator is fooled.
    """
    return -fake.mean()
