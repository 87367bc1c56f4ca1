"""Train a single genome of any space by reconstruction, as DEGAS trains its supernet.

How well an architecture reconstructs is what the search selects by (DEGAS, sec. 3.2).
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gan_nas.configs import defaults
from gan_nas.data import Images
from gan_nas.machine.repeatable import repeatable
from gan_nas.networks.builder import build_generator
from gan_nas.networks.cost import generator_cost
from gan_nas.progress import Progress, silent
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.loop import work_through
from gan_nas.runs.results import Plan, ReconstructionResult
from gan_nas.runs.run import Run, never
from gan_nas.runs.tensorboard import board
from gan_nas.search.degas.config import Config
from gan_nas.search.degas.phases import extra_memory, phase_of
from gan_nas.search.degas.reconstruction import Reconstruction, State
from gan_nas.spaces.genome import Genome
from gan_nas.training.forecast import Scale, Work, memory_bytes
from gan_nas.training.gan import fresh
from gan_nas.training.timing import Phase
from gan_nas.versions import versions

ABSENT = {"config": defaults(Config)}  # what settings stood for that older versions did not store


def reconstruct(
    genome: Genome,
    config: Config,
    images: Images,
    directory: Path,
    *,
    device: torch.device,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
    again: bool = False,
    tensorboard: bool = False,
) -> ReconstructionResult:
    """Train one genome's generator of any space as the search trains its supernet, without alpha.

    The same call goes on after an interruption. Writes curves.png, best.svg, samples/*.png,
    log.jsonl and result.json, and events if wanted for `tensorboard`; raises as a search does.
    """
    side = config.resolution or images.side
    config = config.model_copy(update={"latent_dim": genome.generator.latent_dim})
    bare = _bare_generator(genome, side, images.channels)  # raises
    settings = settings_of(genome, config, images, device) | {"versions": versions()}
    with (
        repeatable(device),
        Run.open(directory, settings, stop, absent=ABSENT) as run,
        board(directory, wanted=tensorboard) as events,
    ):
        if run.finished:
            return run.result(ReconstructionResult)
        run.begin(again=again)
        network = fresh(bare, config.seed, "generator weights", device, "default")
        caption = f"{genome.title} reconstructs {images.name}, seed {config.seed}"
        ledger = Ledger(run, progress, "the reconstruction", caption=caption, board=events)
        start = partial(Reconstruction, config, network, None, images, side, device, ledger)
        work = work_through(run, ledger, State, start, save_every=config.save_every)
        ledger.curves()
        ledger.best(genome, None, side, images.channels)
        return run.finish(
            ReconstructionResult(
                genome_id=genome.genome_id,
                name=genome.title,
                loss=work.loss(),
                iterations=work.step,
                seconds=ledger.seconds,
            )
        )


def settings_of(
    genome: Genome, config: Config, images: Images, device: torch.device
) -> dict[str, Any]:
    """Return what a reconstruction is made of; another run directory is needed for others."""
    latent_dim = genome.generator.latent_dim
    return {
        "method": "reconstruct",
        **images.identity([config.resolution or images.side]),
        "image_channels": images.channels,
        "image_side": config.resolution or images.side,
        "device": device.type,
        "config": config.model_copy(update={"latent_dim": latent_dim}).model_dump(mode="json"),
        "genome": genome.model_dump(mode="json"),
    }


def reconstruction_work(
    genome: Genome, config: Config, resolution: int, image_channels: int, device: torch.device
) -> Work:
    """Return the work of `reconstruct`, to forecast and to time."""

    def build(scale: Scale, on: torch.device) -> list[Phase]:
        widths = genome.generator.width, genome.discriminator.width
        resized = genome.resized(*map(scale.of_width, widths))
        side = resolution // scale.side
        return reconstruction_phases(resized, scale.of(config), side, image_channels, on)

    return Work(build, side=resolution, batch_size=config.batch_size, device=device)


def reconstruction_phases(
    genome: Genome, config: Config, resolution: int, image_channels: int, device: torch.device
) -> list[Phase]:
    """Return the one phase of `reconstruct`: a step on weights and latents."""
    config = config.model_copy(update={"latent_dim": genome.generator.latent_dim})
    network = _bare_generator(genome, resolution, image_channels)
    network = fresh(network, config.seed, "generator weights", device, "default")
    return [phase_of(config, network, None, resolution, image_channels, device)]


def reconstruction_plan(
    genome: Genome,
    config: Config,
    images: Images,
    *,
    device: torch.device,
    forecast: Work | None = None,
) -> Plan:
    """Predict what `reconstruct` will cost, as `plan` does for a search."""
    side = config.resolution or images.side
    config = config.model_copy(update={"latent_dim": genome.generator.latent_dim})
    cost = generator_cost(genome.generator, side, images.channels)
    forecast = forecast or reconstruction_work(genome, config, side, images.channels, device)
    kept, start = extra_memory(config, len(images.train), side, images.channels)
    return Plan(
        config=config.model_dump(mode="json"),
        sizes={"generator": cost._asdict()},
        steps=config.iterations,
        images=config.iterations * config.batch_size,
        memory_bytes=kept + memory_bytes(forecast, images, side, scores=False, start=start),
        predicted_seconds=sum(phase.seconds for phase in forecast.times()),
    )


def _bare_generator(genome: Genome, resolution: int, image_channels: int) -> nn.Module:
    with torch.device("meta"):
        return build_generator(genome.generator, resolution, image_channels)
