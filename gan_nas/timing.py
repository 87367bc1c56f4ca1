"""How long training steps take, here and now: the base of every prediction."""

import time
from statistics import median
from typing import NamedTuple

import torch

from gan_nas.gan import GAN

QUICKLY: dict[str, int] = {"repeats": 30, "budget": 1}  # for a prediction before a run starts


class StepTimes(NamedTuple):
    """Seconds of a discriminator step and of a generator step."""

    discriminator: float
    generator: float

    def amortised(self, num_critic: int) -> float:
        """Return the seconds of a discriminator step with its share of a generator step."""
        return self.discriminator + self.generator / num_critic


class PhaseTime(NamedTuple):
    """What a phase of a run takes: seconds of its steps, and how many there are.

    `parts` names the two kinds of steps, where they are not those of two networks.
    """

    what: str
    times: StepTimes
    num_critic: int
    batch_size: int
    steps: int
    parts: tuple[str, str] = ("discriminator", "generator")

    @property
    def seconds_per_step(self) -> float:
        """Return the seconds of a discriminator step with its share of a generator step."""
        return self.times.amortised(self.num_critic)

    @property
    def seconds(self) -> float:
        """Return the seconds of the whole phase."""
        return self.steps * self.seconds_per_step


def time_steps(
    gan: GAN,
    *,
    side: int,
    image_channels: int,
    latent_dim: int,
    batch_size: int,
    generator_batch_size: int,
    repeats: int,
    budget: float = float("inf"),
) -> StepTimes:
    """Time steps on noise and return medians; the first, which warms up, does not count.

    Stops after `repeats`, or when `budget` seconds are spent and one was timed. The networks are
    trained by it: throw them away afterwards.
    """
    device = gan.device
    random = torch.Generator(device=device).manual_seed(0)
    size = (batch_size, image_channels, side, side)
    real = torch.rand(size, generator=random, device=device) * 2 - 1
    spent: list[tuple[float, float]] = []
    begun = time.perf_counter()
    while len(spent) <= repeats and (len(spent) < 2 or time.perf_counter() - begun < budget):
        z = torch.randn(batch_size, latent_dim, generator=random, device=device)
        started = time.perf_counter()
        float(gan.discriminator_step(real, z, random))  # waits for the device
        middle = time.perf_counter()
        z = torch.randn(generator_batch_size, latent_dim, generator=random, device=device)
        float(gan.generator_step(z, random))
        spent.append((middle - started, time.perf_counter() - middle))
    return StepTimes(median(d for d, _ in spent[1:]), median(g for _, g in spent[1:]))
