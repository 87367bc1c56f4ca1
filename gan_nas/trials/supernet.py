"""A supernet in training: all networks of a space, of which each step trains some (shared.py)."""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Any, ClassVar

import torch

from gan_nas.configs import resolve
from gan_nas.errors import Interrupted
from gan_nas.networks.builder import build_supernet, choose_cells
from gan_nas.networks.states import Saved
from gan_nas.runs.loop import MOST_SECONDS
from gan_nas.scoring.generating import generate
from gan_nas.scoring.scorer import Scorer
from gan_nas.spaces.genome import Genome, Role
from gan_nas.streams import stream, stream_seed
from gan_nas.training.config import TrainingConfig
from gan_nas.training.gan import reestimated_norms
from gan_nas.training.plan import NUM_NORM_LATENTS, Builders, keep_pace, new_gan
from gan_nas.training.steps import Steps
from gan_nas.trials.evaluator import Means, Shared, Terms
from gan_nas.trials.training import steps_of
from gan_nas.trials.trial import Trial


class Supernet:
    """All generators of a space, in training against one discriminator."""

    role: ClassVar[Role] = "generator"
    """What it is a supernet of."""
    build: ClassVar[Builders] = Builders(generator=build_supernet)

    def __init__(self, terms: Terms, means: Means, shared: Shared) -> None:
        self.terms, self.means, self.shared = terms, means, shared
        self.config = supernet_config(terms)
        shape = terms.side, terms.channels
        self.gan = new_gan(
            terms.example, self.config, *shape, terms.device, self.build, means.ranks
        )
        every, ledger = self.config.log_every, means.ledger
        self.d_losses = ledger.window("d_loss", every * self.config.num_critic, terms.device)
        self.g_losses = ledger.window("g_loss", every, terms.device)

    def prepare(self, images: int, paths: Sequence[Genome]) -> bool:
        """Train for a trial of so many images: for all of the space first, then for `paths`."""
        return self.train(images, paths if images > self.terms.fidelities[0] else ())

    def saved(self) -> Mapping[str, Saved]:
        """Return both networks and their optimisers."""
        return self.gan.saved()

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
                self._cycle(paths)
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

    def choose(self, k: int, paths: Sequence[Genome]) -> None:
        """Set the path of the discriminator's step `k`, from 0."""
        random = Random(stream_seed(self.config.seed, "path", k))  # noqa: S311
        space, width = self.terms.space, self.terms.example.generator.width
        path = random.choice(paths).generator if paths else space.sample(random, width)
        choose_cells(self.gan.generator, path)

    def _cycle(self, paths: Sequence[Genome]) -> None:
        """Make the discriminator's steps, each with a path that is chosen, and the generator's."""
        keep_pace(self.gan, self.config, self.shared.steps)
        first = self.shared.steps * self.config.num_critic
        for k in range(first, first + self.config.num_critic):
            self.choose(k, paths)
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
            stop=means.stop,
            progress=means.ledger.show,
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
