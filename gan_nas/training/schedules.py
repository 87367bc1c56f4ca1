"""What changes while a GAN trains: learning rates, decays, the weight or bound of a loss.

R3GAN's schedules (Huang et al. 2024; Trainer.py and train.py) run along half a cosine over the
number of real images seen.
"""

from collections.abc import Sequence
from math import cos, pi
from typing import NamedTuple

from gan_nas.training.config import TrainingConfig
from gan_nas.training.mmd import widened


class Pace(NamedTuple):
    """What holds in a step."""

    lr_factor: float
    """Share of both learning rates."""
    beta2: float
    ema_decay: float
    gamma: float
    mmd_upper_bound: float | None


def cosine(start: float, end: float, images: float, total: float) -> float:
    """Return start + (end - start) (1 - cos(pi images / total)) / 2, and `end` from `total` on."""
    if images >= total:
        return end
    return start + (end - start) * (1 - cos(pi * images / total)) / 2


def half_life_decay(images: float, half_life: float) -> float:
    """Return the decay of an average over a step of so many images: 0 for a half-life of 0."""
    decay: float = 0.5 ** (images / half_life) if half_life else 0.0
    return decay


def pace_at(config: TrainingConfig, step: int, distances: Sequence[float] = ()) -> Pace:
    """Return what holds in a generator's step and the discriminator's before it.

    Steps count from 0; `distances` are those of the scores so far, the earliest first.
    """
    images_per_step = config.num_critic * config.batch_size
    images, total = step * images_per_step, config.schedule_images
    if total is None:
        total = config.steps * images_per_step

    def along(start: float, end: float | None) -> float:
        return start if end is None else cosine(start, end, images, total)

    lr_factor = along(1.0, config.final_lr_factor)
    if config.lr_decay == "linear" and step:
        lr_factor *= 1 - step / config.steps
    ema_decay, bound = config.ema_decay, config.mmd_upper_bound
    if config.ema_half_life is not None:
        ema_decay = half_life_decay(images_per_step, along(0.0, config.ema_half_life))
    if bound is not None and config.mmd_patience is not None:
        bound = widened(bound, distances, config.mmd_patience)
    return Pace(
        lr_factor,
        along(config.beta2, config.final_beta2),
        ema_decay,
        along(config.gamma, config.final_gamma),
        bound,
    )
