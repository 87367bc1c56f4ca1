"""The steps of a GAN on real images: what each of them draws is a function of seed and count."""

from typing import NamedTuple

import torch
from torch import Tensor

from gan_nas.data.batches import Batches
from gan_nas.streams import stream
from gan_nas.training.augmentation import flipped
from gan_nas.training.config import TrainingConfig
from gan_nas.training.gan import GAN, generator_moves


class Losses(NamedTuple):
    """Of a discriminator's step and, where it had its turn, of the generator's after it."""

    discriminator: Tensor
    generator: Tensor | None


class Steps:
    """Makes the steps of a GAN as its settings say.

    `images` are the real ones, uint8 (N, C, S, S). Rates and losses are the GAN's own.
    """

    def __init__(
        self,
        gan: GAN,
        config: TrainingConfig,
        images: Tensor,
        latent_dim: int,
        device: torch.device,
    ) -> None:
        self.gan, self.config, self.latent_dim, self.device = gan, config, latent_dim, device
        self.batches = Batches(images, config.batch_size, config.seed, device=device)
        self.generator_batches = Batches(
            images,
            config.generator_batch_size,
            config.seed,
            "generator data order",
            device=device,
        )

    def make(self, count: int) -> Losses:
        """Make the discriminator's step `count`, from 0, and the generator's in its turn."""
        config = self.config
        z = self.latents("discriminator latents", count, config.batch_size)
        random = self._stream("discriminator noise", count)
        real = self._prepared(self.batches, count)
        d_loss = self.gan.discriminator_step(real, z, random)
        if not generator_moves(count, config.num_critic, config.generator_turn):
            return Losses(d_loss, None)
        turn = count // config.num_critic
        z = self.latents("generator latents", turn, config.generator_batch_size)
        random = self._stream("generator noise", turn)
        return Losses(d_loss, self.gan.generator_step(z, random, self._beside(real, turn)))

    def latents(self, purpose: str, count: int, num: int) -> Tensor:
        """Draw latents (num, latent_dim) of N(0, I) for a purpose and count."""
        random = self._stream(purpose, count)
        return torch.randn(num, self.latent_dim, generator=random, device=self.device)

    def _beside(self, real: Tensor, turn: int) -> Tensor | None:
        """Return the real images of the generator's step after the discriminator's with `real`."""
        match self.gan.objective.reals:
            case "none":
                return None
            case "same":
                return real
            case "own":
                return self._prepared(self.generator_batches, turn, "generator ")

    def _prepared(self, batches: Batches, count: int, whose: str = "") -> Tensor:
        """Return a batch of real images, float32 in [-1, 1], as the settings want them."""
        if self.config.dequantise:
            random = self._stream(f"{whose}dequantisation", count)
            images = dequantised(batches.levels(count), random)
        else:
            images = batches.at(count)
        if self.config.augment == "flip":
            images = flipped(images, self._stream(f"{whose}flips", count))
        return images

    def _stream(self, purpose: str, count: int) -> torch.Generator:
        return stream(self.config.seed, purpose, count, device=self.device)


def dequantised(levels: Tensor, random: torch.Generator) -> Tensor:
    """Spread grey levels, uint8, evenly over the 1/128 that each has: float32 in [-1, 1]."""
    noise = torch.empty_like(levels, dtype=torch.float32).uniform_(generator=random)
    return noise.add_(levels).div_(128).sub_(1)
