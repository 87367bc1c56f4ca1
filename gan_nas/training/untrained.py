"""Generators that have not been trained, drawn from a seed as a training would draw them."""

from pathlib import Path

import torch

from gan_nas.networks.builder import build_generator
from gan_nas.networks.states import module_state
from gan_nas.networks.weights import GeneratorFile, save_generator
from gan_nas.spaces.genome import Genome
from gan_nas.training.gan import fresh


def save_untrained(
    path: Path, genome: Genome, resolution: int, image_channels: int = 3, seed: int = 0
) -> GeneratorFile:
    """Write a generator file with fresh weights and return its metadata."""
    with torch.device("meta"):
        network = build_generator(genome.generator, resolution, image_channels)
    drawn = fresh(network, seed, "generator weights", torch.device("cpu"))
    lineage = {"method": "build", "steps": 0, "seed": seed}
    return save_generator(path, module_state(drawn), genome, resolution, image_channels, lineage)
