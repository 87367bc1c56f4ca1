"""What a training is made of, unit by unit: cycles of steps, each followed by scores where due.

The moving average of the generator's weights is scored.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, JsonValue
from torch import Tensor, nn

from gan_nas.errors import InvalidInput
from gan_nas.machine.compiler import check_compiler
from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.networks.states import Saved, load_module_state, module_state
from gan_nas.networks.weights import save_generator
from gan_nas.runs.ledger import Ledger, check_spread, means, spread_of
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.run import Run
from gan_nas.scoring.generating import generate
from gan_nas.scoring.protocols import Compared
from gan_nas.scoring.scorer import Scorer
from gan_nas.spaces.genome import Genome
from gan_nas.training.config import TrainingConfig
from gan_nas.training.gan import reestimated_norms
from gan_nas.training.plan import NUM_NORM_LATENTS, keep_pace, new_gan
from gan_nas.training.steps import Steps

LAST, BEST = "generator.safetensors", "best.safetensors"
PHASES = ("training images", "comparing images")


class Start(NamedTuple):
    """Weights that training starts from in place of drawn ones, by the networks' own names."""

    generator: dict[str, Tensor]
    """Empty where they are lost: a run that has a checkpoint goes on without."""
    discriminator: dict[str, Tensor] | None
    """None draws the discriminator's as usual."""
    origin: dict[str, JsonValue]
    """Where they come from, in JSON; it is part of a run's settings and of its lineage."""
    keeps_statistics: bool = False
    """Whether norms go on with the statistics among these weights, which are theirs alone."""

    @property
    def identity(self) -> dict[str, JsonValue]:
        """Return the origin without the name of its file or folder, which may change."""
        return {key: value for key, value in self.origin.items() if key != "source"}


class State(BaseModel):
    """Where a training is."""

    step: int = 0


