"""Train one genome, from scratch or from given weights: the loop behind `retrain` and its scores.

AutoGAN (Gong et al. 2019), sec. 4.1: hinge loss, Adam(2e-4, 0.0, 0.9), five discriminator steps
for one generator step, 50,000 generator steps; the moving average of the weights is scored. Other
frameworks bring their own loss, discriminator and presets.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import torch
from pydantic import Field, JsonValue, model_validator
from torch import Tensor, nn

from gan_nas.builder import Initialisation, build_discriminator, build_generator
from gan_nas.configs import Settings
from gan_nas.cost import genome_cost
from gan_nas.data import Images
from gan_nas.data.batches import Batches
from gan_nas.errors import Interrupted, RunFailed
from gan_nas.frameworks import Framework, suited
from gan_nas.gan import GAN, LossWindow, Precision, check_compiler, fresh, reestimated_norms
from gan_nas.genome import Genome
from gan_nas.metrics.backbone import Backbone
from gan_nas.objectives import CTGAN, WGANGP, Hinge, Objective
from gan_nas.plots import save_curves, save_grid
from gan_nas.progress import Progress, silent
from gan_nas.runs import Checkpoint, Run, never, read_log
from gan_nas.scoring import Scorer, generate
from gan_nas.states import load_module_state, module_state
from gan_nas.streams import stream
from gan_nas.timing import QUICKLY, time_steps
from gan_nas.versions import versions
from gan_nas.weights import save_generator

NUM_SHOWN = 64  # images in a sample grid
COLLAPSED_SPREAD = 0.5  # mean deviation between images, in grey levels, that means collapse
NUM_NORM_LATENTS = 256  # latents that batch-norm statistics are re-estimated from


class TrainingConfig(Settings):
    """How a GAN is trained; the defaults are the paper's, or its code's where it is silent."""

    seed: int = Field(default=0, ge=0)
    """Decides initialisation, data order, latents and evaluation latents."""
    framework: Framework = "hinge-sn"
    """Losses, and the discriminator they need: where the genome's was made for another framework,
    this one's own of the same width is trained. ctgan: CT-GAN's; wgan-gp: the same, dropout 0."""
    gradient_penalty: float = Field(default=10.0, ge=0, le=1e6)
    """Weight of the squared distance of the critic's slopes from 1 (wgan-gp, ctgan)."""
    consistency_weight: float = Field(default=2.0, ge=0, le=1e6)
    """Weight of the distance between two judgements of a real image (ctgan)."""
    consistency_margin: float = Field(default=0.0, ge=0, le=1e6)
    """Distance between two judgements that costs nothing (ctgan; 0 in the authors' code)."""
    steps: int = Field(default=50_000, ge=0, le=10**9)
    """Generator steps; 0 writes the untrained generator."""
    batch_size: int = Field(default=64, ge=1, le=2**16)
    """Real images in a discriminator step, and as many fakes."""
    generator_batch_size: int = Field(default=128, ge=1, le=2**16)
    """Latents in a generator step."""
    num_critic: int = Field(default=5, ge=1, le=1000)
    """Discriminator steps for one generator step."""
    generator_lr: float = Field(default=2e-4, gt=0, le=1)
    """Adam's learning rate of the generator."""
    discriminator_lr: float = Field(default=2e-4, gt=0, le=1)
    """Adam's learning rate of the discriminator."""
    lr_decay: Literal["none", "linear"] = "none"
    """Learning rates: constant (no script of AutoGAN's or AdversarialNAS' lowers them), or down
    to 0 in a straight line over `steps`."""
    beta1: float = Field(default=0.0, ge=0, lt=1)
    """Adam's first decay, both networks."""
    beta2: float = Field(default=0.9, ge=0, lt=1)
    """Adam's second decay, both networks."""
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    """Moving average of the generator's weights, each generator step; 0 scores the live ones."""
    ema_warm_start: bool = False
    """Lower the decay to (1 + n) / (10 + n) in the first steps n; the paper's code does not."""
    generator_init: Initialisation = "xavier"
    """Weights the generator starts from: Xavier, PyTorch's default, or WGAN-GP's he."""
    discriminator_init: Initialisation = "xavier"
    """Weights the discriminator starts from: Xavier, PyTorch's default, which AdversarialNAS'
    training came down to on a GPU, or WGAN-GP's he."""
    dequantise: bool = False
    """Fill the steps between the 256 grey levels of real images with noise, as WGAN-GP does."""
    norm_statistics: Literal["live", "reestimated"] = "live"
    """Batch-norm statistics under the averaged weights: those of training, as in the published
    code, or re-estimated before each score and at the end."""
    precision: Precision = "float32"
    """Forward passes: float32, or bf16 under autocast."""
    compile: bool = False
    """Let torch.compile fuse the networks; needs a C++ compiler."""
    score_every: int = Field(default=5_000, ge=1)
    """Generator steps between scores; untrained and last are always scored."""
    num_scored: int = Field(default=10_000, ge=2, le=10**6)
    """Images of a score."""
    num_splits: int = Field(default=1, ge=1, le=100)
    """Parts a classifier score is averaged over (the papers use 10 for 50,000 images)."""
    num_reference: int | None = Field(default=None, ge=2)
    """Training images of the distance's reference, evenly spaced; none takes all."""
    save_every: int = Field(default=500, ge=1)
    """Generator steps between checkpoints: what a crash may lose."""
    log_every: int = Field(default=50, ge=1, le=1000)
    """Generator steps between lines of the log."""

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        if self.compile and self.framework != "hinge-sn":
            raise ValueError(
                f"compile = true with framework {self.framework}: torch.compile cannot take the "
                "second derivative of a gradient penalty, train without compile"
            )
        return self


