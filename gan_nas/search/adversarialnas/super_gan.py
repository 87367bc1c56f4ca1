"""AdversarialNAS' two supernets in training: weights and architecture, one step for each.

AdversarialNAS (Gao et al. 2020), Algorithm 1, first order: the architecture's gradient is taken
with the weights as they are. The hinge loss is the text's and the code's; Algorithm 1 prints
logarithms.
"""

from collections.abc import Callable
from itertools import count

import torch
from torch import Tensor, nn

from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.networks.builder import build_discriminator, build_supernet
from gan_nas.networks.sn_resnet import SNResNet
from gan_nas.networks.states import Saved, saved_optimizer
from gan_nas.search.adversarialnas.config import Config
from gan_nas.search.adversarialnas.relaxation import CellLogits, Mixture, Relaxed, tau_at
from gan_nas.search.method import Trained
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    UP_CELLS,
    AdversarialNASGenerator,
    decode_discriminator,
    decode_generator,
)
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.streams import stream
from gan_nas.training.descent import adam, capturable, descend, gradients
from gan_nas.training.gan import GAN, fresh, generator_moves
from gan_nas.training.objectives import Hinge
from gan_nas.training.recording import Recorded
from gan_nas.training.timing import NUM_GENERATED, Phase

# Any architecture will do to give the supernets their sizes.
SOME_GENERATOR = [[1, 1, 1, 0, 3, 3, 1], [1, 1, 0, 1, 3, 3, 3], [0, 1, 0, 3, 3, 0, 3]]
SOME_DISCRIMINATOR = [[1, 1, 1, 3, 3, 2, 2]] + [[3, 3, 3, 3, 3, 2, 2]] * 3


