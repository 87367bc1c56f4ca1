"""What training a genome is made of, and what it will cost: its GAN, its steps, its plan."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from gan_nas.data import Images
from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.networks.builder import build_discriminator, build_generator
from gan_nas.networks.cost import genome_cost
from gan_nas.runs.results import Plan
from gan_nas.spaces.frameworks import Framework, suited
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.schema import DiscriminatorGenome, GeneratorGenome
from gan_nas.training.augmentation import diffaugment
from gan_nas.training.config import TrainingConfig
from gan_nas.training.forecast import Scale, Work, memory_bytes
from gan_nas.training.gan import GAN, fresh
from gan_nas.training.objectives import (
    CTGAN,
    MMD,
    R3GAN,
    WGANGP,
    Hinge,
    Objective,
    RelativisticAverageHinge,
    Wasserstein,
)
from gan_nas.training.schedules import Pace, pace_at
from gan_nas.training.timing import NUM_GENERATED, Phase, gan_phase


class Builders(NamedTuple):
    """What makes the networks of a genome: its own, or by `build_supernet` all of a space."""

    generator: Callable[[GeneratorGenome, int, int], nn.Module] = build_generator
    discriminator: Callable[[DiscriminatorGenome, int, int], nn.Module] = build_discriminator


OWN = Builders()
NUM_NORM_LATENTS = 256  # latents that batch-norm statistics are re-estimated from


def new_gan(
    genome: Genome,
    config: TrainingConfig,
    resolution: int,
    image_channels: int,
    device: torch.device,
    build: Builders = OWN,
    ranks: Ranks = ALONE,
) -> GAN:
    """Build and initialise a genome's networks on `device`, ready to train in a framework.

    `build` makes both: by `build_supernet` one is that of all of its genome's space. The `ranks`
    share the work of each step.
    """
    genome, pace = suited(genome, config.framework), pace_at(config, 0)
    with torch.device("meta"):
        generator = build.generator(genome.generator, resolution, image_channels)
        discriminator = build.discriminator(genome.discriminator, resolution, image_channels)
    gan = GAN(
        fresh(generator, config.seed, "generator weights", device, config.generator_init),
        fresh(
            discriminator,
            config.seed,
            "discriminator weights",
            device,
            config.discriminator_init,
        ),
        generator_lr=config.generator_lr,
        discriminator_lr=config.discriminator_lr,
        betas=(config.beta1, config.beta2),
        ema_decay=config.ema_decay if config.ema_half_life is None else 1.0,
        ema_warm_start=config.ema_warm_start,
        precision=config.precision,
        objective=objective_of(config, pace),
        micro_batch=config.micro_batch,
        augment=diffaugment if config.augment == "diffaugment" else None,
        ranks=ranks,
    )
    if records(config, device, build) and ranks.size == 1:
        gan.record()
    return gan


def records(config: TrainingConfig, device: torch.device, build: Builders) -> bool:
    """Tell whether a GPU records the steps: those of a supernet take other paths each time."""
    return device.type == "cuda" and build == OWN and not config.compile


OBJECTIVES: dict[Framework, Callable[[TrainingConfig, Pace], Objective]] = {
    "hinge-sn": lambda config, pace: Hinge(config.passes),
    "rahinge": lambda config, pace: RelativisticAverageHinge(config.passes),
    "wasserstein": lambda config, pace: Wasserstein(config.passes),
    "mmd": lambda config, pace: MMD(pace.mmd_upper_bound, config.mmd_lower_bound, config.passes),
    "wgan-gp": lambda config, pace: WGANGP(config.gradient_penalty),
    "ctgan": lambda config, pace: CTGAN(
        config.gradient_penalty, config.consistency_weight, config.consistency_margin
    ),
    "r3gan": lambda config, pace: R3GAN(pace.gamma),
}


def objective_of(config: TrainingConfig, pace: Pace) -> Objective:
    """Return the losses of the settings' framework, as they are in a step."""
    return OBJECTIVES[config.framework](config, pace)


def keep_pace(gan: GAN, config: TrainingConfig, step: int, distances: Sequence[float] = ()) -> None:
    """Let rates, decays and losses be those of a generator's step, after scores so far."""
    pace = pace_at(config, step, distances)
    gan.set_rates(pace.lr_factor, pace.beta2)
    gan.ema_decay = pace.ema_decay
    gan.objective = objective_of(config, pace)


def training_phase(
    gan: GAN, genome: Genome, config: TrainingConfig, resolution: int, image_channels: int
) -> Phase:
    """Return the one phase of a training, that of `gan`."""
    return gan_phase(
        gan,
        what=f"retrain {genome.title}",
        side=resolution,
        image_channels=image_channels,
        latent_dim=genome.generator.latent_dim,
        batch_size=config.batch_size,
        generator_batch_size=config.generator_batch_size,
        num_critic=config.num_critic,
        steps=config.steps * config.num_critic,
        num_generated=NUM_GENERATED if config.norm_statistics == "live" else NUM_NORM_LATENTS,
    )


def work(
    genome: Genome,
    config: TrainingConfig,
    resolution: int,
    image_channels: int,
    device: torch.device,
    build_with: Builders = OWN,
) -> Work:
    """Return the work of `train`, to forecast and to time; `build_with` as of `new_gan`."""

    def build(scale: Scale, on: torch.device) -> list[Phase]:
        widths = genome.generator.width, genome.discriminator.width
        resized = genome.resized(*map(scale.of_width, widths))
        smaller, side = scale.of(config), resolution // scale.side
        gan = new_gan(resized, smaller, side, image_channels, on, build_with)
        return [training_phase(gan, resized, smaller, side, image_channels)]

    return Work(
        build,
        side=resolution,
        batch_size=config.batch_size,
        device=device,
        recorded=records(config, device, build_with),
    )


def plan(
    genome: Genome,
    images: Images,
    config: TrainingConfig,
    *,
    resolution: int,
    device: torch.device,
    forecast: Work | None = None,
) -> Plan:
    """Predict what `train` will cost: sizes, steps, memory in bytes, seconds on this device.

    Nothing is made at full size, see forecast.py; the time is that of the steps, without scoring.
    `forecast` is what `work` returned, where it is there already.
    """
    genome = suited(genome, config.framework)
    cost = genome_cost(genome, resolution, images.channels)
    forecast = forecast or work(genome, config, resolution, images.channels, device)
    return Plan(
        config=config.model_dump(mode="json"),
        sizes={
            "generator": cost.generator._asdict(),
            "discriminator": cost.discriminator._asdict(),
        },
        steps=config.steps,
        images=config.steps * config.num_critic * config.batch_size,
        memory_bytes=memory_bytes(forecast, images, resolution),
        predicted_seconds=sum(phase.seconds for phase in forecast.times()),
    )
