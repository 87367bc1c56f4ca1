"""Train one genome, from scratch or from given weights: the loop behind `retrain` and its scores.

The moving average of the generator's weights is scored. Settings and presets: config.py.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import JsonValue
from torch import Tensor, nn

from gan_nas.configs import defaults
from gan_nas.data import Images
from gan_nas.data.batches import Batches
from gan_nas.errors import Interrupted, RunFailed
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import keep_judge
from gan_nas.metrics.loading import load_backbone
from gan_nas.networks.builder import build_discriminator, build_generator
from gan_nas.networks.cost import genome_cost
from gan_nas.networks.states import load_module_state, module_state
from gan_nas.networks.weights import save_generator
from gan_nas.progress import Progress, silent
from gan_nas.runs.plots import save_curves, save_grid
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.run import Checkpoint, Run, never, read_log
from gan_nas.runs.stored import as_written
from gan_nas.scoring.scorer import Scorer, generate
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.genome import Genome
from gan_nas.streams import stream
from gan_nas.training.config import PRESETS as PRESETS
from gan_nas.training.config import TrainingConfig as TrainingConfig
from gan_nas.training.config import presets_for as presets_for
from gan_nas.training.forecast import Scale, Work, memory_bytes
from gan_nas.training.gan import (
    GAN,
    LossWindow,
    check_compiler,
    fresh,
    generator_moves,
    means,
    reestimated_norms,
)
from gan_nas.training.objectives import CTGAN, WGANGP, Hinge, Objective
from gan_nas.training.timing import NUM_GENERATED, Phase, gan_phase
from gan_nas.versions import versions

NUM_SHOWN = 64  # images in a sample grid
COLLAPSED_SPREAD = 0.5  # mean deviation between images, in grey levels, that means collapse
NUM_NORM_LATENTS = 256  # latents that batch-norm statistics are re-estimated from


class Start(NamedTuple):
    """Weights that training starts from in place of drawn ones, by the networks' own names."""

    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor] | None
    """None draws the discriminator's as usual."""
    origin: dict[str, JsonValue]
    """Where they come from, in JSON; it is part of a run's settings and of its lineage."""


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
) -> dict[str, Any]:
    """Train a genome's generator and discriminator; the same call goes on after an interruption.

    What is trained, and recorded, is the genome as it suits the framework. Without a `start`
    weights are drawn, as in the papers.

    The `resolution` is the images' `default_resolution` if it is not given, and the `backbone` the
    classifier, which is trained on the images first where the package or `cache` has none for them.
    `cache` is a folder where it and the numbers of real images are kept between runs.

    Writes into `directory`: generator.safetensors (the last averaged weights) and best.safetensors
    (those of the lowest distance seen), samples/*.png, curves.png, log.jsonl, result.json.
    Returns the result. Raises Interrupted with the state saved; RunFailed when a loss is not
    finite or all images are the same, and at once when it did so before, unless `again`;
    Incompatible when the directory holds other settings.
    """
    genome = suited(genome, config.framework)
    directory, device = Path(directory), torch.device(device)
    resolution = resolution or images.default_resolution
    if backbone is None:
        backbone = load_backbone("classifier", images, cache, device, stop)
    settings = {
        "method": "retrain",
        "genome": genome.model_dump(mode="json"),
        **images.identity([resolution]),
        "resolution": resolution,
        "backbone": backbone.fingerprint,
        "device": device.type,
        "config": config.model_dump(mode="json"),
        "inherited": start and start.origin,
        "versions": versions(),
    }
    with Run.open(directory, settings, stop, absent={"config": defaults(TrainingConfig)}) as run:
        if run.finished:
            return run.result(TrainingResult)
        run.begin(again=again)
        keep_judge(directory, backbone, images)
        scorer = Scorer(
            backbone,
            images.at(resolution).to(device),
            resolution,
            config.num_splits,
            config.num_reference,
            cache,
        )
        training = _Training(genome, config, run, scorer, device, start)
        while True:
            if training.score_is_due:
                training.score()
            if training.step == config.steps:
                break
            training.advance()
            if training.step % config.log_every == 0 or training.step in (1, config.steps):
                training.log(progress)
            if (
                training.step % config.save_every == 0
                or training.step == config.steps
                or run.stop()
            ):
                training.save()
        return training.finish()