class SuperGAN:
    """Generator and discriminator supernets, their logits alpha and beta, and four optimisers.

    A fixed discriminator (SingalNAS) has no beta, and `beta_step` must not be called.
    """

    def __init__(
        self,
        config: Config,
        resolution: int,
        image_channels: int,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.ranks = config, ranks
        generator, discriminator = networks(config, resolution, image_channels)
        seed = config.seed
        generator = fresh(generator, seed, "supernet generator weights", device)
        discriminator = fresh(
            discriminator,
            seed,
            "supernet discriminator weights",
            device,
            config.discriminator_init,
        )
        with device:
            self.alpha = CellLogits(UP_CELLS)
            self.beta = CellLogits(DOWN_CELLS, normal_entry=config.first_cell_logits == 7)
        self.alpha.initialise(stream(seed, "alpha"))
        self.alpha.requires_grad_(False)
        self.beta.requires_grad_(False)
        self.generator = self._relaxed(generator, self.alpha, config.mixture)
        self.discriminator: nn.Module
        match config.discriminator:
            case "searched":
                self.beta.initialise(stream(seed, "beta"))
                self.discriminator = self._relaxed(discriminator, self.beta, config.mixture)
            case "super":  # logits of zero, no noise: all operations weigh the same
                self.discriminator = self._relaxed(discriminator, self.beta, "softmax")
            case _:
                self.discriminator = discriminator
        self.gan = GAN(
            self.generator,
            self.discriminator,
            generator_lr=config.generator_lr,
            discriminator_lr=config.discriminator_lr,
            betas=(config.beta1, config.beta2),
            ema_decay=config.ema_decay,
            ema_warm_start=config.ema_warm_start,
            precision=config.precision,
            objective=Hinge(config.passes),
            ranks=ranks,
        )
        self.alpha_optimizer = self._adam(self.alpha)
        self.beta_optimizer = self._adam(self.beta)
        self._recorded: tuple[Recorded[SuperGAN], Recorded[SuperGAN]] | None = None
        if records(config, device) and ranks.size == 1:
            self._record()

    def iteration(
        self, step: int, real: Tensor, latents: Callable[[str, int], Tensor]
    ) -> dict[str, Tensor]:
        """Make iteration `step` of Algorithm 1; returns the losses of the steps made, by name.

        real: float32 (batch_size, C, S, S), half for the discriminator's weights, half for beta.
        `latents` draws for a purpose as many (N, latent_dim) as asked for.
        """
        self.start(step)
        config, half = self.config, self.config.batch_size // 2
        losses = {}
        moves = step >= config.architecture_start * config.iterations
        if moves and config.discriminator == "searched":
            losses["beta_loss"] = self.beta_step(real[half:], latents("beta latents", half))
        z = latents("discriminator latents", half)
        losses["d_loss"] = self.discriminator_step(real[:half], z)
        if generator_moves(step, config.num_critic, config.generator_turn):
            num = config.generator_batch_size
            if moves:
                losses["alpha_loss"] = self.alpha_step(latents("alpha latents", num))
            losses["g_loss"] = self.generator_step(latents("generator latents", num))
        return losses

    def start(self, step: int) -> None:
        """Set temperature, noise and the growth of the discriminator for an iteration."""
        config = self.config
        start = config.tau_start_level
        level = start + step * (config.tau_levels - start) // config.iterations
        self.tau = tau_at(level, config.tau_levels, config.tau_first, config.tau_last)
        for network in self._mixing:
            purpose = "alpha noise" if network is self.generator else "beta noise"
            network.restart(self.tau, config.seed, purpose, step)
        if config.discriminator == "autogan_grown":
            assert isinstance(self.discriminator, SNResNet)
            self.discriminator.num_active_cells = 1 + 3 * step // config.iterations

    def beta_step(self, real: Tensor, z: Tensor) -> Tensor:
        """Update beta to tell real images (N, C, S, S) from those of latents z; returns the loss.

        The weights are frozen, spectral norm's power iteration goes on.
        """
        self._prepare(self._passes)
        return self._recorded[0](real, z) if self._recorded else self._descend_beta(real, z)

    def alpha_step(self, z: Tensor) -> Tensor:
        """Update alpha so that images of latents z are taken for real; returns the loss."""
        self._prepare(1)
        return self._recorded[1](z) if self._recorded else self._descend_alpha(z)

    def discriminator_step(self, real: Tensor, z: Tensor) -> Tensor:
        """Update the discriminator's weights; returns the loss."""
        self._prepare(self._passes)
        return self.gan.discriminator_step(real, z)

    def generator_step(self, z: Tensor) -> Tensor:
        """Update the generator's weights and the moving average; returns the loss."""
        self._prepare(1)
        return self.gan.generator_step(z)

    def saved(self) -> dict[str, Saved]:
        """Return what a checkpoint keeps; alpha and beta are among the networks' tensors."""
        return self.gan.saved() | {
            "alpha_optimizer": saved_optimizer(self.alpha_optimizer, self.alpha),
            "beta_optimizer": saved_optimizer(self.beta_optimizer, self.beta),
        }

    def supernets(self) -> Trained:
        """Return both networks, whose weights genomes may inherit."""
        generator, discriminator = self.generator.network, self.discriminator
        if isinstance(discriminator, Relaxed):
            discriminator = discriminator.network
        return Trained(sizes_of(self.config, self.config.width), generator, discriminator)

    def _record(self) -> None:
        """Let a GPU record all four steps, as `GAN.record` does those of the weights."""
        self.gan.record()
        for optimizer in (self.alpha_optimizer, self.beta_optimizer):
            capturable(optimizer)
        for network in self._mixing:
            network.keep_in_place()
        self._recorded = (
            Recorded(self, SuperGAN._descend_beta, SuperGAN._constants),
            Recorded(self, SuperGAN._descend_alpha, SuperGAN._constants),
        )

    def _constants(self) -> object:
        return None  # what a step depends on stays, or lies in tensors

    @property
    def _mixing(self) -> list[Relaxed]:
        """Return the networks that mix operations."""
        both = self.generator, self.discriminator
        return [network for network in both if isinstance(network, Relaxed)]

    @property
    def _passes(self) -> int:
        """Return how often a discriminator's step calls it."""
        return 2 if self.config.passes == "apart" else 1

    def _prepare(self, judged: int) -> None:
        """Draw the noise of a recorded step, which calls the discriminator `judged` times."""
        if self._recorded is not None:
            for network in self._mixing:
                network.prepare(1 if network is self.generator else judged)

    def _descend_beta(self, real: Tensor, z: Tensor) -> Tensor:
        with (
            gradients(self.gan.discriminator_weights, needed=False),
            gradients(list(self.beta.parameters()), needed=True),
        ):
            loss = self.gan.discriminator_loss(real, z)
            descend(self.beta_optimizer, loss, ranks=self.ranks)
        return loss.detach()

    def _descend_alpha(self, z: Tensor) -> Tensor:
        with (
            gradients(self.gan.generator_weights, needed=False),
            gradients(self.gan.discriminator_weights, needed=False),
            gradients(list(self.alpha.parameters()), needed=True),
        ):
            loss = self.gan.generator_loss(z)
            descend(self.alpha_optimizer, loss, ranks=self.ranks)
        return loss.detach()

    def _relaxed(self, network: nn.Module, logits: CellLogits, mixture: Mixture) -> Relaxed:
        config = self.config
        hard = config.hard and mixture == "gumbel"
        return Relaxed(network, logits, mixture=mixture, noise_on=config.noise_on, hard=hard)

    def _adam(self, logits: CellLogits) -> torch.optim.Optimizer:
        config = self.config
        return adam(
            list(logits.parameters()),
            config.architecture_lr,
            (config.architecture_beta1, config.architecture_beta2),
            config.architecture_weight_decay,
        )


def phases(
    config: Config, resolution: int, image_channels: int, device: torch.device
) -> list[Phase]:
    """Return the search's one phase: steps of beta and the discriminator, and of the other two."""
    gan = SuperGAN(config, resolution, image_channels, device)
    random = torch.Generator("cpu" if device.type == "meta" else device).manual_seed(0)
    half = config.batch_size // 2
    size = (half, image_channels, resolution, resolution)
    real = torch.rand(size, generator=random, device=device) * 2 - 1
    sizes = (half, config.generator_batch_size)
    z_half, z = (
        torch.randn(num, config.latent_dim, generator=random, device=device) for num in sizes
    )
    iteration = count()

    def discriminator_steps() -> Tensor:
        gan.start(next(iteration) % config.iterations)
        if config.discriminator == "searched":
            gan.beta_step(real, z_half)
        return gan.discriminator_step(real, z_half)

    def generator_steps() -> Tensor:
        gan.alpha_step(z)
        return gan.generator_step(z)

    def generate() -> None:
        gan.start(0)
        z = torch.randn(NUM_GENERATED, config.latent_dim, generator=random, device=device)
        with gan.gan.averaged() as network, torch.no_grad():
            network(z)

    return [
        Phase(
            f"search at {resolution} px",
            discriminator_steps,
            generator_steps,
            config.num_critic,
            config.batch_size,
            config.iterations,
            generate=generate,
            warm_up=gan.gan.warm_up,
        )
    ]


def records(config: Config, device: torch.device) -> bool:
    """Tell whether a GPU records the steps: those that compute one drawn operation change."""
    return device.type == "cuda" and not config.hard and config.discriminator != "autogan_grown"


def networks(config: Config, resolution: int, image_channels: int) -> tuple[nn.Module, nn.Module]:
    """Build both networks of a search without their weights, on the meta device."""
    some_discriminator = decode_discriminator(SOME_DISCRIMINATOR, config.discriminator_width)
    resnet = SNResNetDiscriminator(space="sn_resnet", width=config.discriminator_width)
    sizes = sizes_of(config, config.width)
    with torch.device("meta"):
        generator = build_supernet(sizes, resolution, image_channels)
        if config.discriminator in ("searched", "super"):
            return generator, build_supernet(some_discriminator, resolution, image_channels)
        return generator, build_discriminator(resnet, resolution, image_channels)


def sizes_of(config: Config, width: int) -> AdversarialNASGenerator:
    """Return some generator of the search's sizes at a width."""
    return decode_generator(SOME_GENERATOR, width, config.latent_dim, config.num_latent_parts)