# Found by trial on two CPU cores: demo for digits at width 16, small for CIFAR-10 at width 32.
PRESETS: dict[str, dict[str, Any]] = {
    "demo": {
        "steps": 1_500,
        "batch_size": 32,
        "generator_batch_size": 32,
        "num_critic": 1,
        "generator_lr": 1e-3,
        "discriminator_lr": 1e-3,
        "ema_decay": 0.99,
        "ema_warm_start": True,
        "score_every": 250,
        "num_scored": 1_000,
        "save_every": 250,
    },
    "small": {
        "steps": 2_500,
        "batch_size": 32,
        "generator_batch_size": 32,
        "num_critic": 1,
        "generator_lr": 5e-4,
        "discriminator_lr": 1e-3,
        "ema_decay": 0.995,
        "ema_warm_start": True,
        "score_every": 250,
        "num_scored": 2_000,
        "num_reference": 10_000,
        "save_every": 250,
    },
    "paper": {},
}
# Where a space's papers trained their generators otherwise than AutoGAN's, whose values are the
# defaults above.
PRESETS_OF_SPACES: dict[str, dict[str, dict[str, Any]]] = {
    # Sec. 4.1: batches of 40 and 20, about 500 epochs; the authors' first scripts: 80 and 40, 600
    # epochs, for STL-10 256 and 128. Later ones dropped half of each real batch, which is left out.
    "adversarialnas": {
        "paper": {
            "steps": 250_000,
            "batch_size": 20,
            "generator_batch_size": 40,
            "discriminator_init": "default",
        },
        "repo": {
            "steps": 150_000,
            "batch_size": 40,
            "generator_batch_size": 80,
            "discriminator_init": "default",
        },
        "repo-stl10": {
            "steps": 98_520,
            "batch_size": 128,
            "generator_batch_size": 256,
            "discriminator_init": "default",
        },
    },
}


# WGAN-GP's and CT-GAN's own recipe, whatever the space (the authors' CT_gan_cifar_resnet.py). Their
# generators are scored with the statistics of a batch: re-estimated here. In the two small ones
# the consistency weighs less: dropout is loud in a narrow critic, and at the paper's weight of 2
# it learned to answer the same to everything.
CRITIC: dict[str, Any] = {
    "lr_decay": "linear",
    "ema_decay": 0.0,
    "generator_init": "he",
    "discriminator_init": "he",
    "dequantise": True,
    "norm_statistics": "reestimated",
}
CRITIC_PRESETS: dict[str, dict[str, Any]] = {
    "demo": PRESETS["demo"]
    | CRITIC
    | {
        "steps": 750,
        "num_critic": 2,
        "generator_lr": 5e-4,
        "ema_decay": 0.99,
        "consistency_weight": 0.1,
    },
    "small": PRESETS["small"]
    | CRITIC
    | {"steps": 1_500, "num_critic": 2, "ema_decay": 0.995, "consistency_weight": 0.2},
    "paper": CRITIC | {"steps": 100_000},
}


