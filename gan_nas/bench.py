"""Time the work of a preset on this machine: steps, sampling, memory, predicted hours."""

import resource
import time
from typing import Any

import torch

from gan_nas.genome import Genome
from gan_nas.scoring import generate
from gan_nas.search import autogan
from gan_nas.search.shared_gan import time_stages
from gan_nas.timing import StepTimes, time_steps
from gan_nas.training import TrainingConfig, new_gan

SECONDS_PER_HOUR = 3600
NUM_SAMPLED = 1_000


def report(
    genome: Genome,
    search_config: autogan.Config,
    training_config: TrainingConfig,
    *,
    resolution: int,
    image_channels: int,
    device: torch.device,
    repeats: int = 3,
) -> dict[str, Any]:
    """Time a search's stages, a genome's training and its sampling; returns rows for a table.

    Steps are medians over `repeats` after one that warms up. Predicted hours are of training
    steps alone: scores come on top. Memory is the peak so far of this process, or of the GPU.
    """
    search_rows = [
        _row(f"search at {stage.side} px", stage.times, search_config, stage.steps)
        for stage in time_stages(search_config, resolution, image_channels, device, repeats)
    ]
    gan = new_gan(genome, training_config, resolution, image_channels, device)
    if training_config.compile:
        gan.compile()
    times = time_steps(
        gan,
        side=resolution,
        image_channels=image_channels,
        latent_dim=genome.generator.latent_dim,
        batch_size=training_config.batch_size,
        generator_batch_size=training_config.generator_batch_size,
        repeats=repeats,
    )
    steps = training_config.steps * training_config.num_critic
    retrain_row = _row(f"retrain {genome.title}", times, training_config, steps)
    started = time.perf_counter()
    with gan.averaged() as network:
        for batch in generate(network, NUM_SAMPLED, genome.generator.latent_dim, 0, device):
            batch.cpu()
    sampled = time.perf_counter() - started
    return {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "precision": {"search": search_config.precision, "retrain": training_config.precision},
        "resolution": resolution,
        "rows": [*search_rows, retrain_row],
        "search_hours": sum(row["hours"] for row in search_rows),
        "retrain_hours": retrain_row["hours"],
        "samples_per_second": NUM_SAMPLED / sampled,
        "peak_memory_bytes": _peak_memory(device),
    }


def _row(
    what: str, times: StepTimes, config: autogan.Config | TrainingConfig, steps: int
) -> dict[str, Any]:
    seconds = times.amortised(config.num_critic)
    return {
        "what": what,
        "discriminator_ms": 1000 * times.discriminator,
        "generator_ms": 1000 * times.generator,
        "amortised_ms": 1000 * seconds,
        "images_per_second": config.batch_size / seconds,
        "steps": steps,
        "hours": steps * seconds / SECONDS_PER_HOUR,
    }


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
