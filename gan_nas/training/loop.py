"""Train one genome, from scratch or from given weights: the work behind `retrain` and its scores.

What it does, step by step: units.py. Settings and presets: config.py.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gan_nas.configs import defaults
from gan_nas.data import Images
from gan_nas.errors import InvalidInput
from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.machine.repeatable import repeatable
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import keep_judge
from gan_nas.metrics.loading import load_backbone
from gan_nas.progress import Progress, silent
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.loop import work_through
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.run import Length, never
from gan_nas.runs.shared import open_run
from gan_nas.runs.stored import stored_judge
from gan_nas.runs.tensorboard import board
from gan_nas.scoring.scorer import Scorer
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.genome import Genome
from gan_nas.training.config import TrainingConfig
from gan_nas.training.units import PHASES, Start, State, Training
from gan_nas.versions import versions


def train(
    genome: Genome,
    images: Images,
    config: TrainingConfig,
    directory: Path | str,
    *,
    resolution: int | None = None,
    device: torch.device | str = "cpu",
    backbone: Backbone | None = None,
    cache: Path | None = None,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
    start: Start | None = None,
    again: bool = False,
    judges: Sequence[Backbone] = (),
    plain: bool = False,
    ranks: Ranks = ALONE,
    tensorboard: bool = False,
) -> TrainingResult:
    """Train a genome's generator and discriminator; the same call goes on after an interruption.

    With more steps a finished run goes on, too, as if it had been this long from the start.

    What is trained, and recorded, is the genome as it suits the framework. Without a `start`, such
    as `load_start` returns, weights are drawn, as in the papers.

    The `resolution` is the images' `default_resolution` if it is not given, and the `backbone` the
    classifier, which is trained on the images first where the package or `cache` has none for them.
    `cache` is a folder where it and the numbers of real images are kept between runs. `judges` are
    backbones that score the same images beside it; which generator is best is not up to them.
    The `ranks` train together, each its part of every batch, when all of them make this call; the
    first scores and writes.

    Writes into `directory`: generator.safetensors (the last averaged weights) and best.safetensors
    (those of the lowest distance seen), log.jsonl, result.json and, unless it is to be `plain`,
    `samples/*.png`, curves.png and best.svg, the genome's drawing; with `tensorboard`, events for
    it.
    Returns the result. Raises Interrupted with the state saved; RunFailed when a loss is not
    finite or all images are the same, and at once when it did so before, unless `again`;
    Incompatible when the directory holds other settings.
    """
    batches = {name: getattr(config, name) for name in ("batch_size", "generator_batch_size")}
    ranks.check(batches, config.micro_batch)
    if ranks.size > 1 and config.compile:
        raise InvalidInput(
            f"compile = true with {ranks.size} processes: torch.compile cannot follow what they "
            "tell each other, train without compile"
        )
    genome = suited(genome, config.framework)
    directory, device = Path(directory), torch.device(device)
    images.check_varied()
    resolution = resolution or images.default_resolution
    if backbone is None:
        kept, wanted = stored_judge(directory)
        classifier = partial(load_backbone, "classifier", images, cache, device, stop, progress)
        backbone = ranks.in_turn(partial(classifier, kept=kept, wanted=wanted))
    settings = settings_of(genome, images, config, resolution, device, start)
    settings |= {**backbone.identity, "versions": versions()}
    if judges:
        settings["judges"] = [judge.fingerprint for judge in judges]
    length = Length("steps", config.follows_length)
    with (
        repeatable(device),
        open_run(directory, settings, stop, ranks, absent=absent_of(genome), length=length) as run,
        board(directory, wanted=tensorboard and ranks.is_first) as events,
    ):
        if run.finished:
            return run.result(TrainingResult)
        run.begin(again=again)
        ranks.first(partial(keep_judge, directory, backbone, images))
        real = images.at(resolution).to(device)
        scorer, *others = (
            ranks.in_turn(
                partial(
                    Scorer,
                    judge,
                    real,
                    resolution,
                    config.num_splits,
                    config.num_reference,
                    cache,
                    stop=stop,
                    progress=progress,
                )
            )
            for judge in (backbone, *judges)
        )
        caption = f"{genome.title} on {images.name}, seed {config.seed}"
        writer = run if ranks.is_first else None
        ledger = Ledger(writer, progress, "training", plain=plain, caption=caption, board=events)
        ledger.phases = PHASES
        begin = partial(
            Training,
            genome,
            config,
            run,
            ledger,
            scorer,
            device,
            start,
            others=others,
            ranks=ranks,
        )
        training = work_through(
            run, ledger, State, begin, save_every=config.save_every, ranks=ranks
        )
        return run.finish(training.result())


def settings_of(
    genome: Genome,
    images: Images,
    config: TrainingConfig,
    resolution: int,
    device: torch.device,
    start: Start | None = None,
) -> dict[str, Any]:
    """Return what a training is made of, but for what scores it.

    Another run directory is needed for anything else. The genome is as it suits the framework.
    """
    return {
        "method": "retrain",
        "genome": genome.model_dump(mode="json"),
        **images.identity([resolution]),
        "resolution": resolution,
        "device": device.type,
        "config": config.model_dump(mode="json"),
        "inherited": start and start.identity,
    }


def absent_of(genome: Genome) -> dict[str, Any]:
    """Return what settings stood for that older versions did not store: their defaults now."""
    parts = {"generator": genome.generator, "discriminator": genome.discriminator}
    return {
        "config": defaults(TrainingConfig),
        "genome": {name: defaults(type(part)) for name, part in parts.items()},
    }
