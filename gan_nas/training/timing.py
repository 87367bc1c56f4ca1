"""How long training steps take, here and now: the base of every prediction."""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_nas.streams import stream
from gan_nas.training.gan import GAN

NUM_GENERATED = 100  # images made at once for a score
Step = Callable[[], Tensor]


class StepTimes(NamedTuple):
    """Seconds of a discriminator step and of a generator step."""

    discriminator: float
    generator: float

    def amortised(self, num_critic: int) -> float:
        """Return the seconds of a discriminator step with its share of a generator step."""
        return self.discriminator + self.generator / num_critic


class Phase(NamedTuple):
    """A part of a run that makes the same two steps again and again, on noise.

    `first` and `second` make one step each and return its loss; networks are trained by them: throw
    these away afterwards. `parts` names them, where they are not those of two networks.
    """

    what: str
    first: Step
    second: Step
    num_critic: int
    batch_size: int
    steps: int
    parts: tuple[str, str] = ("discriminator", "generator")
    generate: Callable[[], object] = lambda: None
    """Makes a batch of images, as scores do."""
    warm_up: int = 1
    """How many first steps of either kind take another time than those after them."""


class PhaseTime(NamedTuple):
    """What a phase of a run takes: seconds of its steps, and how many there are."""

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


def gan_phase(
    gan: GAN,
    *,
    what: str,
    side: int,
    image_channels: int,
    latent_dim: int,
    batch_size: int,
    generator_batch_size: int,
    num_critic: int,
    steps: int,
    num_generated: int = NUM_GENERATED,
    prepare: Callable[[], None] = lambda: None,
) -> Phase:
    """Return the phase of a GAN's two steps; `prepare` is called before each.

    `num_generated` images are the most that pass the generator at once for a score.
    """
    device = gan.device
    random = torch.Generator("cpu" if device.type == "meta" else device).manual_seed(0)
    size = (batch_size, image_channels, side, side)
    real = torch.rand(size, generator=random, device=device) * 2 - 1

    beside = real if gan.objective.reals == "same" else None
    if gan.objective.reals == "own":
        size = (generator_batch_size, image_channels, side, side)
        beside = torch.rand(size, generator=random, device=device) * 2 - 1

    def discriminator_step() -> Tensor:
        prepare()
        z = torch.randn(batch_size, latent_dim, generator=random, device=device)
        return gan.discriminator_step(real, z, random)

    def generator_step() -> Tensor:
        prepare()
        z = torch.randn(generator_batch_size, latent_dim, generator=random, device=device)
        return gan.generator_step(z, random, beside)

    def generate() -> None:
        prepare()
        z = torch.randn(num_generated, latent_dim, generator=random, device=device)
        with gan.averaged() as network, torch.no_grad():
            network(z)

    return Phase(
        what,
        discriminator_step,
        generator_step,
        num_critic,
        batch_size,
        steps,
        generate=generate,
        warm_up=gan.warm_up,
    )


def time_phase(phase: Phase, repeats: int, budget: float = float("inf")) -> PhaseTime:
    """Time a phase's steps and return medians; the first ones, which warm up, do not count.

    Stops after `repeats`, or when `budget` seconds are spent and one was timed.
    """
    for _ in range(phase.warm_up):
        seconds_of(phase)
    times = list(_repeated(phase, repeats, budget))
    first, second = (median(part) for part in zip(*times, strict=True))
    return PhaseTime(
        phase.what,
        StepTimes(first, second),
        phase.num_critic,
        phase.batch_size,
        phase.steps,
        phase.parts,
    )


def seconds_of_image(
    generator: nn.Module, latent_dim: int, device: torch.device, repeats: int = 9
) -> float:
    """Time a generator that is on a device: seconds for an image, in batches of NUM_GENERATED.

    It is the median over `repeats` batches, after one that warms up, without gradients.
    """
    random = stream(0, "timed latents", device=device)
    z = torch.randn(NUM_GENERATED, latent_dim, generator=random, device=device)
    seconds = []
    with torch.no_grad():
        for _ in range(1 + repeats):
            started = time.perf_counter()
            float(generator(z).sum())  # waits for the device
            seconds.append(time.perf_counter() - started)
    return median(seconds[1:]) / NUM_GENERATED


def seconds_of(phase: Phase) -> StepTimes:
    """Make one step of either kind and return how long they took."""
    started = time.perf_counter()
    float(phase.first())  # waits for the device
    middle = time.perf_counter()
    float(phase.second())
    return StepTimes(middle - started, time.perf_counter() - middle)


def _repeated(phase: Phase, repeats: int, budget: float) -> Iterator[StepTimes]:
    begun = time.perf_counter()
    for number in range(repeats):
        if number and time.perf_counter() - begun > budget:
            return
        yield seconds_of(phase)
