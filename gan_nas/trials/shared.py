"""Judge trials on shared weights: one supernet of the space, set to a trial's genome.

SPOS (Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling"):
every step trains a single path, that of a genome drawn uniformly from the space, and nothing is
trained for a trial. Here a step is the discriminator's, with the generator's after it in its turn;
the discriminator, the space's own, is one for all. Before a trial is scored its norms' statistics
are re-estimated, as SPOS does: those of training are of many genomes. The weights are the live
ones, as there and in EAGAN (Ying et al. 2022): an average would mix steps of other paths.

A trial's `images` are those that the one discriminator has seen when it is judged, so that they
only grow from trial to trial; its `seed` is that of the latents. Weights and paths follow the
search's seed alone.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Self

import torch

from gan_nas.configs import resolve
from gan_nas.errors import Interrupted, InvalidInput, RunFailed
from gan_nas.networks.builder import build_supernet, choose_cells
from gan_nas.networks.cost import genome_price, num_parameters
from gan_nas.networks.states import Saved
from gan_nas.runs.loop import MOST_SECONDS
from gan_nas.scoring.generating import generate
from gan_nas.scoring.scorer import Scorer
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.genome import Genome
from gan_nas.streams import stream, stream_seed
from gan_nas.training.config import TrainingConfig
from gan_nas.training.forecast import Work
from gan_nas.training.gan import GAN, reestimated_norms
from gan_nas.training.plan import NUM_NORM_LATENTS, keep_pace, new_gan
from gan_nas.training.plan import work as training_work
from gan_nas.training.steps import Steps
from gan_nas.trials.evaluator import Evaluator, Means, Shared, Terms, failure
from gan_nas.trials.training import steps_of
from gan_nas.trials.trial import Outcome, Trial


@dataclass(frozen=True, kw_only=True)
class SharedEvaluator(Evaluator):
    """Scores the paths of a supernet."""

    shares_weights: ClassVar[bool] = True
    rests_on: ClassVar[str] = "weights that all share"

    supernet: "Supernet"

    @classmethod
    def begin(cls, terms: Terms, means: Means, folder: Callable[[], Path], shared: Shared) -> Self:
        """Return what judges; nothing goes into the folder."""
        del folder
        supernet = Supernet(terms, means, shared)
        return cls(supernet=supernet, stop=means.stop, progress=means.ledger.show)

    def __call__(self, trial: Trial) -> Outcome:
        """Score a path; raises Interrupted, and nothing for one that goes wrong."""
        told = self.supernet.means.ranks.first(lambda: self._judged(trial).model_dump_json())
        return Outcome.model_validate_json(told)

    def _judged(self, trial: Trial) -> Outcome:
        supernet = self.supernet
        genome = suited(trial.genome, supernet.config.framework)
        terms = supernet.terms
        parameters, macs = genome_price(genome, terms.side, terms.channels)
        outcome = Outcome(trial=trial, status="completed", parameters=parameters, macs=macs)
        started = time.monotonic()
        try:
            known = supernet.score(trial)
        except (RunFailed, MemoryError, RuntimeError) as error:
            known = failure(error)
        return outcome.model_copy(update=known | {"seconds": time.monotonic() - started})

    @classmethod
    def check(cls, terms: Terms) -> None:
        """Refuse a compiler, which would begin anew with every path."""
        super().check(terms)
        if terms.training.compile:
            raise InvalidInput(
                "compile = true with evaluator shared: every step takes another path of the "
                "supernet, train without compile"
            )

    @classmethod
    def spent(cls, trials: Sequence[Trial]) -> int:
        """Return the images that the one discriminator has seen."""
        return max((trial.images for trial in trials), default=0)

    @classmethod
    def work(cls, terms: Terms, images: int) -> Work:
        """Return the work of training the supernet, each step with the example's path."""
        config = supernet_config(terms)
        config = config.model_copy(update={"steps": steps_of(config, images)})
        shape = terms.side, terms.channels
        return training_work(terms.example, config, *shape, terms.device, build_supernet)

    @classmethod
    def sizes(cls, terms: Terms) -> dict[str, int]:
        """Count the weights of the generators' supernet, used or not."""
        with torch.device("meta"):
            network = build_supernet(terms.example.generator, terms.side, terms.channels)
        return {"supernet_parameters": num_parameters(network)}

    def prepare(self, trial: Trial, paths: Sequence[Genome]) -> bool:
        """Train the supernet on, until the next checkpoint at most."""
        return self.supernet.train(trial.images, paths)

    def saved(self) -> Mapping[str, Saved]:
        """Return both networks and their optimisers."""
        return self.supernet.gan.saved()

    def verify(self) -> None:
        """Raise RunFailed when losses or weights are not finite."""
        self.supernet.verify()

    def trained(self) -> GAN:
        """Return the supernet and its discriminator."""
        return self.supernet.gan


