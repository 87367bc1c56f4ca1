"""What changes while a GAN trains."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.training.schedules import Pace, cosine, half_life_decay, pace_at

# R3GAN's schedules for CIFAR-10, at six numbers of images.
GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "losses_golden.npz", allow_pickle=False)
ENDS = {"lr": (2e-4, 5e-5), "gamma": (0.05, 0.005), "beta2": (0.9, 0.99), "ema_nimg": (0, 5e6)}


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(changes)


@pytest.mark.parametrize("name", ENDS)
def test_schedules_are_the_published_codes(name: str) -> None:
    found = [cosine(*ENDS[name], images, 2e7) for images in GOLDEN["r3gan_nimg"].tolist()]
    assert found == pytest.approx(GOLDEN[f"r3gan_schedule_{name}"].tolist(), rel=1e-9, abs=1e-12)


def test_the_preset_of_r3gan_follows_them() -> None:
    published = config(**presets_for("autogan", "r3gan")["published"])
    assert (published.batch_size, published.generator_batch_size) == (512, 512)
    for step in (0, 10_000, 39_063, 80_000):
        at = pace_at(published, step)
        values = {n: cosine(*ends, step * 512, 2e7) for n, ends in ENDS.items()}
        assert published.generator_lr * at.lr_factor == pytest.approx(values["lr"])
        assert published.discriminator_lr * at.lr_factor == pytest.approx(values["lr"])
        assert (at.beta2, at.gamma) == pytest.approx((values["beta2"], values["gamma"]))
        half_life = values["ema_nimg"]
        assert at.ema_decay == (0.5 ** (512 / half_life) if half_life else 0)


def test_without_ends_nothing_changes() -> None:
    given = config(beta2=0.8, ema_decay=0.99, gamma=3.0)
    paces = {pace_at(given, step, [5.0, 6.0] * 20) for step in (0, 1, 20_000, 50_000)}
    assert paces == {Pace(1.0, 0.8, 0.99, 3.0, 4.0)}


def test_a_schedule_takes_all_of_the_training_if_no_images_are_given() -> None:
    given = config(steps=100, final_gamma=1.0, gamma=3.0, final_lr_factor=0.5)
    paces = [pace_at(given, step) for step in (0, 50, 100)]
    assert [pace.gamma for pace in paces] == pytest.approx([3.0, 2.0, 1.0])
    assert [pace.lr_factor for pace in paces] == pytest.approx([1.0, 0.75, 0.5])


def test_learning_rates_fall_in_both_ways_at_once() -> None:
    given = config(steps=100, lr_decay="linear", final_lr_factor=0.5)
    assert pace_at(given, 50).lr_factor == pytest.approx(0.75 * 0.5)


def test_the_bound_widens_only_if_asked_to() -> None:
    stuck = [1.0] * 9
    assert pace_at(config(), 0, stuck).mmd_upper_bound == 4
    assert pace_at(config(mmd_patience=6), 0, stuck).mmd_upper_bound == 8
    assert pace_at(config(mmd_upper_bound=None, mmd_patience=6), 0, stuck).mmd_upper_bound is None


@pytest.mark.parametrize("half_life", [0, 64, 512, 1e9])
def test_an_average_forgets_half_in_a_half_life(half_life: float) -> None:
    left = half_life_decay(64, half_life) ** (half_life / 64)
    assert left == pytest.approx(0.5 if half_life else 1.0)
    assert half_life_decay(64, 0) == 0
