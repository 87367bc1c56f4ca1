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
from pathlib import Path
from typing import ClassVar, Self

import torch

from gan_nas.errors import InvalidInput
from gan_nas.networks.builder import build_supernet
from gan_nas.networks.cost import genome_price, num_parameters
from gan_nas.networks.states import Saved
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.genome import Genome
from gan_nas.training.forecast import Work
from gan_nas.training.gan import GAN
from gan_nas.training.plan import work as training_work
from gan_nas.trials.evaluator import Evaluator, Means, Shared, Terms, failure
from gan_nas.trials.supernet import Supernet, supernet_config
from gan_nas.trials.training import steps_of
from gan_nas.trials.trial import Outcome, Trial


@dataclass(frozen=True, kw_only=True)
class SharedEvaluator(Evaluator):
    """Scores the paths of a supernet."""

    shares_weights: ClassVar[bool] = True
    rests_on: ClassVar[str] = "weights that all share"

    kind: ClassVar[type[Supernet]] = Supernet

    supernet: Supernet

    @classmethod
    def begin(cls, terms: Terms, means: Means, folder: Callable[[], Path], shared: Shared) -> Self:
        """Return what judges; nothing goes into the folder."""
        del folder
        supernet = cls.kind(terms, means, shared)
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
        except Exception as error:
            known = failure(error)
        return outcome.model_copy(update=known | {"seconds": time.monotonic() - started})

    @classmethod
    def check(cls, terms: Terms) -> None:
        """Refuse a compiler, which would begin anew with every path."""
        super().check(terms)
        if terms.training.compile:
            raise InvalidInput(
                f"compile = true with evaluator {terms.evaluator}: every step takes another "
                "path of the supernet, train without compile"
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
        return training_work(terms.example, config, *shape, terms.device, cls.kind.build)

    @classmethod
    def sizes(cls, terms: Terms) -> dict[str, int]:
        """Count the weights of the supernet, used or not."""
        searched = getattr(terms.example, cls.kind.role)
        with torch.device("meta"):
            network = build_supernet(searched, terms.side, terms.channels)
        return {"supernet_parameters": num_parameters(network)}

    def prepare(self, trial: Trial, paths: Sequence[Genome]) -> bool:
        """Train the supernet on, until the next checkpoint at most."""
        return self.supernet.prepare(trial.images, paths)

    def saved(self) -> Mapping[str, Saved]:
        """Return both networks and their optimisers."""
        return self.supernet.saved()

    def verify(self) -> None:
        """Raise RunFailed when losses or weights are not finite."""
        self.supernet.verify()

    def trained(self) -> GAN | None:
        """Return the supernet and its discriminator."""
        return self.supernet.gan


EVALUATOR = SharedEvaluator