def presets_for(space: str, framework: Framework = "hinge-sn") -> dict[str, dict[str, Any]]:
    """Return the sets of settings that have a name, for generators of a space in a framework."""
    if framework == "hinge-sn":
        return PRESETS | PRESETS_OF_SPACES.get(space, {})
    return {name: {"framework": framework} | preset for name, preset in CRITIC_PRESETS.items()}


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
    directory: Path,
    *,
    resolution: int,
    device: torch.device,
    backbone: Backbone,
    cache: Path | None = None,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
    start: Start | None = None,
) -> dict[str, Any]:
    """Train a genome's generator and discriminator; the same call goes on after an interruption.

    What is trained, and recorded, is the genome as it suits the framework. Without a `start`
    weights are drawn, as in the papers.

    `cache` is a folder where the numbers of real images are kept between runs.

    Writes into `directory`: generator.safetensors (the last averaged weights) and best.safetensors
    (those of the lowest distance seen), samples/*.png, curves.png, log.jsonl, result.json.
    Returns the result. Raises Interrupted with the state saved; RunFailed when a loss is not
    finite or all images are the same; Incompatible when the directory holds other settings.
    """
    genome = suited(genome, config.framework)
    settings = {
        "method": "retrain",
        "genome": genome.model_dump(mode="json"),
        "data": images.name,
        "data_fingerprint": images.fingerprint,
        "resolution": resolution,
        "backbone": backbone.fingerprint,
        "device": device.type,
        "config": config.model_dump(mode="json"),
        "inherited": start and start.origin,
        "versions": versions(),
    }
    with Run.open(directory, settings, stop) as run:
        if run.finished:
            return run.result()
        scorer = Scorer(
            backbone,
            images.to(device).at(resolution),
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
        self.batches = Batches(self.images.train, config.batch_size, config.seed)
        self.step = 0
        self.scores: list[dict[str, Any]] = []
        self.d_losses = LossWindow(config.log_every * config.num_critic, device)
        self.g_losses = LossWindow(config.log_every, device)
        self._seconds_before = 0.0
        if checkpoint := run.latest():
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
        """Make the discriminator's steps and one generator step."""
        config = self.config
        if config.lr_decay == "linear":
            self.gan.scale_learning_rates(1 - self.step / config.steps)
        for k in range(self.step * config.num_critic, (self.step + 1) * config.num_critic):
            z = self._latents("discriminator latents", k, config.batch_size)
            random = self._stream("discriminator noise", k)
            self.d_losses.push(self.gan.discriminator_step(self._real(k), z, random))
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
        self.scores.append({"step": self.step, "images": self.num_images, **values})
        self.run.log(**self.scores[-1], spread=spread, seconds=self.seconds)
        if self.step and spread < COLLAPSED_SPREAD:
            raise RunFailed(
                f"the generator has collapsed: at step {self.step:,} its images differ by "
                f"{spread:.2f} grey levels; try a lower learning rate or another seed"
            )
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
        save_curves(read_log(self.run.directory), self.run.path("curves.png"))
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
            "data": self.images.name,
            "data_fingerprint": self.images.fingerprint,
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
        levels = self.images.train.index_select(0, self.batches.indices(count))
        return dequantised(levels, self._stream("dequantisation", count))

    def _latents(self, purpose: str, count: int, batch_size: int) -> Tensor:
        size = (batch_size, self.genome.generator.latent_dim)
        return torch.randn(size, generator=self._stream(purpose, count), device=self.device)

    def _stream(self, purpose: str, count: int) -> torch.Generator:
        return stream(self.config.seed, purpose, count, device=self.device)

    def _losses(self) -> dict[str, float]:
        num = self.config.log_every
        losses = {
            "d_loss": self.d_losses.mean(num * self.config.num_critic),
            "g_loss": self.g_losses.mean(num),
        }
        if self.step and not all(map(isfinite, losses.values())):
            raise RunFailed(
                f"training diverged before step {self.step:,}: a loss is not finite; the last "
                f"checkpoint in {self.run.directory} is good, try a lower learning rate"
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
        self._seconds_before = state["seconds"]
        self.gan.load_state(tensors, self.step)
        for window, name in ((self.d_losses, "d_losses"), (self.g_losses, "g_losses")):
            window.values.copy_(tensors["losses"][name])
            window.count = state[name]


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
            return Hinge()
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


def plan(
    genome: Genome,
    images: Images,
    config: TrainingConfig,
    *,
    resolution: int,
    device: torch.device,
) -> dict[str, Any]:
    """Predict what `train` will cost: sizes, steps, memory in bytes, seconds on this device.

    The time comes from steps made here and now; scoring is not in it.
    """
    genome = suited(genome, config.framework)
    cost = genome_cost(genome, resolution, images.channels)
    times = time_steps(
        new_gan(genome, config, resolution, images.channels, device),
        side=resolution,
        image_channels=images.channels,
        latent_dim=genome.generator.latent_dim,
        batch_size=config.batch_size,
        generator_batch_size=config.generator_batch_size,
        **QUICKLY,
    )
    batch = max(2 * config.batch_size, config.generator_batch_size)
    networks = (cost.generator, cost.discriminator)
    return {
        "config": config.model_dump(mode="json"),
        "generator": cost.generator._asdict(),
        "discriminator": cost.discriminator._asdict(),
        "steps": config.steps,
        "images": config.steps * config.num_critic * config.batch_size,
        "memory_bytes": sum(16 * c.parameters + batch * c.activation_bytes for c in networks)
        + images.train.numel(),
        "predicted_seconds": config.steps * config.num_critic * times.amortised(config.num_critic),
    }
