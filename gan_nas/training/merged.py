"""Passes of a critic that are made together: equal up to rounding to one after the other.

No image depends on another one of its batch, and the masks of a dropout are drawn image after
image, so that it drops what it would in passes apart. Where a critic has several, each draws for
all images before the next one does: other masks of the same distribution.
"""

import torch
from torch import Tensor, nn

from gan_nas.networks.ctgan import Critic, Verdict
from gan_nas.training.losses import full


def both_scores(critic: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scores of as many real and fake images (N, C, S, S): D(x) and D(G(z))."""
    of_real, of_fake = full(critic(torch.cat([real, fake]))).chunk(2)
    return of_real, of_fake


def three_verdicts(
    critic: Critic, real: Tensor, fake: Tensor, random: torch.Generator | None
) -> tuple[Verdict, Verdict, Verdict]:
    """Return the verdicts on real images, on the same under other dropout, and on fakes.

    What comes before the first dropout is computed once for both draws on the real images.
    """
    of_real, of_fake = critic.look(torch.cat([real, fake])).chunk(2)
    joined = critic.verdict(torch.cat([of_real, of_real, of_fake]), random)
    scores, features = full(joined.scores).chunk(3), full(joined.features).chunk(3)
    first, second, fakes = map(Verdict, scores, features)
    return first, second, fakes
