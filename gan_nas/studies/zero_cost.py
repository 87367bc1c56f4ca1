"""What an untrained network tells: proxies that cost no training.

Two that need nothing but the weights training starts from. `effective_rank` is of a generator's
Jacobian, whose conditioning goes with scores (Odena et al. 2018; the condition number itself is
infinite to rounding in small networks). `gradient_norm` is among the better ones of those that
Abdelfattah et al. (2021) compare for classifiers. Left out are SynFlow, which sums over paths of
positive weights and dies in a generator's tanh, and proxies that need labels (Fisher, Jacobian
covariance), which a GAN has none of.
"""

import torch
from torch import nn

from gan_nas.networks.states import module_state
from gan_nas.spaces.genome import Genome
from gan_nas.streams import stream
from gan_nas.training.config import TrainingConfig
from gan_nas.training.descent import gradients
from gan_nas.training.gan import GAN
from gan_nas.training.plan import new_gan

NUM_LATENTS = 2  # at which the generator is differentiated
STEP = 1e-4  # of the central differences, in float64
NUM_IMAGES = 32  # of a gradient
TINY = 1e-300  # of singular values' sum: of a network that gives one image only


def zero_cost_proxies(
    genome: Genome, config: TrainingConfig, resolution: int, image_channels: int
) -> dict[str, float]:
    """Return what the untrained networks of a genome tell, by name; on the CPU."""
    gan = new_gan(genome, config, resolution, image_channels, torch.device("cpu"))
    latent_dim = genome.generator.latent_dim
    return {  # in this order: a pass in train mode moves the norms' statistics
        "effective rank": effective_rank(gan.generator, latent_dim, config.seed),
        "gradient norm": gradient_norm(
            gan, latent_dim, (image_channels, resolution, resolution), config.seed
        ),
    }


def gradient_norm(gan: GAN, latent_dim: int, shape: tuple[int, int, int], seed: int) -> float:
    """Return the length of the gradient of the generator's first loss, over all its weights.

    Noise of a `shape` (C, S, S) stands for real images in losses that need some.
    """
    random = stream(seed, "proxy")
    z = torch.randn(NUM_IMAGES, latent_dim, generator=random, device="cpu")
    real = None
    if gan.objective.reals != "none":
        real = torch.rand(NUM_IMAGES, *shape, generator=random, device="cpu") * 2 - 1
    with gradients(gan.discriminator_weights, needed=False):
        found = torch.autograd.grad(
            gan.generator_loss(z, random, real), gan.generator_weights, allow_unused=True
        )
    squares = [part.double().square().sum() for part in found if part is not None]
    return float(torch.stack(squares).sum().sqrt())


def effective_rank(generator: nn.Module, latent_dim: int, seed: int) -> float:
    """Return in how many directions images move with latents, the mean over latents.

    That is exp of the entropy of the singular values' shares (Roy and Vetterli 2007), of the
    Jacobian of images by latents: of the network in eval mode, in float64, by central differences.
    """
    kept = {name: tensor.clone() for name, tensor in module_state(generator).items()}
    generator.double().eval()
    latents = torch.randn(
        NUM_LATENTS, latent_dim, generator=stream(seed, "proxy"), device="cpu", dtype=torch.float64
    )
    steps = STEP * torch.eye(latent_dim, dtype=torch.float64, device="cpu")
    ranks = []
    with torch.no_grad():
        for z in latents:
            images = generator(torch.cat([z + steps, z - steps])).flatten(1)
            ahead, behind = images.chunk(2)
            values = torch.linalg.svdvals((ahead - behind) / (2 * STEP))
            shares = values / values.sum().clamp_min(TINY)
            ranks.append(float(torch.special.entr(shares).sum().exp()))
    generator.float().train().load_state_dict(kept)
    return sum(ranks) / len(ranks)
