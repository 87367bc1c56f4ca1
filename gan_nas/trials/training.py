"""The evaluator `train`: each trial trained from scratch, in a folder of its own."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from gan_nas.configs import resolve
from gan_nas.data import Images
from gan_nas.errors import InvalidInput, RunFailed
from gan_nas.metrics.backbone import Backbone
from gan_nas.networks.cost import genome_price
from gan_nas.networks.weights import load_generator
from gan_nas.runs.folders import RESULTS
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.stored import read_result
from gan_nas.scoring.generating import generate
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.genome import Genome
from gan_nas.training.config import TrainingConfig
from gan_nas.training.forecast import Work
from gan_nas.training.loop import LAST, Start, train
from gan_nas.training.plan import new_gan
from gan_nas.training.plan import work as training_work
from gan_nas.training.timing import seconds_of_image
from gan_nas.trials.evaluator import Evaluator, Means, Shared, Terms, failure
from gan_nas.trials.trial import Outcome, Trial


def steps_of(config: TrainingConfig, images: int) -> int:
    """Return the generator steps in which a discriminator sees that many real images, or more."""
    return max(1, ceil(images / (config.num_critic * config.batch_size)))


@dataclass(frozen=True, kw_only=True)
class TrainEvaluator(Evaluator):
    """Trains the genome of a trial until its discriminator has seen as many images as asked for.

    A trial at a higher fidelity goes on with the run of a lower one. A run that is there already,
    finished or not, is taken up.
    """

    side_by_side: ClassVar[bool] = True
    times_generators: ClassVar[bool] = True

    config: TrainingConfig
    """How all trials are trained; seed and length are the trial's."""
    folder: Path
    images: Images
    resolution: int
    device: torch.device
    backbone: Backbone
    score_every: int | None = None
    """Real images between two scores, beside those at the end; none: as `config` says."""
    named: Callable[[Trial], str] = attrgetter("name")
    """Returns the name of a trial's run in the folder."""
    starts: Mapping[str, Start] = field(default_factory=dict)
    """Weights to start from, by the id of the genome as it is trained; else they are drawn."""
    again: bool = False
    """Whether trials that have failed are tried once more."""
    measures_latency: bool = False
    """Whether generators are timed, too, at the end."""
    judges: tuple[Backbone, ...] = ()
    """Backbones that score the same images beside the one that trials are compared by."""
    plain: bool = False
    """Whether trainings draw nothing."""
    cache: Path | None = None

    @classmethod
    def begin(cls, terms: Terms, means: Means, folder: Callable[[], Path], shared: Shared) -> Self:
        """Return what judges the trials of a search, each in a run of its own."""
        del shared
        assert means.backbone is not None, "trials are scored"
        return cls(
            config=terms.training,
            folder=folder(),
            images=means.pixels(terms.side),
            resolution=terms.side,
            device=terms.device,
            backbone=means.backbone,
            measures_latency=terms.wants_latency,
            score_every=terms.fidelities[0],
            cache=means.cache,
            stop=means.stop,
            progress=means.ledger.show,
        )

    @classmethod
    def work(cls, terms: Terms, images: int) -> Work:
        """Return the work of all trials: as if it were one training of an example."""
        training = terms.training
        training = training.model_copy(update={"steps": steps_of(training, images)})
        return training_work(terms.example, training, terms.side, terms.channels, terms.device)

    def __call__(self, trial: Trial) -> Outcome:
        """Train and score; raises Interrupted, and nothing for a trial that goes wrong."""
        genome = suited(trial.genome, self.config.framework)
        shape = self.resolution, self.images.channels
        try:
            parameters, macs = genome_price(genome, *shape)
        except InvalidInput as error:
            return Outcome(trial=trial, status="invalid", why=str(error))
        outcome = Outcome(trial=trial, status="completed", parameters=parameters, macs=macs)
        started, began_busy = time.monotonic(), time.process_time()
        try:
            result = self._earlier(trial) or self._trained(genome, trial)
        except (RunFailed, MemoryError, RuntimeError) as error:
            spent = {
                "seconds": time.monotonic() - started,
                "processor_seconds": time.process_time() - began_busy,
            }
            return outcome.model_copy(update=failure(error) | spent)
        known: dict[str, Any] = {
            "distance": result.last[self.backbone.distance_name],
            "score": result.last.get(self.backbone.score_name),
            "scores": tuple(result.scores),
            "seconds": result.seconds,
            "processor_seconds": result.processor_seconds,
            "passport": result.passport,
        }
        if self.measures_latency:
            known["latency_ms"] = 1_000 * self._seconds_of_image(genome)
        return outcome.model_copy(update=known)

    def samples(self, trial: Trial, num: int) -> Tensor | None:
        """Return images of the weights at the trial's end, whose distance it is judged by."""
        path = self.run_of(trial) / LAST
        if not path.is_file():
            return None
        generator = load_generator(path, self.device)
        latent_dim = generator.latent_dim
        return torch.cat(list(generate(generator, num, latent_dim, trial.seed, self.device)))

    def run_of(self, trial: Trial) -> Path:
        """Return the run directory of a trial."""
        return self.folder / self.named(trial)

    def _seconds_of_image(self, genome: Genome) -> float:
        gan = new_gan(genome, self.config, self.resolution, self.images.channels, self.device)
        with gan.averaged() as generator:
            return seconds_of_image(generator, genome.generator.latent_dim, self.device)

    def _earlier(self, trial: Trial) -> TrainingResult | None:
        """Return the result of a trial whose run has gone on to more images since."""
        run, name = self.run_of(trial), f"{RESULTS}/{steps_of(self.config, trial.images)}.json"
        return read_result(run, TrainingResult, name) if (run / name).is_file() else None

    def _trained(self, genome: Genome, trial: Trial) -> TrainingResult:
        update = {"seed": trial.seed, "steps": steps_of(self.config, trial.images)}
        if self.score_every is not None:
            update["score_every"] = steps_of(self.config, self.score_every)
        return train(
            genome,
            self.images,
            resolve(TrainingConfig, self.config.model_dump() | update),
            self.run_of(trial),
            resolution=self.resolution,
            device=self.device,
            backbone=self.backbone,
            cache=self.cache,
            stop=self.stop,
            progress=self.progress,
            start=self.starts.get(genome.genome_id),
            again=self.again,
            judges=self.judges,
            plain=self.plain,
        )


EVALUATOR = TrainEvaluator