class Training:
    """The state of one training run."""

    def __init__(
        self,
        genome: Genome,
        config: TrainingConfig,
        run: Run,
        ledger: Ledger,
        scorer: Scorer,
        device: torch.device,
        start: Start | None,
        state: State | None = None,
        *,
        others: Sequence[Scorer] = (),
        ranks: Ranks = ALONE,
    ) -> None:
        self.genome, self.config, self.run, self.device = genome, config, run, device
        self.ledger, self.scorer, self.images = ledger, scorer, scorer.images
        self.others, self.ranks = others, ranks
        self.inherited_from = start and start.origin
        self._keeps_statistics = start is not None and start.keeps_statistics
        shape = scorer.side, self.images.channels
        self.gan = new_gan(genome, config, *shape, device, ranks=ranks)
        if config.compile:
            check_compiler(device)
            self.gan.compile()
        latent_dim = genome.generator.latent_dim
        self.steps = Steps(self.gan, config, self.images.train, latent_dim, device)
        self.d_losses = ledger.window("d_loss", config.log_every * config.num_critic, device)
        self.g_losses = ledger.window("g_loss", config.log_every, device)
        self.state = state or State()
        self.gan.generator_steps = self._first_step = self.step
        if start and state is None:
            self._begin(start)

    @property
    def step(self) -> int:
        """Count the generator's steps."""
        return self.state.step

    @property
    def num_images(self) -> int:
        """Return how many real images the discriminator has seen."""
        return self.step * self.config.num_critic * self.config.batch_size

    @property
    def finished(self) -> bool:
        """Tell whether all steps are made and the last weights scored."""
        return self.step == self.config.steps and not self._score_is_due

    @property
    def _score_is_due(self) -> bool:
        config = self.config
        return self.ledger.is_due(self.step, config.score_every, config.steps, config.score_at)

    def advance(self) -> None:
        """Score where it is due, else make a cycle and log it."""
        if self._score_is_due:
            self.score()
            return
        self.cycle()
        if self.step % self.config.log_every == 0 or self.step in (1, self.config.steps):
            self.log()

    def cycle(self) -> None:
        """Make the discriminator's steps, and the generator's in its turn."""
        num_critic = self.config.num_critic
        self._keep_pace()
        for k in range(self.step * num_critic, (self.step + 1) * num_critic):
            losses = self.steps.make(k)
            self.d_losses.push(losses.discriminator)
            if losses.generator is not None:
                self.g_losses.push(losses.generator)
        self.state.step += 1

    def score(self) -> None:
        """Score the averaged generator, draw samples, keep the best."""
        scores, spread = self.ranks.first(self._scores)
        self.ledger.log("scores", **scores, spread=spread)
        if self.step:
            check_spread(spread, self.step)
        self.ledger.keep(scores)
        if scores is self.best:
            self._write(BEST)
        self.show(means(self.ledger.windows))

    def _scores(self) -> tuple[dict[str, Any], float]:
        """Return the scores of the averaged generator, and how far its images differ."""
        with self._scored_generator() as network:
            fakes: Iterable[Tensor] = self._fakes(network, self.config.num_scored)
            fakes = list(fakes) if self.others else fakes
            scores, first = self.ledger.score(self.scorer, fakes, self.step, self.num_images)
            for other in self.others:
                name = other.backbone.name
                scores |= {_of_judge(key, name): v for key, v in other.score(fakes).items()}
        return scores, spread_of(first)

    def log(self) -> None:
        """Write a line of the log and show the progress; raises RunFailed on NaN."""
        losses = self.ledger.losses(self.step)
        self.ledger.log(step=self.step, images=self.num_images, **losses)
        self.show(losses)

    def show(self, losses: Mapping[str, float]) -> None:
        """Show how far training is; two more scorings compare the last weights with real images."""
        config, per_step = self.config, self.config.num_critic * self.config.batch_size
        rate = (self.step - self._first_step) * per_step / self.ledger.seconds_of_sitting
        values = {"images/s": rate, **losses}
        due = self.ledger.num_due(self.step, config.score_every, config.steps, config.score_at)
        total = config.steps * per_step
        self.ledger.show(PHASES[0], self.num_images, total, values, scorings=due + 1)

    def saved(self) -> dict[str, Saved]:
        """Return what a checkpoint keeps."""
        return self.gan.saved()

    def verify(self) -> None:
        """Raise RunFailed rather than let NaN be saved: a loss can be finite before weights are.

        Incompatible where scores are missing in what was read.
        """
        self.ledger.losses(self.step)
        self.ledger.check_scored(range(0, self.step, self.config.score_every))
        if not self.gan.is_finite():
            raise self.ledger.diverged(self.step, "a weight")

    def result(self) -> TrainingResult:
        """Write weights and curves; return the result."""
        self._write(LAST)
        config, scores, scorer = self.config, self.ledger.scores, self.scorer
        self.ledger.show(PHASES[1], 0, config.num_scored, {})
        compared, real = self.ranks.first(self._beside_real)
        self.ledger.curves(real)
        self.ledger.best(self.genome, None, scorer.side, self.images.channels)
        self.ledger.show(PHASES[1], config.num_scored, config.num_scored, {})
        return TrainingResult(
            genome_id=self.genome.genome_id,
            name=self.genome.title,
            inherited_from=self.inherited_from,
            steps=self.step,
            images=self.num_images,
            seconds=self.ledger.seconds,
            processor_seconds=self.ledger.processor_seconds,
            images_per_second=self.num_images / self.ledger.seconds,
            first=scores[0],
            best=self.best,
            last=scores[-1],
            scores=scores,
            real=real,
            compared=Compared(**compared),
            passport=scorer.passport(config.num_scored, config.seed, config.precision),
            files={
                "last": str(self.run.path(LAST)),
                "best": str(self.run.path(BEST)),
            },
        )

    def _beside_real(self) -> tuple[dict[str, Any], dict[str, float]]:
        """Return the scores of as many generated images as there are real ones, and of these."""
        num, scorer = self.config.num_scored, self.scorer
        with self._scored_generator() as network:
            compared = scorer.compared(num, self.ledger.newest, partial(self._fakes, network))
        return compared.model_dump(), scorer.real(num)

    @property
    def best(self) -> dict[str, Any]:
        """Return the scores with the lowest distance; the earliest of equals."""
        distance = self.scorer.backbone.distance_name
        return min(self.ledger.scores, key=lambda score: float(score[distance]))

    def _fakes(self, network: nn.Module, num: int) -> Iterator[Tensor]:
        latent_dim = self.genome.generator.latent_dim
        return generate(network, num, latent_dim, self.config.seed, self.device, stop=self.run.stop)

    @contextmanager
    def _scored_generator(self) -> Iterator[nn.Module]:
        with self.gan.averaged() as network:
            given = self._keeps_statistics and self.step == 0
            if given or self.config.norm_statistics == "live":
                yield network
            else:
                z = self.steps.latents("norm latents", 0, NUM_NORM_LATENTS)
                with reestimated_norms(network, z):
                    yield network

    def _write(self, name: str) -> None:
        """Write the averaged generator as a file that needs nothing else."""
        self.ranks.first(partial(self._save, name))

    def _save(self, name: str) -> None:
        with self._scored_generator():
            tensors = {k: t.clone() for k, t in module_state(self.gan.generator).items()}
        lineage: dict[str, JsonValue] = {
            "method": "retrain",
            **self.images.identity([self.images.side]),
            "resizing": self.images.resizing,
            "steps": self.step,
            "images": self.num_images,
            "weights": "moving average" if self.config.averages else "live",
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

    def _keep_pace(self) -> None:
        """Let rates, decays and losses be those of the step."""
        distance = self.scorer.backbone.distance_name
        distances = [float(score[distance]) for score in self.ledger.scores]
        keep_pace(self.gan, self.config, self.step, distances)

    def _begin(self, start: Start) -> None:
        """Take over weights; the moving average starts from them.

        Norms get the statistics of these weights alone, unless they have them: a supernet's are of
        many architectures, or it kept none.
        """
        if not start.generator:
            raise InvalidInput(
                f"{start.origin['source']}, from which this run begins, is no longer there, and "
                "there is no checkpoint to go on from: put it back"
            )
        gan = self.gan
        load_module_state(gan.generator, start.generator)
        if start.discriminator is not None:
            load_module_state(gan.discriminator, start.discriminator)
        live, averages = module_state(gan.generator), gan.saved()["averages"]
        averages.load({name: live[name] for name in averages.read()})
        if start.keeps_statistics:
            return
        z = self.steps.latents("norm latents", 0, NUM_NORM_LATENTS)
        with reestimated_norms(gan.generator, z):
            own = {k: t.clone() for k, t in module_state(gan.generator).items()}
        load_module_state(gan.generator, own)
        gan.generator.train()


def _of_judge(score: str, judge: str) -> str:
    """Return the name of another judge's score: with the judge's."""
    return score if "[" in score else f"{score}[{judge}]"
