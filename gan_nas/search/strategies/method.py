"""A strategy as a search method among the others."""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import torch

from gan_nas.errors import InvalidInput
from gan_nas.networks.cost import Cost, genome_cost, genome_price
from gan_nas.networks.simulation import META
from gan_nas.runs.results import SearchResult
from gan_nas.search.method import Column, Method, Task, times
from gan_nas.search.strategies.budget import (
    evaluator_terms,
    example,
    planned,
    spent,
    training_of,
    whole,
)
from gan_nas.search.strategies.search import State as Record
from gan_nas.search.strategies.search import StrategySearch
from gan_nas.search.strategies.strategy import Strategy, StrategyConfig
from gan_nas.spaces import eagan
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.registry import BUILT_IN, load_space
from gan_nas.training.forecast import Work
from gan_nas.trials import load_evaluator
from gan_nas.trials.training import steps_of

C = TypeVar("C", bound=StrategyConfig)

# demo for digits, small for CIFAR-10 at width 32; paper trains every trial as long as papers do.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "demo": {
        "resolution": 16,
        "trial_images": 6_400,
        "derived_width": 16,
        "derived_discriminator_width": 16,
    },
    "small": {
        "resolution": 32,
        "training": "small",
        "trial_images": 16_000,
        "width": 32,
        "discriminator_width": 32,
        "derived_width": 32,
        "derived_discriminator_width": 32,
    },
    "paper": {
        "training": "paper",
        "trials": 100,
        "width": 256,
        "discriminator_width": 128,
        "derived_width": 256,
    },
}


