"""Adversarial losses: small pure functions, most of them of the discriminator's scores."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))].

    AutoGAN (Gong et al. 2019), eq. 1, which prints its negative as a loss to minimise.
    """
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Return -E[D(G(z))]: the generator's, under the hinge loss and under Wasserstein's.

    AutoGAN's authors' code; its paper's eq. 2, E[min(0, D(G(z)))], would have no gradient where
    the discriminator is fooled. WGAN (Arjovsky et al. 2017), Algorithm 1.
    """
    return -fake.mean()


def wasserstein_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return E[D(G(z))] - E[D(x)]: the negative of what estimates Wasserstein's distance.

    WGAN (Arjovsky et al. 2017), eq. 3; it holds for a critic whose slope is at most 1.
    """
    return fake.mean() - real.mean()


def relativistic_average_hinge_loss(ahead: Tensor, behind: Tensor) -> Tensor:
    """Return E[max(0, 1 - (D(a) - E D(b)))] + E[max(0, 1 + (D(b) - E D(a)))].

    RaHingeGAN (Jolicoeur-Martineau, "The relativistic discriminator", ICLR 2019): the discriminator
    puts real images `ahead` and fakes `behind`, the generator the other way round. Averages, not
    pairs: it is the form that the paper gives the hinge loss, and it needs no equal numbers of
    reals and fakes. The author's code halves it, which Adam does not notice.
    """
    of_ahead, of_behind = ahead - behind.mean(), behind - ahead.mean()
    return F.relu(1 - of_ahead).mean() + F.relu(1 + of_behind).mean()


def relativistic_pairing_loss(ahead: Tensor, behind: Tensor) -> Tensor:
    """Return E[softplus(-(D(a_i) - D(b_i)))] over pairs of images.

    RpGAN (Jolicoeur-Martineau, "The relativistic discriminator", ICLR 2019), R3GAN's loss (Huang et
    al. 2024, the authors' Trainer.py): the discriminator puts real images `ahead` and as many fakes
    `behind`, the generator the other way round.
    """
    return F.softplus(behind - ahead).mean()


def squared_slopes(scores: Tensor, images: Tensor) -> Tensor:
    """Return ||grad D(x)||_2^2 of each image, (N,), from its scores; the graph is kept.

    The zero-centred penalties: R1 at real images (Mescheder et al. 2018, eq. 9), R2
    at fakes (eq. 10), both without their weight. The
    images (N, C, S, S) require a gradient; the critic must treat those of a batch apart.
    """
    (slope,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return slope.square().sum((1, 2, 3))


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, epsilon: Tensor
) -> Tensor:
    """Return E[(||grad D(x^)||_2 - 1)^2] at x^ = epsilon x + (1 - epsilon) G(z).

    WGAN-GP (Gulrajani et al. 2017), eq. 3 without its weight. `epsilon` (N, 1, 1, 1) is uniform
    in [0, 1], one number for each pair of images (N, C, S, S). The critic must treat the images
    of a batch apart: no batch norm.
    """
    with torch.enable_grad():
        between = (epsilon * real + (1 - epsilon) * fake).detach().requires_grad_()
        scores = critic(between)
    (slope,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    norms: Tensor = slope.flatten(1).norm(dim=1)
    return (norms - 1).square().mean()


def consistency_term(
    scores_a: Tensor,
    scores_b: Tensor,
    features_a: Tensor,
    features_b: Tensor,
    margin: float,
    feature_weight: float = 0.1,
) -> Tensor:
    """Return E[max(0, (D(x') - D(x''))^2 + 0.1 mean_i (D_i(x') - D_i(x''))^2 - margin)].

    CT-GAN (Wei et al. 2018), eq. 4 and 5, without its weight: x' and x'' are two draws of dropout
    on the same real image, D_ the features (N, C) before the last layer. The paper writes both
    distances without squares; the squares are the authors' code.
    """
    of_scores = (scores_a - scores_b).flatten().square()
    of_features = (features_a - features_b).square().mean(1)
    return F.relu(of_scores + feature_weight * of_features - margin).mean()


def full(x: Tensor) -> Tensor:
    """Bring what autocast has made smaller back to float32."""
    return x.float() if x.dtype == torch.bfloat16 else x
