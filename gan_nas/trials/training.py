"""The evaluator `train`: each trial trained from scratch, in a folder of its own."""

import gc
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
from gan_nas.errors import InvalidInput
from gan_nas.files import write_json
from gan_nas.metrics.backbone import Backbone
from gan_nas.networks.cost import genome_price
from gan_nas.networks.weights import load_generator
from gan_nas.runs.folders import CONFIG, RESULTS
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.stored import read_config, read_result, stored_config
from gan_nas.scoring.generating import generate
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.genome import Genome, Role
from gan_nas.training.config import TrainingConfig
from gan_nas.training.forecast import Work
from gan_nas.training.loop import train
from gan_nas.training.plan import new_gan
from gan_nas.training.plan import work as training_work
from gan_nas.training.timing import seconds_of_image
from gan_nas.training.units import LAST, Start
from gan_nas.trials.evaluator import Evaluator, Means, Shared, Terms, failure
from gan_nas.trials.trial import Outcome, Trial


def steps_of(config: TrainingConfig, images: int) -> int:
    """Return the generator steps in which a discriminator sees that many real images, or more."""
    return max(1, ceil(images / (config.num_critic * config.batch_size)))


@dataclass(frozen=True, kw_only=True)
class TrainEvaluator(Evaluator):
    """Trains the genome of a trial until its discriminator has seen as many images as asked for.

    A trial at a higher fidelity goes on with the run of a lower one. A run that is there already,
    finished or not, is taken up. Where memory does not suffice a run goes on, once, with micro-
    batches of half the size, which its config then tells.
    """

    side_by_side: ClassVar[bool] = True
    searches: ClassVar[frozenset[Role]] = frozenset({"generator", "discriminator"})
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
    tensorboard: bool = False
    """Whether each writes events for TensorBoard into its run, too."""
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
        result = self._tried(genome, trial)
        if isinstance(result, Failed) and result["status"] == "out_of_memory":
            if self.config.is_separable and self._halve(trial):
                give_memory_back()
                result = self._tried(genome, trial)
            elif not self.config.is_separable:
                result["why"] += (
                    f", and framework {self.config.framework} compares all images of a batch, so "
                    "that there are no smaller parts to train on"
                )
        if self._micro_batch(trial) != self.config.micro_batch:
            outcome = outcome.model_copy(update={"micro_batch": self._micro_batch(trial)})
        if isinstance(result, Failed):
            spent = {
                "seconds": time.monotonic() - started,
                "processor_seconds": time.process_time() - began_busy,
            }
            return outcome.model_copy(update=dict(result) | spent)
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

    def _tried(self, genome: Genome, trial: Trial) -> "TrainingResult | Failed":
        """Return a training's result, or how it failed: without the error, which holds memory."""
        try:
            return self._earlier(trial) or self._trained(genome, trial)
        except Exception as error:
            return Failed(failure(error))

    @property
    def _half(self) -> int | None:
        """Return half the micro-batch that is asked for; none where there is no half."""
        config = self.config
        whole = max(config.batch_size, config.generator_batch_size)
        return min(config.micro_batch or whole, whole) // 2 or None

    def _micro_batch(self, trial: Trial) -> int | None:
        """Return the micro-batch of a trial's run: that which is asked for, or its half."""
        run = self.run_of(trial)
        if (run / CONFIG).is_file():
            kept = stored_config(run).get("config")
            if isinstance(kept, dict) and kept.get("micro_batch") == self._half is not None:
                return self._half
        return self.config.micro_batch

    def _halve(self, trial: Trial) -> bool:
        """Let a trial's run go on with half the micro-batch; False where it has, or there is none.

        Only where memory did not suffice: numbers are those of whole batches up to rounding, but
        for batch norms.
        """
        run = self.run_of(trial)
        if self._half is None or self._micro_batch(trial) == self._half:
            return False
        if not (run / CONFIG).is_file():  # it was not the batch that was too large
            return False
        run_id, stored = read_config(run)
        config = stored["config"] | {"micro_batch": self._half}
        write_json(run / CONFIG, stored | {"config": config, "run_id": run_id})
        return True

    def _earlier(self, trial: Trial) -> TrainingResult | None:
        """Return the result of a trial whose run has gone on to more images since."""
        run, name = self.run_of(trial), f"{RESULTS}/{steps_of(self.config, trial.images)}.json"
        return read_result(run, TrainingResult, name) if (run / name).is_file() else None

    def _trained(self, genome: Genome, trial: Trial) -> TrainingResult:
        update = {
            "seed": trial.seed,
            "steps": steps_of(self.config, trial.images),
            "micro_batch": self._micro_batch(trial),
        }
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
            tensorboard=self.tensorboard,
        )


class Failed(dict[str, str]):
    """How a training failed, in an outcome's fields."""


def give_memory_back() -> None:
    """Let go of what a failed training still holds, and what CUDA keeps for later."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


EVALUATOR = TrainEvaluator