class Supernet:
    """All generators of a space, in training against one discriminator."""

    def __init__(self, terms: Terms, means: Means, shared: Shared) -> None:
        self.terms, self.means, self.shared = terms, means, shared
        self.config = supernet_config(terms)
        shape = terms.side, terms.channels
        self.gan = new_gan(
            terms.example, self.config, *shape, terms.device, build_supernet, means.ranks
        )
        every, ledger = self.config.log_every, means.ledger
        self.d_losses = ledger.window("d_loss", every * self.config.num_critic, terms.device)
        self.g_losses = ledger.window("g_loss", every, terms.device)

    def train(self, images: int, paths: Sequence[Genome]) -> bool:
        """Train until the discriminator has seen so many images, or a checkpoint is due.

        That is after `save_every` steps, or half a minute of slow ones. Returns whether there was
        anything to train.
        """
        config, shared, ranks = self.config, self.shared, self.means.ranks
        end = steps_of(config, images)
        if shared.steps >= end:
            return False
        due = min(end, (shared.steps // config.save_every + 1) * config.save_every)
        started = time.monotonic()
        try:
            while shared.steps < due and not ranks.any(time.monotonic() - started >= MOST_SECONDS):
                if self.means.stop():
                    raise Interrupted(
                        "stopped while training shared weights; the same command goes on"
                    )
                self._cycle(paths if images > self.terms.fidelities[0] else ())
                if shared.steps % config.log_every == 0 or shared.steps in (1, end):
                    self._log(end)
        finally:
            seconds = time.monotonic() - started
            shared.seconds += ranks.first(lambda: seconds)
        return True

    def score(self, trial: Trial) -> dict[str, Any]:
        """Return what an outcome tells of a genome on the weights as they are."""
        config, scorer, device = self.config, self._scorer, self.terms.device
        generator = trial.genome.generator
        choose_cells(self.gan.generator, generator)
        random = stream(trial.seed, "norm latents", 0, device=device)
        size = NUM_NORM_LATENTS, generator.latent_dim
        z = torch.randn(size, generator=random, device=device)
        with self.gan.averaged() as network, reestimated_norms(network, z):
            fakes = generate(
                network,
                config.num_scored,
                generator.latent_dim,
                trial.seed,
                device,
                stop=self.means.stop,
            )
            values = scorer.score(fakes)
        return {
            "distance": values[scorer.backbone.distance_name],
            "score": values.get(scorer.backbone.score_name),
            "scores": ({"step": self.shared.steps, "images": trial.images, **values},),
            "passport": scorer.passport(config.num_scored, trial.seed, config.precision),
        }

    def verify(self) -> None:
        """Raise RunFailed when losses or weights are not finite."""
        self.means.ledger.losses(self.shared.steps)
        if not self.gan.is_finite():
            raise self.means.ledger.diverged(self.shared.steps, "a weight")

    def _cycle(self, paths: Sequence[Genome]) -> None:
        """Make the discriminator's steps, each with a path of its own, and the generator's."""
        keep_pace(self.gan, self.config, self.shared.steps)
        first = self.shared.steps * self.config.num_critic
        for k in range(first, first + self.config.num_critic):
            random = Random(stream_seed(self.config.seed, "path", k))  # noqa: S311
            space, width = self.terms.space, self.terms.example.generator.width
            path = random.choice(paths).generator if paths else space.sample(random, width)
            choose_cells(self.gan.generator, path)
            losses = self._steps.make(k)
            self.d_losses.push(losses.discriminator)
            if losses.generator is not None:
                self.g_losses.push(losses.generator)
        self.shared.steps += 1

    def _log(self, end: int) -> None:
        """Write a line of the log and show the progress; raises RunFailed on NaN."""
        ledger, steps = self.means.ledger, self.shared.steps
        losses = ledger.losses(steps)
        per_step = self.config.num_critic * self.config.batch_size
        ledger.log(step=steps, images=steps * per_step, **losses)
        ledger.show("supernet images", steps * per_step, end * per_step, losses)

    @cached_property
    def _steps(self) -> Steps:
        images, terms = self.means.pixels(self.terms.side), self.terms
        latent_dim = terms.example.generator.latent_dim
        return Steps(self.gan, self.config, images.train, latent_dim, terms.device)

    @cached_property
    def _scorer(self) -> Scorer:
        means, side = self.means, self.terms.side
        assert means.backbone is not None, "trials are scored"
        return Scorer(
            means.backbone,
            means.pixels(side),
            side,
            self.config.num_splits,
            self.config.num_reference,
            means.cache,
        )


def supernet_config(terms: Terms) -> TrainingConfig:
    """Return how the supernet is trained: what follows the length follows the lowest fidelity's."""
    update = {
        "seed": terms.seed,
        "steps": steps_of(terms.training, terms.fidelities[0]),
        "ema_decay": 0.0,
        "ema_half_life": None,
        "mmd_patience": None,  # no distances are taken on the way
        "norm_statistics": "reestimated",
    }
    return resolve(TrainingConfig, terms.training.model_dump() | update)


EVALUATOR = SharedEvaluator
