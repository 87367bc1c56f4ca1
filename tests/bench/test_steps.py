"""The timings that predictions stand on: what is measured, and for how long."""

import json
import time

import pytest
import tiny
import torch

from gan_nas.bench.steps import report
from gan_nas.search.autogan.config import Config
from gan_nas.training.config import TrainingConfig
from gan_nas.training.gan import GAN
from gan_nas.training.plan import new_gan, training_phase
from gan_nas.training.timing import NUM_GENERATED, StepTimes, seconds_of_image, time_phase

TRAINING = TrainingConfig.model_validate(tiny.TRAINING)
SEARCH = Config.model_validate(tiny.SEARCH)


def timed(repeats: int, budget: float = float("inf")) -> tuple[GAN, StepTimes]:
    gan = new_gan(tiny.GENOME, TRAINING, 8, 1, tiny.CPU)
    phase = training_phase(gan, tiny.GENOME, TRAINING, 8, 1)
    return gan, time_phase(phase, repeats, budget).times


def test_an_image_takes_the_median_of_batches_after_the_first() -> None:
    seen: list[torch.Size] = []

    class Slow(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            seen.append(z.shape)
            time.sleep((0.05, 0.001, 0.001, 0.05)[len(seen) - 1])
            assert not torch.is_grad_enabled()
            return z

    with torch.device("meta"):
        seconds = seconds_of_image(Slow(), 5, tiny.CPU, repeats=3)
    assert seen == [(NUM_GENERATED, 5)] * 4
    assert 0.001 <= NUM_GENERATED * seconds < 0.02


@pytest.mark.parametrize("levels", ["multi", "single"])
def test_report_has_a_row_for_each_level_and_the_training(levels: str) -> None:
    search = SEARCH.model_copy(update={"levels": levels})
    result = report(
        "autogan",
        search,
        tiny.GENOME,
        TRAINING,
        resolution=16,
        image_channels=1,
        device=tiny.CPU,
        repeats=1,
    )
    assert list(result) == [
        "device",
        "method",
        "threads",
        "precision",
        "resolution",
        "rows",
        "search_hours",
        "retrain_hours",
        "samples_per_second",
        "peak_memory_bytes",
    ]
    assert json.loads(json.dumps(result)) == result
    assert result["device"] == "cpu"
    assert result["threads"] == torch.get_num_threads()
    assert result["precision"] == {"search": "float32", "retrain": "float32"}
    assert result["resolution"] == 16
    for key in ("search_hours", "retrain_hours", "samples_per_second", "peak_memory_bytes"):
        assert result[key] > 0

    rows = result["rows"]
    sides = [4, 8, 16] if levels == "multi" else [16]
    assert [row["what"] for row in rows] == [
        *(f"search at {side} px" for side in sides),
        f"retrain {tiny.GENOME.title}",
    ]
    for row in rows:
        assert row["what"]
        numbers = {key: value for key, value in row.items() if key != "what"}
        assert set(numbers) == {
            "discriminator_ms",
            "generator_ms",
            "amortised_ms",
            "images_per_second",
            "steps",
            "hours",
        }
        assert all(value > 0 for value in numbers.values())
        share = row["generator_ms"] / TRAINING.num_critic
        assert row["amortised_ms"] == pytest.approx(row["discriminator_ms"] + share)
        assert row["hours"] == pytest.approx(row["steps"] * row["amortised_ms"] / 3.6e6)
    assert result["search_hours"] == pytest.approx(sum(row["hours"] for row in rows[:-1]))
    assert result["retrain_hours"] == rows[-1]["hours"]
    assert sum(row["steps"] for row in rows[:-1]) == SEARCH.iterations * SEARCH.discriminator_steps
    assert rows[-1]["steps"] == TRAINING.steps * TRAINING.num_critic


@pytest.mark.parametrize("repeats", [1, 3])
def test_timing_repeats_as_often_as_asked_after_one_that_warms_up(repeats: int) -> None:
    gan, times = timed(repeats)
    assert gan.generator_steps == repeats + 1
    assert times.discriminator > 0
    assert times.generator > 0


def test_timing_without_a_budget_still_times_one_step() -> None:
    gan, times = timed(repeats=1000, budget=0.0)
    assert gan.generator_steps == 2
    assert min(times) > 0


def test_timing_stops_when_its_budget_is_spent() -> None:
    begun = time.perf_counter()
    gan, _ = timed(repeats=10**6, budget=0.2)
    assert time.perf_counter() - begun < 10
    assert 2 <= gan.generator_steps < 10**6


def test_a_generator_steps_time_is_shared_among_the_critics() -> None:
    times = StepTimes(discriminator=2.0, generator=6.0)
    assert times.amortised(num_critic=1) == 8.0
    assert times.amortised(num_critic=3) == 4.0


def test_timing_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    timed(repeats=1)
    assert torch.equal(before, torch.get_rng_state())