class _Training:
    """The state of one training run."""

    def __init__(
        self,
        genome: Genome,
        config: TrainingConfig,
        run: Run,
        scorer: Scorer,
        device: torch.device,
        start: Start | None,
    ) -> None:
        self.genome, self.config, self.run, self.device = genome, config, run, device
        self.scorer, self.images = scorer, scorer.images
        self.inherited_from = start and start.origin
        self.gan = new_gan(genome, config, scorer.side, self.images.channels, device)
        if config.compile:
            check_compiler(device)
            self.gan.compile()
        self.batches = Batches(self.images.train, config.batch_size, config.seed, device=device)
        self.step = 0
        self.scores: list[dict[str, Any]] = []
        self.d_losses = LossWindow(config.log_every * config.num_critic, device)
        self.g_losses = LossWindow(config.log_every, device)
        self._seconds_before = 0.0
        if checkpoint := run.latest():
            with as_written(run.directory):
                self._load(checkpoint)
        elif start:
            self._begin(start)
        self._first_step = self.step
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return the time spent so far, earlier sittings included."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def num_images(self) -> int:
        """Return how many real images the discriminator has seen."""
        return self.step * self.config.num_critic * self.config.batch_size

    @property
    def score_is_due(self) -> bool:
        """Tell whether this step is scored and has not been."""
        due = self.step % self.config.score_every == 0 or self.step == self.config.steps
        return due and not (self.scores and self.scores[-1]["step"] == self.step)

    def advance(self) -> None:
        """Make a cycle: the discriminator's steps, and the generator's in its turn."""
        config = self.config
        if config.lr_decay == "linear":
            self.gan.scale_learning_rates(1 - self.step / config.steps)
        for k in range(self.step * config.num_critic, (self.step + 1) * config.num_critic):
            z = self._latents("discriminator latents", k, config.batch_size)
            random = self._stream("discriminator noise", k)
            self.d_losses.push(self.gan.discriminator_step(self._real(k), z, random))
            if generator_moves(k, config.num_critic, config.generator_turn):
                z = self._latents("generator latents", self.step, config.generator_batch_size)
                random = self._stream("generator noise", self.step)
                self.g_losses.push(self.gan.generator_step(z, random))
        self.step += 1

    def score(self) -> None:
        """Score the averaged generator, draw samples, keep the best; saves first when stopped."""
        config = self.config
        fakes: list[Tensor] = []

        def watched() -> Iterator[Tensor]:
            latent_dim = self.genome.generator.latent_dim
            for batch in generate(
                network, config.num_scored, latent_dim, config.seed, self.device, stop=self.run.stop
            ):
                if not fakes:
                    fakes.append(batch)
                yield batch

        try:
            with self._scored_generator() as network:
                values = self.scorer.score(watched())
        except Interrupted:
            self.save()
            raise
        spread = float(fakes[0].float().std(0, correction=0).mean())
        save_grid(fakes[0][:NUM_SHOWN].cpu(), self.run.path("samples", f"{self.step:07d}.png"))
        scores = {"step": self.step, "images": self.num_images, **values}
        self.run.log(**scores, spread=spread, seconds=self.seconds)
        if self.step and spread < COLLAPSED_SPREAD:
            raise RunFailed(
                f"the generator has collapsed: at step {self.step:,} its images differ by "
                f"{spread:.2f} grey levels; try a lower learning rate or another seed",
                "collapsed",
            )
        self.scores.append(scores)
        self.run.good_step = self.step
        if self.scores[-1] is self.best:
            self._write("best.safetensors")

    def log(self, progress: Progress) -> None:
        """Write a line of the log and show the progress; raises RunFailed on NaN."""
        losses = self._losses()
        self.run.log(step=self.step, images=self.num_images, seconds=self.seconds, **losses)
        per_step = self.config.num_critic * self.config.batch_size
        rate = (self.step - self._first_step) * per_step / (time.monotonic() - self._started)
        shown = {k: v for k, v in self.scores[-1].items() if k not in ("step", "images")}
        values = {"images/s": rate, **losses, **shown}
        progress("training images", self.num_images, self.config.steps * per_step, values)

    def save(self) -> None:
        """Write a checkpoint, then stop if asked to; raises RunFailed rather than saving NaN."""
        self._losses()
        state = {
            "seconds": self.seconds,
            "scores": self.scores,
            "d_losses": self.d_losses.count,
            "g_losses": self.g_losses.count,
        }
        losses = {"d_losses": self.d_losses.values, "g_losses": self.g_losses.values}
        self.run.save(self.step, state, self.gan.state() | {"losses": losses})
        self.run.check()

    def finish(self) -> dict[str, Any]:
        """Write weights, curves and the result."""
        self._write("generator.safetensors")
        save_curves(self._curves(), self.run.path("curves.png"))
        rate = self.num_images / self.seconds
        result = {
            "genome_id": self.genome.genome_id,
            "name": self.genome.title,
            "inherited_from": self.inherited_from,
            "steps": self.step,
            "images": self.num_images,
            "seconds": self.seconds,
            "images_per_second": rate,
            "first": self.scores[0],
            "best": self.best,
            "last": self.scores[-1],
            "real": self.scorer.real(self.config.num_scored),
            "compared": self._compared(),
            "passport": self.scorer.passport(
                self.config.num_scored, self.config.seed, self.config.precision
            ).model_dump(mode="json"),
            "files": {
                "last": str(self.run.path("generator.safetensors")),
                "best": str(self.run.path("best.safetensors")),
            },
        }
        self.run.finish(result)
        return result

    def _curves(self) -> list[dict[str, Any]]:
        """Return the log, with the scores it may have lost."""
        log = read_log(self.run.directory)
        known = {row.get("step") for row in log if "spread" in row}
        lost = [scores for scores in self.scores if scores["step"] not in known]
        return sorted(log + lost, key=_step) if lost else log

    def _compared(self) -> dict[str, Any]:
        """Score as many images of the last weights as there are real ones to stand beside them."""
        config = self.config
        num = self.scorer.num_compared(config.num_scored)
        if num == config.num_scored:
            return {"num": num, "scores": self.scores[-1]}
        latent_dim = self.genome.generator.latent_dim
        with self._scored_generator() as network:
            few = generate(network, num, latent_dim, config.seed, self.device, stop=self.run.stop)
            return {"num": num, "scores": self.scorer.score_few(few, config.num_scored)}

    @property
    def best(self) -> dict[str, Any]:
        """Return the scores with the lowest distance; the earliest of equals."""
        distance = self.scorer.backbone.distance_name
        return min(self.scores, key=lambda score: float(score[distance]))

    @contextmanager
    def _scored_generator(self) -> Iterator[nn.Module]:
        with self.gan.averaged() as network:
            if self.config.norm_statistics == "live":
                yield network
            else:
                z = self._latents("norm latents", 0, NUM_NORM_LATENTS)
                with reestimated_norms(network, z):
                    yield network

    def _write(self, name: str) -> None:
        """Write the averaged generator as a file that needs nothing else."""
        with self._scored_generator():
            tensors = {k: t.clone() for k, t in module_state(self.gan.generator).items()}
        lineage: dict[str, JsonValue] = {
            "method": "retrain",
            **self.images.identity([self.images.side]),
            "resizing": self.images.resizing,
            "steps": self.step,
            "images": self.num_images,
            "weights": "moving average" if self.config.ema_decay else "live",
            "config": self.config.model_dump(mode="json"),
            "inherited_from": self.inherited_from,
        }
        save_generator(
            self.run.path(name),
            tensors,
            self.genome,
            resolution=self.images.side,
            image_channels=self.images.channels,
            lineage=lineage,
        )

    def _real(self, count: int) -> Tensor:
        if not self.config.dequantise:
            return self.batches.at(count)
        levels = self.batches.levels(count)
        return dequantised(levels, self._stream("dequantisation", count))

    def _latents(self, purpose: str, count: int, batch_size: int) -> Tensor:
        size = (batch_size, self.genome.generator.latent_dim)
        return torch.randn(size, generator=self._stream(purpose, count), device=self.device)

    def _stream(self, purpose: str, count: int) -> torch.Generator:
        return stream(self.config.seed, purpose, count, device=self.device)

    def _losses(self) -> dict[str, float]:
        losses = means({"d_loss": self.d_losses, "g_loss": self.g_losses})
        if not all(map(isfinite, losses.values())):
            raise RunFailed(
                f"training diverged before step {self.step:,}: a loss is not finite; what "
                f"is saved in {self.run.directory} is from before that, try a lower learning rate"
            )
        return losses

    def _begin(self, start: Start) -> None:
        """Take over weights; the moving average starts from them.

        Norms get the statistics of these weights alone: a supernet's are of many architectures, or
        it kept none.
        """
        gan = self.gan
        new = {"generator": start.generator, "averages": start.generator}
        if start.discriminator is not None:
            new["discriminator"] = start.discriminator
        gan.load_state(gan.state() | new, 0)
        with reestimated_norms(gan.generator, self._latents("norm latents", 0, NUM_NORM_LATENTS)):
            own = {k: t.clone() for k, t in module_state(gan.generator).items()}
        load_module_state(gan.generator, own)
        gan.generator.train()

    def _load(self, checkpoint: Checkpoint) -> None:
        state, tensors = checkpoint.state, checkpoint.tensors
        self.step = checkpoint.step
        self.scores = state["scores"]
        if self.scores:
            self.run.good_step = self.scores[-1]["step"]
        self._seconds_before = state["seconds"]
        self.gan.load_state(tensors, self.step)
        for window, name in ((self.d_losses, "d_losses"), (self.g_losses, "g_losses")):
            window.values.copy_(tensors["losses"][name])
            window.count = state[name]


