"""AdversarialNAS: a differentiable search of generator and discriminator against each other.

AdversarialNAS (Gao et al. 2020), Algorithm 1. An iteration updates beta, the discriminator's
architecture, then its weights, each on its half of a real batch; every num_critic-th also alpha,
the generator's architecture, then its weights. At the end the K generators of highest summed
log-probability under alpha are exactly the best K. With a fixed discriminator this is SingalNAS.

Where the authors' code does otherwise than the paper, or than is sensible, there is a field; the
preset `published` takes its side in each, and config.py lists them. Two differences change the
time alone: mixed edges run as merged kernels (networks/merged/), equal up to rounding; what a
step does not update is frozen, and the discriminator's steps build no generator graph.
Theirs in any case: noise on probabilities, L2 in the gradients of alpha and beta, derivation from
the raw alpha.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from gan_nas.data.batches import Batches
from gan_nas.errors import Incompatible, shorten
from gan_nas.networks.states import Saved
from gan_nas.runs.ledger import check_spread, means, spread_of
from gan_nas.runs.results import Conclusion
from gan_nas.scoring.generating import generate
from gan_nas.scoring.scorer import Scorer
from gan_nas.search.adversarialnas.config import Config
from gan_nas.search.adversarialnas.genomes import (
    best_genomes,
    derived_discriminator,
    genome_of,
    likeliest,
)
from gan_nas.search.adversarialnas.super_gan import SuperGAN
from gan_nas.search.best import Limit
from gan_nas.search.logits import Logits
from gan_nas.search.method import Find, Search, Task, Trained
from gan_nas.training.gan import generator_moves_before

PHASES = ("search iterations", "comparing images")
JUDGED_FROM = 100  # images seen: a supernet that has seen fewer may give all the same


class State(BaseModel):
    """Where a search is."""

    step: int = 0
    """Iterations that are done."""
    generator_steps: int = 0


class AdversarialNASSearch(Search[State]):
    """Algorithm 1. A unit is an iteration, or a score."""

    def __init__(self, task: Task[Config], state: State | None) -> None:
        self.task, self.config, self.ledger = task, task.config, task.ledger
        self.state = state or State()
        self.ledger.phases = PHASES
        shape = task.side, task.channels
        self.gan = SuperGAN(task.config, *shape, task.device, task.ranks)
        moved = generator_moves_before(
            self.step, task.config.num_critic, task.config.generator_turn
        )
        if self.state.generator_steps != moved:
            raise Incompatible(
                f"generator_steps = {shorten(self.state.generator_steps)} in the state of a "
                f"checkpoint, and at step {self.step:,} there are {moved:,}"
            )
        self.gan.gan.generator_steps = moved
        self.losses = {
            name: self.ledger.window(name, task.config.log_every, task.device)
            for name in ("beta_loss", "d_loss", "alpha_loss", "g_loss")
        }
        self.gan.start(max(0, self.step - 1))  # as the last iteration left it

    @property
    def step(self) -> int:
        """Count the iterations that are done."""
        return self.state.step

    @property
    def finished(self) -> bool:
        """Tell whether all iterations are made and the last weights scored."""
        return self.step == self.config.iterations and not self._score_is_due

    @property
    def _score_is_due(self) -> bool:
        config = self.config
        due = self.ledger.is_due(self.step, config.score_every, config.iterations)
        return due and self.step > 0

    def advance(self) -> None:
        """Score where it is due; else make an iteration of Algorithm 1, then what is due."""
        if self._score_is_due:
            self.score()
            return
        config, step = self.config, self.step
        losses = self.gan.iteration(step, self.batches.at(step), self._latents)
        for name, loss in losses.items():
            self.losses[name].push(loss)
        self.state.step += 1
        self.state.generator_steps = self.gan.gan.generator_steps
        last = self.step == config.iterations
        if self.step % config.log_every == 0 or last:
            self.log()
        if self.step % config.derive_every == 0 or last:
            self.keep()

    def log(self) -> None:
        """Write a line of the log and show the progress; raises RunFailed on NaN."""
        config, losses = self.config, self.ledger.losses(self.step)
        images = self.step * config.batch_size
        self.ledger.log(step=self.step, images=images, tau=self.gan.tau, **losses)
        self.show(losses)

    def show(self, losses: Mapping[str, float]) -> None:
        """Show how far the search is; a scoring more compares the supernet with real images."""
        config = self.config
        shown = {name: loss for name, loss in losses.items() if name in ("d_loss", "g_loss")}
        due = self.ledger.num_due(self.step, config.score_every, config.iterations)
        self.ledger.show(PHASES[0], self.step, config.iterations, shown, scorings=due + 1)

    def keep(self) -> None:
        """Keep the best architecture of this moment, and the entropy of every edge."""
        best = likeliest(self.config, self.gan.alpha, 1)[0]
        entropies = {"alpha": self.gan.alpha.entropies()}
        highest = {"alpha": self.gan.alpha.mean_highest_entropy()}
        architectures = {"generator": list(best.cells)}
        probabilities = {"generator": self.gan.alpha.probabilities(best.cells)}
        if self.config.discriminator == "searched":
            against = likeliest(self.config, self.gan.beta, 1)[0]
            architectures["discriminator"] = list(against.cells)
            entropies["beta"] = self.gan.beta.entropies()
            highest["beta"] = self.gan.beta.mean_highest_entropy()
            probabilities["discriminator"] = self.gan.beta.probabilities(against.cells)
        self.ledger.log(
            "architecture",
            step=self.step,
            images=self.step * self.config.batch_size,
            log_probability=best.log_probability,
            **architectures,
            probabilities=probabilities,
            entropies=entropies,
            highest_entropies=highest,
        )
        self.ledger.genome(genome_of(self.config, best, derived_discriminator(self.gan)), self.step)

    def score(self) -> None:
        """Score the averaged supernet, which mixes as in training, and draw samples."""
        scores, spread = self.task.ranks.first(self._scores)
        self.ledger.log("scores", **scores)
        if scores["images"] >= JUDGED_FROM:
            check_spread(spread, self.step, "the supernet")
        self.ledger.keep(scores)
        self.show(means(self.ledger.windows))
        if self.config.average_replaces and self.step < self.config.iterations:
            self.gan.gan.take_average()

    def found(self, count: int, limit: Limit, *, anew: bool) -> list[Find]:
        """Return the generators of highest log-probability; alpha alone is asked."""
        del anew
        return best_genomes(self.gan, count, limit, self.task.side, self.task.channels)

    def conclude(self, found: Sequence[Find]) -> Conclusion:
        """Tell how sure alpha and beta are, and what the supernet and real images score."""
        self.ledger.edges(found[0].genome)
        told = self.task.ranks.first(lambda: self._conclusion().model_dump_json())
        return Conclusion.model_validate_json(told)

    def _scores(self) -> tuple[dict[str, Any], float]:
        """Return the scores of the averaged supernet, and how far its images differ."""
        with self.gan.gan.averaged() as network:
            fakes = self._fakes(network, self.config.num_scored)
            images = self.step * self.config.batch_size
            scores, first = self.ledger.score(self.scorer, fakes, self.step, images)
        return scores, spread_of(first)

    def _conclusion(self) -> Conclusion:
        config, scorer = self.config, self.scorer
        logits = {"alpha": self.gan.alpha}
        if config.discriminator == "searched":
            logits["beta"] = self.gan.beta
        self.ledger.show(PHASES[1], 0, config.num_scored, {})
        with self.gan.gan.averaged() as network:
            fakes = partial(self._fakes, network)
            compared = scorer.compared(config.num_scored, self.ledger.newest, fakes)
        real = scorer.real(config.num_scored)
        self.ledger.show(PHASES[1], config.num_scored, config.num_scored, {})
        return Conclusion(
            supernet=self.ledger.newest,
            real=real,
            compared=compared,
            passport=scorer.passport(config.num_scored, config.seed, config.precision),
            facts={"entropy": {name: mean_entropy(one) for name, one in logits.items()}},
        )

    def saved(self) -> dict[str, Saved]:
        """Return what a checkpoint keeps."""
        return self.gan.saved()

    def verify(self) -> None:
        """Raise RunFailed rather than let NaN be saved: a loss can be finite before weights are."""
        self.ledger.losses(self.step)
        every = self.config.score_every
        self.ledger.check_scored(range(every, self.step, every))
        if not self.gan.gan.is_finite():
            raise self.ledger.diverged(self.step, "a weight")

    def trained(self) -> Trained:
        """Return the supernets, or the fixed discriminator."""
        return self.gan.supernets()

    @cached_property
    def batches(self) -> Batches:
        """Return the real images in batches."""
        images, config = self.task.pixels(self.task.side).train, self.config
        return Batches(images, config.batch_size, config.seed, device=self.task.device)

    @cached_property
    def scorer(self) -> Scorer:
        """Return what scores the supernet's images."""
        config = self.config
        return self.task.scorer(self.task.side, config.num_splits, config.num_reference)

    def _fakes(self, network: nn.Module, num: int) -> Iterator[Tensor]:
        config, task = self.config, self.task
        self.gan.generator.restart(self.gan.tau, config.seed, "score noise", self.step)
        return generate(network, num, config.latent_dim, config.seed, task.device, stop=task.stop)

    def _latents(self, purpose: str, num: int) -> torch.Tensor:
        return self.task.latents(num, self.config.latent_dim, purpose, self.step)


def mean_entropy(logits: Logits) -> float:
    """Return the mean entropy of an edge, in nats."""
    entropies = logits.entropies().values()
    return sum(entropies) / len(entropies)