class StrategyMethod(Method[C, Record], Generic[C]):
    """A strategy as a method; a file of this folder names both."""

    spaces = BUILT_IN  # and those that others install
    State = Record
    columns: ClassVar = [Column("distance", best="lowest"), Column("images", "d")]
    scores = frozenset({"search"})
    strategy: ClassVar[type[Strategy[Any]]]

    def scores_by(self, config: C) -> frozenset[str]:
        """Return the search, unless scores are there already."""
        return self.scores if load_evaluator(config.evaluator).needs_backbone else frozenset()

    def start(self, task: Task[C], state: Record | None = None) -> StrategySearch[C]:
        """Start a search, or go on from the outcomes of one."""
        return StrategySearch(self.strategy, task, state)

    def longer(self, config: C, factor: float) -> C:
        """Return the settings of more trials, or images, or seconds."""
        trials, images, seconds = config.trials, config.images, config.seconds
        return config.model_copy(
            update={
                "trials": None if trials is None else times(trials, factor),
                "images": None if images is None else times(images, factor),
                "seconds": None if seconds is None else seconds * factor,
            }
        )

    def space_of(self, config: C) -> str:
        """Return the setting."""
        return config.space

    def side_by_side(self, config: C) -> bool:
        """Tell whether each genome is trained alone."""
        return load_evaluator(config.evaluator).side_by_side

    def seen_seed(self, config: C) -> int | None:
        """Return the seed of all trials, where each genome is trained alone."""
        return config.seed if self.side_by_side(config) else None

    def batches(self, config: C) -> dict[str, int]:
        """Return those of a supernet; trials and pairs have networks of their own."""
        if config.generator is not None or not load_evaluator(config.evaluator).shares_weights:
            return {}
        training = training_of(config)
        names = ("batch_size", "generator_batch_size")
        return {name: getattr(training, name) for name in names}

    def check(self, task: Task[C]) -> None:
        """Refuse spaces, presets, sides and budgets that trials cannot have."""
        config, evaluator = task.config, load_evaluator(task.config.evaluator)
        self._check_role(config)
        terms = evaluator_terms(self.strategy, config, task.side, task.channels, task.device)
        evaluator.check(terms)
        if evaluator.shares_weights:
            task.ranks.check({}, terms.training.micro_batch)
        if task.jobs > 1 and not evaluator.side_by_side:
            raise InvalidInput(
                f"evaluator {config.evaluator} judges one trial after the other: it takes one job, "
                f"not {task.jobs}"
            )
        if terms.wants_latency and not evaluator.times_generators:
            raise InvalidInput(
                f"evaluator {config.evaluator} measures no latency: take evaluator train, or "
                "against parameters or macs"
            )
        genome = suited(terms.example, terms.training.framework)
        if config.generator is not None and genome != terms.example:
            raise InvalidInput(
                f"framework {terms.training.framework} does not train the discriminators that are "
                f"searched, which are those of {terms.example.discriminator.framework}: change it "
                "by training_set"
            )
        genome_price(genome, task.side, task.channels)  # raises
        grows = len(terms.fidelities) > 1
        if grows and (fixed_by := terms.training.follows_length):
            raise InvalidInput(
                f"trials of {self.name} go on to more images and {fixed_by} follows the length of "
                "a training: change it by training_set, or rungs to 1"
            )
        if grows and evaluator.shares_weights and not self.strategy.grows_together:
            raise InvalidInput(
                f"{self.name} trains the better genomes longer, and shared weights are trained for "
                "all: take evaluator train, or rungs 1"
            )
        if evaluator.pairs_up and not self.strategy.num_together(config):
            raise InvalidInput(
                f"evaluator {config.evaluator} trains all discriminators of a generation before it "
                "judges them: take method evolution with children trained, as in its preset "
                "eagan-discriminators"
            )
        cycles = steps_of(terms.training, terms.fidelities[-1] - terms.fidelities[0])
        if evaluator.pairs_up and cycles < (pairs := self.strategy.num_together(config)):
            raise InvalidInput(
                f"a generation has {pairs} pairs, and its images last for {cycles} steps of a "
                "generator: raise generation_images or lower population"
            )
        if grows and not evaluator.shares_weights and self.strategy.grows_together:
            raise InvalidInput(
                f"{self.name} trains shared weights on between generations, and evaluator "
                f"{config.evaluator} has none: take evaluator shared, or generation_images 0"
            )
        if evaluator.shares_weights:
            self._check_budget(config, grows=grows)

    def _check_role(self, config: C) -> None:
        """Refuse an evaluator that does not judge what is searched, and a space of others."""
        evaluator, generator = load_evaluator(config.evaluator), config.generator
        if config.role not in evaluator.searches:
            asked = (
                "discriminators are searched, of the generator that is given: take evaluator train "
                "or pairs"
                if generator is not None
                else "generators are searched: name one whose discriminators are, by --genome"
            )
            others = " and ".join(sorted(evaluator.searches))
            raise InvalidInput(f"evaluator {config.evaluator} judges a {others}, and {asked}")
        if generator is None:
            return
        if generator.space != load_space(config.space).genome_space:
            raise InvalidInput(
                f"space = {config.space}, and the generator given is of {generator.space}: give "
                "that space"
            )
        if self.strategy.cost(config) == "latency":
            raise InvalidInput(
                "against = latency is that of the generator, which is given: take parameters or "
                "macs of its discriminators"
            )

    def _check_budget(self, config: C, *, grows: bool) -> None:
        """Refuse limits on images that shared weights reach at once, or never."""
        warm_up = whole(config)
        if config.images is not None and config.images <= warm_up:
            raise InvalidInput(
                f"images = {config.images}, and the supernet alone sees supernet_images = "
                f"{warm_up}: raise the one or lower the other"
            )
        if not grows and (config.trials, config.seconds) == (None, None):
            raise InvalidInput(
                "trials on shared weights see no images of their own: limit trials or seconds"
            )

    def sizes(self, config: C, side: int, channels: int) -> dict[str, int | Cost]:
        """Return how many may be found, the number of trials, and the cost of one."""
        trials = planned(self.strategy, config)
        one, space = example(config), load_space(config.space)
        cost = genome_cost(one, side, channels)
        terms = evaluator_terms(self.strategy, config, side, channels, META)
        return {
            "space": space.count() if config.generator is None else eagan.SPACE.count(),
            "trials": len(trials),
            "an example": getattr(cost, config.role),
            **load_evaluator(config.evaluator).sizes(terms),
        }

    def work(self, config: C, side: int, channels: int, device: torch.device) -> Work:
        """Return the work of all trials, or of the weights that they share."""
        self._check_role(config)
        images = spent(config, planned(self.strategy, config))
        terms = evaluator_terms(self.strategy, config, side, channels, device)
        return load_evaluator(config.evaluator).work(terms, images)

    def memory(self, config: C, num_images: int, side: int, channels: int) -> tuple[int, int]:
        """Return the bytes of networks that wait while others are trained, and none on top."""
        del num_images
        terms = evaluator_terms(self.strategy, config, side, channels, META)
        num_together = self.strategy.num_together(config)
        return load_evaluator(config.evaluator).memory(terms, num_together), 0

    def explain(self, result: SearchResult) -> str:
        """Say what a distance rests on."""
        trials, images = result.facts["trials"], result.facts["images"]
        failed = result.facts["failed"]
        if not isinstance(failed, dict):
            raise TypeError("failures are counted by how")
        told = "".join(f"; {count} {status}" for status, count in failed.items())
        evaluator = load_evaluator(str(result.facts.get("evaluator", "train")))
        if result.facts.get("searched") == "discriminator":
            told += "; cells and costs are the discriminators'"
        return (
            f"{trials} trials of {images:,} real images in all{told}. A distance is that of "
            f"{evaluator.rests_on}: gan-nas derive --retrain tells more."
        )