def _step(row: dict[str, Any]) -> float:
    step = row.get("step")
    return step if isinstance(step, int | float) else 0


def new_gan(
    genome: Genome,
    config: TrainingConfig,
    resolution: int,
    image_channels: int,
    device: torch.device,
) -> GAN:
    """Build and initialise a genome's networks on `device`, ready to train in a framework."""
    genome = suited(genome, config.framework)
    with torch.device("meta"):
        generator = build_generator(genome.generator, resolution, image_channels)
        discriminator = build_discriminator(genome.discriminator, resolution, image_channels)
    return GAN(
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
        ema_decay=config.ema_decay,
        ema_warm_start=config.ema_warm_start,
        precision=config.precision,
        objective=objective_of(config),
    )


def objective_of(config: TrainingConfig) -> Objective:
    """Return the losses of the settings' framework."""
    match config.framework:
        case "hinge-sn":
            return Hinge(config.passes)
        case "wgan-gp":
            return WGANGP(config.gradient_penalty)
        case "ctgan":
            return CTGAN(
                config.gradient_penalty, config.consistency_weight, config.consistency_margin
            )


def dequantised(levels: Tensor, random: torch.Generator) -> Tensor:
    """Spread grey levels, uint8, evenly over the 1/128 that each has: float32 in [-1, 1]."""
    noise = torch.empty_like(levels, dtype=torch.float32).uniform_(generator=random)
    return noise.add_(levels).div_(128).sub_(1)


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
) -> Work:
    """Return the work of `train`, to forecast and to time."""

    def build(scale: Scale, on: torch.device) -> list[Phase]:
        widths = genome.generator.width, genome.discriminator.width
        resized = genome.resized(*map(scale.of_width, widths))
        smaller, side = scale.of(config), resolution // scale.side
        gan = new_gan(resized, smaller, side, image_channels, on)
        return [training_phase(gan, resized, smaller, side, image_channels)]

    return Work(build, side=resolution, batch_size=config.batch_size, device=device)


def plan(
    genome: Genome,
    images: Images,
    config: TrainingConfig,
    *,
    resolution: int,
    device: torch.device,
    forecast: Work | None = None,
) -> dict[str, Any]:
    """Predict what `train` will cost: sizes, steps, memory in bytes, seconds on this device.

    Nothing is made at full size, see forecast.py; the time is that of the steps, without scoring.
    `forecast` is what `work` returned, where it is there already.
    """
    genome = suited(genome, config.framework)
    cost = genome_cost(genome, resolution, images.channels)
    forecast = forecast or work(genome, config, resolution, images.channels, device)
    return {
        "config": config.model_dump(mode="json"),
        "generator": cost.generator._asdict(),
        "discriminator": cost.discriminator._asdict(),
        "steps": config.steps,
        "images": config.steps * config.num_critic * config.batch_size,
        "memory_bytes": memory_bytes(forecast, images, resolution),
        "predicted_seconds": sum(phase.seconds for phase in forecast.times()),
    }
