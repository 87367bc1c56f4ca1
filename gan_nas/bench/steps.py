"""Time the work of a preset on this machine: steps, sampling, memory, predicted hours."""

import time
from typing import Any

import torch

from gan_nas.machine.cores import peak_memory
from gan_nas.machine.repeatable import repeatable
from gan_nas.scoring.generating import generate
from gan_nas.search import load_method
from gan_nas.spaces.genome import Genome
from gan_nas.training.config import TrainingConfig
from gan_nas.training.plan import new_gan, training_phase
from gan_nas.training.timing import PhaseTime, time_phase

SECONDS_PER_HOUR = 3600
NUM_SAMPLED = 1_000


def report(
    method: str,
    search_config: Any,
    genome: Genome,
    training_config: TrainingConfig,
    *,
    resolution: int,
    image_channels: int,
    device: torch.device,
    repeats: int = 3,
) -> dict[str, Any]:
    """Time a search's phases, a genome's training and its sampling; returns rows for a table.

    `search_config` is a Config of the method.
    Steps are medians over `repeats` after one that warms up. Predicted hours are of training
    steps alone: scores come on top. Memory is the peak so far of this process, or of the GPU.
    """
    search_phases = load_method(method).phases
    with repeatable(device):  # as runs compute
        phases = [
            time_phase(phase, repeats)
            for phase in search_phases(search_config, resolution, image_channels, device)
        ]
        gan = new_gan(genome, training_config, resolution, image_channels, device)
        if training_config.compile:
            gan.compile()
        training = time_phase(
            training_phase(gan, genome, training_config, resolution, image_channels), repeats
        )
        started = time.perf_counter()
        with gan.averaged() as network:
            for batch in generate(network, NUM_SAMPLED, genome.generator.latent_dim, 0, device):
                batch.cpu()
        sampled = time.perf_counter() - started
    return {
        "device": str(device),
        "method": method,
        "threads": torch.get_num_threads(),
        "precision": {
            "search": getattr(search_config, "precision", None),  # a stranger's may have none
            "retrain": training_config.precision,
        },
        "resolution": resolution,
        "rows": [_row(phase) for phase in (*phases, training)],
        "search_hours": sum(phase.seconds for phase in phases) / SECONDS_PER_HOUR,
        "retrain_hours": training.seconds / SECONDS_PER_HOUR,
        "samples_per_second": NUM_SAMPLED / sampled,
        "peak_memory_bytes": _peak_memory(device),
    }


def _row(phase: PhaseTime) -> dict[str, Any]:
    return {
        "what": phase.what,
        **{f"{part}_ms": 1000 * t for part, t in zip(phase.parts, phase.times, strict=True)},
        "amortised_ms": 1000 * phase.seconds_per_step,
        "images_per_second": phase.batch_size / phase.seconds_per_step,
        "steps": phase.steps,
        "hours": phase.seconds / SECONDS_PER_HOUR,
    }


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_memory()
